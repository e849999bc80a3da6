//! Retry reservations: the `Retry-After` of a refused request is a time at which capacity is reserved for its retry.
//!
//! A reservation consists of the fingerprint, by which the retry is recognised ([`RequestFingerprint`]), and a slot of
//! 0.1 s. `Retry-After` has whole seconds, so the candidates for a refused request are the slots 1 s, 2 s, 3 s, …
//! from now, and it gets the first one with free capacity. The slots of any second together hold 90 %
//! ([`RESERVABLE_FRACTION`]) of the capacity. One slot holds a tenth of that, and in addition the jobs that the gateway
//! may take at once: callers that are refused together return together, and wait briefly in the queue. Under a lasting
//! overload there are no additional jobs. Then requests that are refused in different tenths of a second return in
//! different tenths. This replaces random jitter, which would be lost in whole seconds.
//!
//! Not every caller retries. Reservations whose slot passed unused are counted, and the capacity is overbooked by the
//! observed show rate: `slots = rate * 0.9 / show_rate`.
//!
//! After a second without any job, all reservations are dropped ([`RetryReservations::clear`]). A caller that comes
//! then needs no reservation. Reservations of callers that never return must not delay others once the overload is
//! over.
//!
//! No reservation is later than `admission.max_retry_after`. At three times the capacity, 30 s of reservations are
//! full after about 15 s. From then on a refused request gets a random time in the last third of that range, without a
//! reservation: reserving more than can be completed would break the earlier reservations too.
//!
//! The scheme and its constants are this project's own. The tests in `simulation/` require that at least 90 % of the
//! retries that come at their reserved time are admitted.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::decaying_count::DecayingCount;
use super::fingerprint::RequestFingerprint;

const SLOTS_PER_SECOND: u64 = 10;
/// A reservation expires this many slots (2 s) after its time. With a longer time, unused reservations would be taken
/// by other callers whose requests have the same fingerprint.
const EXPIRY_SLOTS: u64 = 2 * SLOTS_PER_SECOND;
/// Reservations up to this many slots before the present one count as expected now.
const LATE_SLOTS: u64 = 5;
/// Reservations up to this many slots after the present one count as expected now.
const EARLY_SLOTS: u64 = 3;
/// Fraction of the capacity that is reserved. The rest absorbs fluctuations.
const RESERVABLE_FRACTION: f64 = 0.9;
/// Prior of the show rate: it starts as if this many reservations had been used and none missed.
const PRIOR_USED_RESERVATIONS: f64 = 10.0;
/// Lower bound of the show rate, so the overbooking factor is at most 50.
const MIN_SHOW_RATE: f64 = 0.02;
/// Refused requests without a reservation are spread over the last third of the range.
const UNRESERVED_SPREAD: f64 = 1.0 / 3.0;

/// The time at which a refused request should be retried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RetryTime {
    /// `Retry-After`, in whole seconds.
    pub(super) after: Duration,
    /// Whether capacity is reserved for the retry at that time.
    pub(super) is_reserved: bool,
}

/// The capacity that is expected for retries.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryCapacity {
    /// Jobs per second that the workers can do.
    pub(super) per_second: f64,
    /// Jobs that may come at once, in addition to those that the workers do meanwhile.
    pub(super) free_jobs: f64,
    /// The time from now during which there is no capacity.
    pub(super) earliest: Duration,
}

/// The reservations of one gateway.
pub(super) struct RetryReservations {
    start: Instant,
    /// The latest reservation, in seconds from now.
    max_seconds: u64,
    /// Number of the first slot in `slots`, counted from `start`.
    first_slot: u64,
    /// Fingerprints of the expected retries, by slot.
    slots: VecDeque<Vec<RequestFingerprint>>,
    /// Number of reservations for each request hash.
    reservations_by_request: HashMap<u64, usize>,
    used: DecayingCount,
    missed: DecayingCount,
}

impl RetryReservations {
    /// Starts without reservations. `max_retry_after` is rounded down to whole seconds, at least one.
    pub(super) fn new(now: Instant, max_retry_after: Duration) -> Self {
        Self {
            start: now,
            max_seconds: max_retry_after.as_secs().max(1),
            first_slot: 0,
            slots: VecDeque::new(),
            reservations_by_request: HashMap::new(),
            used: DecayingCount::new(now),
            missed: DecayingCount::new(now),
        }
    }

