//! Whether parts of a clip are repeated: frozen for a while, looped, or played backwards.
//!
//! Frames of a camera differ, because it has noise and nobody keeps perfectly still. A repeated sequence shows the same
//! frames except for compression, and only at one distance in time: at a fifth of a second more or less it does not. A
//! person who nods comes back to a similar place, but never so exactly.

use std::collections::VecDeque;

use crate::video::Thumbnail;

/// The longest time, in seconds, for which a clip may be frozen: a busy encoder drops frames for up to a quarter of a
/// second.
const MAX_FREEZE_SECONDS: f32 = 1.0;
/// Share of unchanged frames in a frozen part. Encoders refresh the picture now and then.
const MIN_FROZEN_SHARE: f32 = 0.85;

/// Length of a repeated sequence, in seconds, and the least distance of its repetition.
const SEQUENCE_SECONDS: f32 = 1.0;
const MIN_LAG_SECONDS: f32 = 0.8;
/// The least length of a repeated sequence, in frames. A slow camera has few frames in a second, and these can return by chance: of 188
/// parts of a living person's clip, shown at 4 frames a second, 16 repeated four frames and none repeated six.
const MIN_SEQUENCE_FRAMES: usize = 6;
/// A sequence played backwards is compared from this distance to its turning point on, since all motion is slow there.
const TURNING_SECONDS: f32 = 0.3;
/// The reference is the compared sequence, shifted by this time in seconds.
const SHIFT_SECONDS: f32 = 0.2;

/// Mean squared difference of thumbnails up to which frames count as equal. Re-encoded loops have 0.25, nods 16 and more.
const MAX_EQUAL: f32 = 1.5;
/// Mean squared difference to the shifted sequence, from which on the scene moves.
const MIN_MOTION: f32 = 2.0;
/// Maximum ratio of both differences. Re-encoded loops have up to 0.06; the smallest of living people with a small
/// difference is 0.4.
const MAX_RATIO: f32 = 0.2;
/// Added to both differences in their ratio: the noise of rounding.
const ROUNDING: f32 = 0.15;

/// At most this many thumbnails are compared with each other; if there are more, every second, third … one is.
const MAX_THUMBNAILS: usize = 2_400;

/// Kind of repetition in a clip.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Repeat {
    /// All frames are the same.
    Still,
    /// It is frozen for a while.
    Frozen,
    /// A sequence is shown again, forwards or backwards.
    Loop,
}

/// Finds repeated parts.
pub(super) fn find(thumbnails: &[Thumbnail]) -> Option<Repeat> {
    let [first, .., last] = thumbnails else { return None };
    if is_frozen(thumbnails, seconds_between(first, last)) {
        return Some(Repeat::Still);
    }
    if is_frozen(thumbnails, MAX_FREEZE_SECONDS) {
        return Some(Repeat::Frozen);
    }
    let clip = Sequence::new(thumbnails)?;
    (clip.repeats() || clip.turns_back()).then_some(Repeat::Loop)
}

fn seconds_between(one: &Thumbnail, other: &Thumbnail) -> f32 {
    other.time.saturating_sub(one.time).as_secs_f32()
}

/// Whether the clip shows the same frame for this time.
fn is_frozen(thumbnails: &[Thumbnail], seconds: f32) -> bool {
    if seconds < MAX_FREEZE_SECONDS {
        return false;
    }
    // A frozen frame that was encoded again is not the same to the last bit, but in its means.
    let is_same: Vec<bool> = thumbnails
        .windows(2)
        .map(|pair| pair[0].checksum == pair[1].checksum || pair[0].luma == pair[1].luma)
        .collect();
    let (mut start, mut same) = (0, 0);
    for end in 0..is_same.len() {
        same += usize::from(is_same[end]);
        // The shortest window of this time that ends here.
        while start < end && seconds_between(&thumbnails[start + 1], &thumbnails[end + 1]) >= seconds {
            same -= usize::from(is_same[start]);
            start += 1;
        }
        let is_long = seconds_between(&thumbnails[start], &thumbnails[end + 1]) >= seconds;
        if is_long && same as f32 >= MIN_FROZEN_SHARE * (end + 1 - start) as f32 {
            return true;
        }
    }
    false
}

