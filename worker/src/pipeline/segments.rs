//! The times at which a task was decoded, and at which its models ran.

use std::time::Instant;

/// Segments that are kept of one task. A video alternates more often; its later segments are left out.
const MAX_SEGMENTS: usize = 32;

/// A time in which a task was in one stage only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Segment {
    /// The stage, such as `decode` or `infer`.
    pub stage: &'static str,
    /// Its beginning.
    pub began: Instant,
    /// Its end.
    pub ended: Instant,
}

/// The segments of one task, in the order in which they began.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Segments {
    kept: Vec<Segment>,
    /// Whether a segment was left out. A later segment must not prolong the last one that was kept.
    is_cut: bool,
}

impl Segments {
    /// Adds a time that ends now. Times of one stage that follow each other become one segment.
    pub fn add(&mut self, stage: &'static str, began: Instant) {
        let ended = Instant::now();
        let has_capacity = self.kept.len() < MAX_SEGMENTS;
        match self.kept.last_mut() {
            Some(last) if last.stage == stage && !self.is_cut => last.ended = ended,
            _ if has_capacity => self.kept.push(Segment { stage, began, ended }),
            _ => self.is_cut = true,
        }
    }

    /// The segments.
    pub fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.kept.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_one_stage_are_joined_until_another_stage_begins() {
        let began = Instant::now();
        let mut segments = Segments::default();
        for stage in ["decode", "infer", "infer", "infer", "decode", "infer"] {
            segments.add(stage, began);
        }
        let stages: Vec<_> = segments.iter().map(|segment| segment.stage).collect();
        assert_eq!(stages, ["decode", "infer", "decode", "infer"]);
        assert!(segments.iter().all(|segment| segment.began <= segment.ended));
    }

    #[test]
    fn a_task_of_many_frames_has_a_bounded_number_of_segments() {
        let mut segments = Segments::default();
        for _ in 0..100 {
            segments.add("decode", Instant::now());
            segments.add("infer", Instant::now());
        }
        assert_eq!(segments.iter().count(), MAX_SEGMENTS);
    }

    #[test]
    fn what_follows_a_segment_that_was_left_out_prolongs_none() {
        let mut segments = Segments::default();
        for _ in 0..MAX_SEGMENTS / 2 {
            segments.add("decode", Instant::now());
            segments.add("infer", Instant::now());
        }
        segments.add("infer", Instant::now());
        let kept = segments.iter().last().copied();
        segments.add("decode", Instant::now());
        segments.add("infer", Instant::now());
        assert_eq!(segments.iter().last().copied(), kept);
    }
}