    /// Uses up the reservation of `fingerprint` if it has one that is due; returns whether it had.
    ///
    /// A reservation over the same open connection has precedence. Otherwise, one whose connection has closed is
    /// accepted, or the only reservation for such a request.
    pub(super) fn take(&mut self, now: Instant, fingerprint: &RequestFingerprint) -> bool {
        let due = (self.advance_to(now) + 1 - self.first_slot) as usize;
        let is_only = self.reservations_by_request.get(&fingerprint.request_hash()) == Some(&1);
        let find = |matches: &dyn Fn(&RequestFingerprint) -> bool| {
            let due_slots = self.slots.iter().take(due).enumerate();
            due_slots
                .into_iter()
                .find_map(|(slot, reserved)| Some((slot, reserved.iter().position(matches)?)))
        };
        let found = find(&|reserved| reserved.is_same_connection(fingerprint)).or_else(|| {
            find(&|reserved| {
                reserved.may_have_reconnected_as(fingerprint)
                    || (is_only && reserved.is_same_request(fingerprint))
            })
        });
        let Some((slot, index)) = found else { return false };
        let reserved = self.slots[slot].swap_remove(index);
        self.forget(&reserved);
        self.used.add(now, 1);
        true
    }

    /// The number of retries that are expected around `now`: the reservations of the slots around it, times the show
    /// rate.
    pub(super) fn expected(&mut self, now: Instant) -> f64 {
        let slot = self.advance_to(now);
        let from = slot.saturating_sub(LATE_SLOTS).max(self.first_slot);
        let slots = self.slots.iter().skip((from - self.first_slot) as usize);
        let reserved: usize = slots.take((slot + EARLY_SLOTS + 1 - from) as usize).map(Vec::len).sum();
        reserved as f64 * self.show_rate(now)
    }

    /// Drops all reservations, and forgets how many callers retried.
    pub(super) fn clear(&mut self, now: Instant) {
        self.advance_to(now);
        self.slots.clear();
        self.reservations_by_request.clear();
        self.used = DecayingCount::new(now);
        self.missed = DecayingCount::new(now);
    }

    /// Reserves the first time with free `capacity` for a retry of `fingerprint`. `random` is in `0.0..1.0` and spreads
    /// requests that get no reservation.
    pub(super) fn reserve(
        &mut self,
        now: Instant,
        fingerprint: &RequestFingerprint,
        capacity: RetryCapacity,
        random: f64,
    ) -> RetryTime {
        let present = self.advance_to(now);
        let show_rate = self.show_rate(now);
        let RetryCapacity { per_second, free_jobs, earliest } = capacity;
        let max_per_second = (per_second * RESERVABLE_FRACTION / show_rate).max(1.0);
        let max_per_slot = (max_per_second / SLOTS_PER_SECOND as f64 + free_jobs / show_rate).max(1.0);
        let first_second = (earliest.as_secs_f64().ceil() as u64).clamp(1, self.max_seconds);
        for seconds in first_second..=self.max_seconds {
            let slot = (present + seconds * SLOTS_PER_SECOND - self.first_slot) as usize;
            if self.slots.len() <= slot {
                self.slots.resize_with(slot + 1, Vec::new);
            }
            // A rate below ten per second is not visible in one slot, so the second that ends there has a bound too.
            let second = slot.saturating_sub(SLOTS_PER_SECOND as usize - 1)..=slot;
            let in_second: usize = self.slots.range(second).map(Vec::len).sum();
            let in_slot = self.slots[slot].len();
            if (in_slot + 1) as f64 <= max_per_slot && (in_second + 1) as f64 <= max_per_second {
                self.slots[slot].push(fingerprint.clone());
                *self.reservations_by_request.entry(fingerprint.request_hash()).or_default() += 1;
                return RetryTime { after: Duration::from_secs(seconds), is_reserved: true };
            }
        }
        let earlier = (self.max_seconds as f64 * UNRESERVED_SPREAD * random) as u64;
        let seconds = (self.max_seconds - earlier).max(first_second);
        RetryTime { after: Duration::from_secs(seconds), is_reserved: false }
    }

