//! Comparing the turns of a head with a challenge: direction, order and time.

use faceline_shared::job::replay::ChallengeEvent;

use super::challenge::Challenge;
use super::judgement::Deviation;
use super::movement::Movement;
use super::turns::Turn;

/// Seconds in which a turn must follow what it follows: the clip's start, the end of the turn before, or the moment in
/// which the device showed the challenge.
const MAX_DELAY_SECONDS: f32 = 10.0;

/// A turn may seem to begin this much before its challenge was shown, in seconds: a device measures time on another
/// thread than it takes pictures.
const MAX_LEAD_SECONDS: f32 = 0.5;

/// A turn may begin this much after the next challenge was shown, in seconds.
const MAX_LAG_SECONDS: f32 = 1.0;

/// Maximum time in seconds during which the face may not be measurable: a head that is turned far away hides its face.
const MAX_GAP_SECONDS: f32 = 1.5;

/// The turns that answer the challenges, one for each. Turns after the last one do not matter.
pub(super) fn match_turns(
    turns: &[Turn],
    movement: &Movement,
    challenge: &Challenge<'_>,
    duration: f32,
) -> Result<Vec<Turn>, Deviation> {
    let shown = shown_times(challenge, duration)?;
    let mut candidates = distinct(turns).into_iter();
    if let Some(&first) = shown.first() {
        // The head's motion before the first challenge does not matter.
        while candidates.as_slice().first().is_some_and(|turn| turn.start < first - MAX_LEAD_SECONDS) {
            candidates.next();
        }
    }
    let mut matched: Vec<Turn> = Vec::new();
    for (number, wanted) in challenge.seen().into_iter().enumerate() {
        let turn = candidates.next().ok_or_else(|| missing(movement, number))?;
        if turn.direction != Some(wanted) {
            return Err(Deviation::WrongTurn(number));
        }
        let (from, until) = match shown.get(number) {
            Some(&at) => {
                let next = shown.get(number + 1).map_or(f32::INFINITY, |next| next + MAX_LAG_SECONDS);
                (at - MAX_LEAD_SECONDS, next.min(at + MAX_DELAY_SECONDS))
            }
            None => (0.0, matched.last().map_or(0.0, |turn| turn.end) + MAX_DELAY_SECONDS),
        };
        if turn.start < from || turn.start > until {
            return Err(Deviation::Untimely(number));
        }
        matched.push(turn);
    }
    // Without a challenge there is nothing to follow.
    let end = matched.last().ok_or(Deviation::Missing(0))?.start;
    if has_gap(movement, end) { Err(Deviation::FaceLost) } else { Ok(matched) }
}

/// The times in seconds at which the device showed the challenges; empty if it did not report them.
fn shown_times(challenge: &Challenge<'_>, duration: f32) -> Result<Vec<f32>, Deviation> {
    let events = challenge.events;
    let is_of = |(number, event): (usize, &ChallengeEvent)| usize::from(event.challenge) == number;
    let is_complete = events.len() == challenge.directions.len() && events.iter().enumerate().all(is_of);
    let times: Vec<f32> = events.iter().map(|event| event.shown_at_ms as f32 / 1000.0).collect();
    let is_ordered = times.is_sorted() && times.iter().all(|&time| time <= duration);
    if events.is_empty() || (is_complete && is_ordered) { Ok(times) } else { Err(Deviation::Events) }
}

/// The turns without those that repeat the one before: a person may turn back too early and try again.
fn distinct(turns: &[Turn]) -> Vec<Turn> {
    let mut distinct: Vec<Turn> = Vec::new();
    for turn in turns {
        match distinct.last_mut() {
            Some(before) if before.direction.is_some() && before.direction == turn.direction => {
                before.end = turn.end;
            }
            _ => distinct.push(turn.clone()),
        }
    }
    distinct
}

/// Reason why there is no turn.
fn missing(movement: &Movement, number: usize) -> Deviation {
    if has_gap(movement, f32::INFINITY) { Deviation::FaceLost } else { Deviation::Missing(number) }
}

/// Whether the face is not measurable for too long between the neutral pose and a time in seconds.
fn has_gap(movement: &Movement, until: f32) -> bool {
    let mut before = movement.neutral_until;
    for sample in movement.samples.iter().take_while(|sample| sample.time <= until) {
        if sample.time - before > MAX_GAP_SECONDS {
            return true;
        }
        before = sample.time;
    }
    false
}
