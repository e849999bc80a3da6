//! Whether one more job may go on its way, and when to come again where not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::fingerprint::RequestFingerprint;
use super::limit::Limit;
use super::pace::Pace;
use super::promises::{Promise, Promises};

/// A body that takes longer than this to come in does not count until it is there: whoever sends slowly takes no
/// worker's time meanwhile, and must not keep others from it.
const ARRIVING: Duration = Duration::from_secs(2);
/// Part of the limit that is kept for callers who were told to come now. Others have the rest, and more than that where
/// fewer are expected; so callers who come again go first and no worker waits for those who do not.
const KEPT: f64 = 0.25;

/// The limit, the pace and the promises of one gateway, over explicit time.
pub(super) struct Throttle {
    limit: Limit,
    pace: Pace,
    promises: Promises,
    /// When they were let in, of jobs whose bodies are coming in.
    arriving: BTreeMap<u64, Instant>,
    /// Number of the next of them.
    next: u64,
    /// Jobs whose bodies are here.
    received: usize,
}

/// Where a job is on its way.
#[derive(Debug)]
pub(super) enum Stage {
    /// Its body comes in.
    Arriving(u64),
    /// Its body is here.
    Received,
}

impl Throttle {
    /// At most `most` jobs, and fewer where they wait for longer than `target`; nobody is told to come again later than
    /// in `longest`.
    pub(super) fn new(now: Instant, target: Duration, most: usize, longest: Duration) -> Self {
        Self {
            limit: Limit::new(target, most),
            pace: Pace::new(now),
            promises: Promises::new(now, longest),
            arriving: BTreeMap::new(),
            next: 0,
            received: 0,
        }
    }

    /// The present limit, in jobs.
    pub(super) fn limit(&self) -> usize {
        self.limit.jobs()
    }

    /// Whether the caller of `fingerprint` was told to come now.
    pub(super) fn expects(&mut self, now: Instant, fingerprint: &RequestFingerprint) -> bool {
        self.promises.keep(now, fingerprint)
    }

    /// Whether there is room for one more job.
    pub(super) fn has_room(&mut self, now: Instant, is_expected: bool) -> bool {
        let limit = self.limit.jobs() as f64;
        let kept = if is_expected { 0.0 } else { self.promises.expected(now).min(limit * KEPT) };
        (self.jobs(now) + 1) as f64 <= limit - kept.ceil()
    }

    /// A job is let in.
    pub(super) fn enter(&mut self, now: Instant) -> Stage {
        self.next += 1;
        self.arriving.insert(self.next, now);
        Stage::Arriving(self.next)
    }

    /// The body of a job is here.
    pub(super) fn receive(&mut self, stage: &mut Stage) {
        if let Stage::Arriving(number) = *stage {
            self.arriving.remove(&number);
            self.received += 1;
            *stage = Stage::Received;
        }
    }

    /// A job was answered by a worker after it had waited for `wait`.
    pub(super) fn answered(&mut self, now: Instant, wait: Duration) {
        self.pace.answered(now);
        self.limit.answered(now, wait);
    }

    /// A job is over, however it ended.
    pub(super) fn leave(&mut self, stage: &Stage) {
        match stage {
            Stage::Arriving(number) => drop(self.arriving.remove(number)),
            Stage::Received => self.received -= 1,
        }
    }

    /// The limit is why somebody is refused.
    pub(super) fn felt(&mut self) {
        self.limit.refused();
    }

    /// When the refused caller of `fingerprint` shall come again. `slowest` is a pace, in jobs a second, that holds whatever was seen so
    /// far; `random` is in `0.0..1.0`.
    pub(super) fn promise(
        &mut self,
        now: Instant,
        fingerprint: &RequestFingerprint,
        slowest: f64,
        random: f64,
    ) -> Promise {
        let pace = self.pace.per_second(now).max(slowest);
        let excess = self.jobs(now).saturating_sub(self.limit.jobs()) as f64 / pace;
        let excess = Duration::try_from_secs_f64(excess).unwrap_or_default();
        self.promises.promise(now, fingerprint, pace, excess, random)
    }

    /// Jobs on their way that count.
    fn jobs(&mut self, now: Instant) -> usize {
        while let Some(oldest) = self.arriving.first_entry()
            && now.saturating_duration_since(*oldest.get()) > ARRIVING
        {
            oldest.remove();
        }
        self.arriving.len() + self.received
    }
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint::ConnectionId;
    use super::*;

    const TARGET: Duration = Duration::from_millis(500);

    fn fingerprint(caller: u64) -> RequestFingerprint {
        RequestFingerprint::new(caller, ConnectionId::default())
    }

    fn throttle(now: Instant, most: usize) -> Throttle {
        Throttle::new(now, TARGET, most, Duration::from_secs(30))
    }

    #[test]
    fn slow_bodies_do_not_keep_others_from_the_workers() {
        let start = Instant::now();
        let mut throttle = throttle(start, 4);
        let mut stages: Vec<_> = (0..4).map(|_| throttle.enter(start)).collect();
        assert!(!throttle.has_room(start, false));
        let later = start + ARRIVING + Duration::from_millis(1);
        assert!(throttle.has_room(later, false));
        // Once they are here, they count.
        for stage in &mut stages {
            throttle.receive(stage);
        }
        assert!(!throttle.has_room(later, false));
        for stage in stages {
            throttle.leave(&stage);
        }
        assert_eq!(throttle.jobs(later), 0);
    }

    #[test]
    fn a_caller_who_comes_as_told_goes_first() {
        let start = Instant::now();
        let mut throttle = throttle(start, 8);
        for caller in 0..4 {
            assert_eq!(
                throttle.promise(start, &fingerprint(caller), 100.0, 0.0).after,
                Duration::from_secs(1)
            );
        }
        let later = start + Duration::from_secs(1);
        let _in = [(); 6].map(|()| throttle.enter(later));
        assert!(!throttle.has_room(later, false), "a quarter is kept");
        assert!(throttle.expects(later, &fingerprint(3)));
        assert!(throttle.has_room(later, true));
        // Nobody waits for those who do not come.
        assert!(throttle.has_room(later + Duration::from_secs(1), false));
    }

    #[test]
    fn too_many_on_their_way_are_done_first() {
        let start = Instant::now();
        let mut throttle = throttle(start, 100);
        for _ in 0..100 {
            let mut stage = throttle.enter(start);
            throttle.receive(&mut stage);
        }
        throttle.answered(start, TARGET * 2);
        assert_eq!(throttle.limit(), 50);
        let promise = throttle.promise(start, &fingerprint(1), 10.0, 0.0);
        assert_eq!(promise, Promise { after: Duration::from_secs(5), is_booked: true });
    }
}