    /// The fraction of recent reservations that was used: `used / (used + missed)`, at least [`MIN_SHOW_RATE`].
    fn show_rate(&self, now: Instant) -> f64 {
        let used = self.used.count(now) + PRIOR_USED_RESERVATIONS;
        (used / (used + self.missed.count(now))).max(MIN_SHOW_RATE)
    }

    /// Drops the slots that have expired, counts their reservations as missed, and returns the present slot's number.
    fn advance_to(&mut self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start);
        let slot = (elapsed.as_millis() as u64 * SLOTS_PER_SECOND / 1000).max(self.first_slot);
        let expired_slots = slot.saturating_sub(EXPIRY_SLOTS).saturating_sub(self.first_slot);
        let expired: Vec<RequestFingerprint> =
            self.slots.drain(..self.slots.len().min(expired_slots as usize)).flatten().collect();
        if !expired.is_empty() {
            self.missed.add(now, expired.len());
        }
        for reserved in &expired {
            self.forget(reserved);
        }
        self.first_slot += expired_slots;
        slot
    }

    fn forget(&mut self, reserved: &RequestFingerprint) {
        if let Some(count) = self.reservations_by_request.get_mut(&reserved.request_hash()) {
            *count -= 1;
            if *count == 0 {
                self.reservations_by_request.remove(&reserved.request_hash());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::fingerprint::{ClientConnection, ConnectionId};
    use super::*;

    const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

    fn fingerprint(caller: u64) -> RequestFingerprint {
        RequestFingerprint::new(caller, ConnectionId::default())
    }

    fn capacity(per_second: f64) -> RetryCapacity {
        RetryCapacity { per_second, free_jobs: 0.0, earliest: Duration::ZERO }
    }

    struct Fixture {
        reservations: RetryReservations,
        now: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            let now = Instant::now();
            Self { reservations: RetryReservations::new(now, MAX_RETRY_AFTER), now }
        }

        fn pass(&mut self, millis: u64) {
            self.now += Duration::from_millis(millis);
        }

        fn takes(&mut self, caller: u64) -> bool {
            self.reservations.take(self.now, &fingerprint(caller))
        }

        /// The `Retry-After` of `caller` in seconds, and whether it is reserved.
        fn reserve(&mut self, caller: u64, rate: f64) -> (u64, bool) {
            self.reserve_in(caller, capacity(rate))
        }

        fn reserve_in(&mut self, caller: u64, capacity: RetryCapacity) -> (u64, bool) {
            let RetryTime { after, is_reserved } =
                self.reservations.reserve(self.now, &fingerprint(caller), capacity, 0.99);
            (after.as_secs(), is_reserved)
        }
    }

    #[test]
    fn a_reservation_is_used_once_and_from_its_time_on() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.reserve(7, 100.0), (1, true));
        fixture.pass(899);
        assert!(!fixture.takes(7), "too early");
        fixture.pass(101);
        assert!(!fixture.takes(8), "another caller");
        assert!(fixture.takes(7));
        assert!(!fixture.takes(7), "twice");
        assert_eq!(fixture.reserve(7, 100.0), (1, true));
        fixture.pass(1000 + 2100);
        assert!(!fixture.takes(7), "too late");
    }

    #[test]
    fn callers_with_equal_requests_do_not_take_each_others_reservations() {
        let mut fixture = Fixture::new();
        let connections: [Arc<ClientConnection>; 3] = Default::default();
        let fingerprint = |caller: usize| RequestFingerprint::new(7, connections[caller].next_request());
        for caller in 0..2 {
            fixture.reservations.reserve(fixture.now, &fingerprint(caller), capacity(100.0), 0.0);
        }
        fixture.pass(1000);
        let mut takes = |fingerprint| fixture.reservations.take(fixture.now, &fingerprint);
        assert!(!takes(fingerprint(2)), "a stranger");
        assert!(takes(fingerprint(1)));
        assert!(takes(fingerprint(2)), "the only reservation left");
        assert!(!takes(fingerprint(0)));
    }

    #[test]
    fn a_burst_is_spread_at_nine_tenths_of_the_rate_and_then_nothing_more_is_reserved() {
        let mut fixture = Fixture::new();
        let times: Vec<_> = (0..400).map(|caller| fixture.reserve(caller, 100.0)).collect();
        for second in 1..=30 {
            let in_second = times.iter().filter(|retry| **retry == (second, true)).count();
            // Nine of the ninety reservations that fit into a second: all were refused in the same tenth.
            assert_eq!(in_second, 9, "{second}");
        }
        let others: Vec<_> = times.iter().filter(|(_, is_reserved)| !is_reserved).collect();
        assert!(others.iter().all(|(seconds, _)| (20..=30).contains(seconds)) && others.len() == 130);
    }

    #[test]
    fn who_is_refused_together_may_return_together_where_there_is_room() {
        let mut fixture = Fixture::new();
        let idle = RetryCapacity { free_jobs: 50.0, ..capacity(83.0) };
        let times: Vec<_> = (0..50).map(|caller| fixture.reserve_in(caller, idle)).collect();
        assert_eq!(times, [(1, true); 50], "all fit into 0.6 s");
        // The reservations of one second are at most nine tenths of the jobs that are done in it.
        let times: Vec<_> = (50..100).map(|caller| fixture.reserve_in(caller, idle).0).collect();
        assert_eq!(times.iter().filter(|seconds| **seconds == 1).count(), 7, "{times:?}");
        assert_eq!(times.iter().max(), Some(&2));
    }

    #[test]
    fn callers_who_left_make_nobody_wait_once_all_is_cleared() {
        let mut fixture = Fixture::new();
        while fixture.reserve(1, 10.0).0 < 25 {}
        fixture.pass(3000);
        fixture.reservations.clear(fixture.now);
        assert_eq!(fixture.reserve(2, 10.0), (1, true));
        fixture.pass(1000);
        assert!(!fixture.takes(1) && fixture.takes(2));
    }

    #[test]
    fn a_slow_rate_has_room_for_few_in_any_second() {
        let mut fixture = Fixture::new();
        let mut times = Vec::new();
        for caller in 0..10 {
            times.push(fixture.reserve(caller, 3.0).0 * 1000 + caller * 100);
            fixture.pass(100);
        }
        times.sort_unstable();
        assert!(times.windows(3).all(|times| times[2] - times[0] >= 1000), "{times:?}");
    }

    #[test]
    fn no_retry_is_reserved_before_there_is_room_at_all() {
        let mut fixture = Fixture::new();
        let later = |per_second, earliest| RetryCapacity { earliest, ..capacity(per_second) };
        let retry = fixture.reservations.reserve(
            fixture.now,
            &fingerprint(1),
            later(1.0, Duration::from_millis(4200)),
            0.0,
        );
        assert_eq!(retry, RetryTime { after: Duration::from_secs(5), is_reserved: true });
        let never = fixture.reservations.reserve(
            fixture.now,
            &fingerprint(2),
            later(f64::MIN_POSITIVE, Duration::MAX),
            0.5,
        );
        assert_eq!(never.after, MAX_RETRY_AFTER);
    }

    #[test]
    fn where_few_come_again_more_is_reserved() {
        let mut fixture = Fixture::new();
        let reserved_per_second = |fixture: &mut Fixture| {
            let times = (0..50).filter(|caller| fixture.reserve(*caller, 100.0).0 == 1).count();
            fixture.pass(7000);
            times
        };
        assert_eq!(reserved_per_second(&mut fixture), 9);
        for _ in 0..10 {
            reserved_per_second(&mut fixture);
        }
        assert_eq!(reserved_per_second(&mut fixture), 50, "nobody came, so the capacity is overbooked");
    }

    #[test]
    fn a_long_silence_is_no_harm() {
        let mut fixture = Fixture::new();
        fixture.reserve(1, 10.0);
        fixture.pass(1000 * 3600 * 24);
        assert!(!fixture.takes(1));
        assert_eq!(fixture.reserve(1, 10.0), (1, true));
        fixture.pass(1000);
        assert!(fixture.reservations.expected(fixture.now) > 0.5);
        assert!(fixture.takes(1));
        assert_eq!(fixture.reservations.expected(fixture.now), 0.0);
    }
}