/// Thumbnails at a steady rate, and the lengths of time in thumbnails.
struct Sequence<'t> {
    thumbnails: Vec<&'t Thumbnail>,
    window: usize,
    min_lag: usize,
    turning: usize,
    shift: usize,
}

impl<'t> Sequence<'t> {
    fn new(all: &'t [Thumbnail]) -> Option<Self> {
        let thumbnails: Vec<&Thumbnail> =
            all.iter().step_by(all.len().div_ceil(MAX_THUMBNAILS).max(1)).collect();
        let (first, last) = (thumbnails.first()?, thumbnails.last()?);
        let rate = (thumbnails.len() - 1) as f32 / seconds_between(first, last).max(f32::MIN_POSITIVE);
        let count = |seconds: f32| ((seconds * rate).round() as usize).max(2);
        let [window, min_lag, turning, shift] =
            [SEQUENCE_SECONDS, MIN_LAG_SECONDS, TURNING_SECONDS, SHIFT_SECONDS].map(count);
        let window = window.max(MIN_SEQUENCE_FRAMES);
        (thumbnails.len() > window + min_lag).then_some(Self { thumbnails, window, min_lag, turning, shift })
    }

    fn difference(&self, one: usize, other: usize) -> f32 {
        let pairs = self.thumbnails[one].luma.iter().zip(&self.thumbnails[other].luma);
        let sum: u32 = pairs.map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2)).sum();
        sum as f32 / 256.0
    }

    /// For each start, the mean difference of a window to the window that lies `lag` later.
    fn window_differences(&self, lag: usize) -> Vec<f32> {
        let differences: Vec<f32> =
            (0..self.thumbnails.len().saturating_sub(lag)).map(|at| self.difference(at, at + lag)).collect();
        differences
            .windows(self.window)
            .map(|window| window.iter().sum::<f32>() / self.window as f32)
            .collect()
    }

    /// Whether a window is shown again later.
    fn repeats(&self) -> bool {
        // The differences at the lags around the one in question.
        let mut around: VecDeque<Vec<f32>> = VecDeque::new();
        let lags = self.min_lag.saturating_sub(self.shift)..=self.thumbnails.len() + self.shift;
        for lag in lags {
            around.push_back(self.window_differences(lag));
            if around.len() <= 2 * self.shift {
                continue;
            }
            let (earlier, at, later) = (&around[0], &around[self.shift], &around[2 * self.shift]);
            let is_repeated = |(start, &difference): (usize, &f32)| {
                let earlier = earlier.get(start).copied().unwrap_or(f32::MAX);
                let later = later.get(start).copied().unwrap_or(f32::MAX);
                is_return(difference, earlier.min(later))
            };
            if at.iter().enumerate().any(is_repeated) {
                return true;
            }
            around.pop_front();
        }
        false
    }

    /// Whether a window is shown backwards right after it.
    fn turns_back(&self) -> bool {
        let distances = self.turning..self.turning + self.window;
        let reach = distances.end + self.shift;
        // Twice the turning point, which may lie between two frames.
        (2 * reach..(2 * self.thumbnails.len()).saturating_sub(2 * reach)).any(|twice| {
            let mut sums = [0.0; 3];
            for distance in distances.clone() {
                let (one, other) = (twice / 2 - distance, twice.div_ceil(2) + distance);
                sums[0] += self.difference(one, other);
                sums[1] += self.difference(one - self.shift, other);
                sums[2] += self.difference(one, other + self.shift);
            }
            let [difference, earlier, later] = sums.map(|sum| sum / self.window as f32);
            is_return(difference, earlier.min(later))
        })
    }
}

/// Whether frames return exactly, while the scene moves.
fn is_return(difference: f32, shifted: f32) -> bool {
    shifted < f32::MAX
        && difference < MAX_EQUAL
        && shifted > MIN_MOTION
        && (difference + ROUNDING) / (shifted + ROUNDING) < MAX_RATIO
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Thumbnails at 25 frames a second. `place` is where a bright bar stands in the frame at a time, and `noise` changes with each
    /// frame.
    fn clip(seconds: f32, noise: bool, place: impl Fn(f32) -> f32) -> Vec<Thumbnail> {
        let mut dice = 1_u32;
        (0..(seconds * 25.0) as u32)
            .map(|number| {
                let at = place(number as f32 / 25.0);
                let level = |i: usize| 60.0 + 90.0 * (-((i % 16) as f32 - at).powi(2) / 8.0).exp();
                let mut luma: [u8; 256] = std::array::from_fn(|i| level(i) as u8);
                if noise {
                    dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    luma[(dice >> 24) as usize] += 1;
                }
                let checksum = if noise { dice } else { (at * 1e4) as u32 };
                let time = Duration::from_millis(u64::from(number) * 40);
                Thumbnail { number, time, luma, checksum }
            })
            .collect()
    }

    /// A person who sways, never twice in the same way.
    fn swaying(time: f32) -> f32 {
        8.0 + 3.0 * (2.1 * time).sin() + 2.0 * (3.7 * time + 1.0).sin() + 0.8 * (0.9 * time * time).sin()
    }

    #[test]
    fn a_swaying_person_does_not_repeat_herself() {
        for seconds in [3.0, 6.0, 12.0] {
            assert_eq!(find(&clip(seconds, true, swaying)), None, "{seconds}");
        }
        assert_eq!(
            find(&clip(8.0, true, |time| 8.0 + 4.0 * (2.5 * time).sin() + 0.4 * time)),
            None,
            "nodding"
        );
    }

    #[test]
    fn loops_are_found_at_any_length() {
        for length in [0.92, 1.5, 2.4, 4.0] {
            assert_eq!(
                find(&clip(3.0 * length, true, |time| swaying(time % length))),
                Some(Repeat::Loop),
                "{length}"
            );
        }
        // One repetition within a clip that goes on.
        let once = |time: f32| swaying(if time < 3.0 { time } else { time - 2.0 });
        assert_eq!(find(&clip(6.0, true, once)), Some(Repeat::Loop));
    }

    #[test]
    fn a_sequence_that_is_played_backwards_is_found() {
        let back = |time: f32| swaying(if time < 2.5 { time } else { 5.0 - time });
        assert_eq!(find(&clip(5.0, true, back)), Some(Repeat::Loop));
    }

    #[test]
    fn a_slow_camera_shows_loops_and_accidental_returns_are_none() {
        let slow = |place: &dyn Fn(f32) -> f32| -> Vec<Thumbnail> {
            clip(9.6, true, place).into_iter().step_by(6).collect()
        };
        let returning = |time: f32| swaying(if (4.0..5.0).contains(&time) { time - 1.92 } else { time });
        assert_eq!(find(&slow(&returning)), None, "four frames return once");
        assert_eq!(find(&slow(&|time| swaying(time % 2.4))), Some(Repeat::Loop));
    }

    #[test]
    fn frozen_parts_are_found_and_dropped_frames_are_not() {
        let frozen = |time: f32| swaying(time.min(2.0).max(time - 1.5));
        assert_eq!(find(&clip(6.0, false, frozen)), Some(Repeat::Frozen));
        let dropped = |time: f32| swaying((time * 5.0).floor() / 5.0);
        assert_eq!(find(&clip(6.0, false, dropped)), None, "five frames a second, each shown five times");
        assert_eq!(find(&clip(4.0, false, |_| 5.0)), Some(Repeat::Still));
        assert_eq!(find(&clip(4.0, true, |_| 5.0)), None, "noise alone is no repetition");
    }

    #[test]
    fn very_short_and_empty_clips_are_nothing() {
        for seconds in [0.0, 0.04, 0.5, 1.0] {
            assert_eq!(find(&clip(seconds, true, swaying)), None);
        }
    }
}
