//! When refused callers shall come again, and the book in which they are expected.
//!
//! A promise has a caller, who is recognised when they come, and a tenth of a second. A caller is told the first whole
//! number of seconds from now whose tenth has room; together they are promised nine tenths of the pace at which jobs
//! are answered, so callers who are refused later, or in one burst, are told later times. That is the wait for what was
//! promised before, over the pace. The tenths are what jitter is for elsewhere: a burst would come again as a burst,
//! since `Retry-After` is in whole seconds.
//!
//! Not everybody comes again. Those who do not are counted when their time has passed, and so much more is promised.
//!
//! Beyond the last second that anybody may be told there is no room: at three times the capacity that is half a minute's
//! work after a quarter of a minute. Who finds no room is told one of the last seconds, and is not expected: to
//! promise more than can be done would break the promises of all.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::fingerprint::RequestFingerprint;
use super::pace::Fading;

const TICKS_PER_SECOND: u64 = 10;
/// In ticks: who is later than this is a caller like all others. Longer, and promises of callers who do not come would be
/// taken by others whose requests have the same length.
const GRACE: u64 = 2 * TICKS_PER_SECOND;
/// Ticks before and after the present one in which a caller is expected now.
const LATE: u64 = 5;
const EARLY: u64 = 3;
/// Part of the pace that is promised; the rest is for the unevenness of it all.
const PROMISED: f64 = 0.9;
/// As if so many had come again before the first was seen.
const TRUST: f64 = 10.0;
/// At least this part is thought to come again.
const FEWEST_COMING: f64 = 0.02;
/// Callers who are not expected are spread over the last part of the time.
const SPREAD: f64 = 1.0 / 3.0;

/// What a caller is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Promise {
    /// When to come again: whole seconds.
    pub(super) after: Duration,
    /// There is room then.
    pub(super) is_booked: bool,
}

/// The book.
pub(super) struct Promises {
    start: Instant,
    /// The last second that is promised.
    longest: u64,
    /// Number of the first page.
    first: u64,
    /// Callers who were told to come, by tick.
    pages: VecDeque<Vec<RequestFingerprint>>,
    /// How many of them look the same.
    alike: HashMap<u64, usize>,
    kept: Fading,
    broken: Fading,
}

impl Promises {
    /// An empty book up to `longest`, in whole seconds.
    pub(super) fn new(now: Instant, longest: Duration) -> Self {
        Self {
            start: now,
            longest: longest.as_secs().max(1),
            first: 0,
            pages: VecDeque::new(),
            alike: HashMap::new(),
            kept: Fading::new(now),
            broken: Fading::new(now),
        }
    }

    /// Whether `fingerprint` is of a caller who was told to come by now; only once for each promise.
    pub(super) fn keep(&mut self, now: Instant, fingerprint: &RequestFingerprint) -> bool {
        let due = (self.turn_to(now) + 1 - self.first) as usize;
        let is_alone = self.alike.get(&fingerprint.request()) == Some(&1);
        let find = |is_it: &dyn Fn(&RequestFingerprint) -> bool| {
            let places = self.pages.iter().take(due).enumerate();
            places.into_iter().find_map(|(page, told)| Some((page, told.iter().position(is_it)?)))
        };
        let place = find(&|told| told.is_same(fingerprint)).or_else(|| {
            find(&|told| told.may_return_as(fingerprint) || (is_alone && told.may_be(fingerprint)))
        });
        let Some((page, at)) = place else { return false };
        let told = self.pages[page].swap_remove(at);
        self.forget(&told);
        self.kept.add(now, 1);
        true
    }

    /// How many callers should come about now.
    pub(super) fn expected(&mut self, now: Instant) -> f64 {
        let tick = self.turn_to(now);
        let from = tick.saturating_sub(LATE).max(self.first);
        let pages = self.pages.iter().skip((from - self.first) as usize);
        let told: usize = pages.take((tick + EARLY + 1 - from) as usize).map(Vec::len).sum();
        told as f64 * self.coming(now)
    }

    /// When the caller of `fingerprint` shall come again: not before `earliest`, while jobs are answered at `pace` a second. `random` is
    /// in `0.0..1.0`.
    pub(super) fn promise(
        &mut self,
        now: Instant,
        fingerprint: &RequestFingerprint,
        pace: f64,
        earliest: Duration,
        random: f64,
    ) -> Promise {
        let tick = self.turn_to(now);
        let room_a_second = (pace * PROMISED / self.coming(now)).max(1.0);
        let room_a_tick = (room_a_second / TICKS_PER_SECOND as f64).max(1.0);
        let soonest = (earliest.as_secs_f64().ceil() as u64).clamp(1, self.longest);
        for seconds in soonest..=self.longest {
            let page = (tick + seconds * TICKS_PER_SECOND - self.first) as usize;
            if self.pages.len() <= page {
                self.pages.resize_with(page + 1, Vec::new);
            }
            let second = page.saturating_sub(TICKS_PER_SECOND as usize - 1)..=page;
            let in_second: usize = self.pages.range(second).map(Vec::len).sum();
            if (self.pages[page].len() + 1) as f64 <= room_a_tick && (in_second + 1) as f64 <= room_a_second {
                self.pages[page].push(fingerprint.clone());
                *self.alike.entry(fingerprint.request()).or_default() += 1;
                return Promise { after: Duration::from_secs(seconds), is_booked: true };
            }
        }
        let sooner = (self.longest as f64 * SPREAD * random) as u64;
        Promise { after: Duration::from_secs((self.longest - sooner).max(soonest)), is_booked: false }
    }

    /// Part of those who were told to come again that does.
    fn coming(&self, now: Instant) -> f64 {
        let kept = self.kept.count(now) + TRUST;
        (kept / (kept + self.broken.count(now))).max(FEWEST_COMING)
    }

    /// Turns the pages that are over; the present tick.
    fn turn_to(&mut self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        let tick = (since.as_millis() as u64 * TICKS_PER_SECOND / 1000).max(self.first);
        let over = tick.saturating_sub(GRACE).saturating_sub(self.first);
        let turned: Vec<RequestFingerprint> =
            self.pages.drain(..self.pages.len().min(over as usize)).flatten().collect();
        if !turned.is_empty() {
            self.broken.add(now, turned.len());
        }
        for told in &turned {
            self.forget(told);
        }
        self.first += over;
        tick
    }

    fn forget(&mut self, told: &RequestFingerprint) {
        if let Some(count) = self.alike.get_mut(&told.request()) {
            *count -= 1;
            if *count == 0 {
                self.alike.remove(&told.request());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::fingerprint::{ClientConnection, ConnectionId};
    use super::*;

    const LONGEST: Duration = Duration::from_secs(30);

    fn fingerprint(caller: u64) -> RequestFingerprint {
        RequestFingerprint::new(caller, ConnectionId::default())
    }

    struct Book {
        promises: Promises,
        now: Instant,
    }

    impl Book {
        fn new() -> Self {
            let now = Instant::now();
            Self { promises: Promises::new(now, LONGEST), now }
        }

        fn pass(&mut self, millis: u64) {
            self.now += Duration::from_millis(millis);
        }

        fn keeps(&mut self, caller: u64) -> bool {
            self.promises.keep(self.now, &fingerprint(caller))
        }

        /// Seconds that `caller` is told, and whether there is room then.
        fn promise(&mut self, caller: u64, pace: f64) -> (u64, bool) {
            let Promise { after, is_booked } =
                self.promises.promise(self.now, &fingerprint(caller), pace, Duration::ZERO, 0.99);
            (after.as_secs(), is_booked)
        }
    }

    #[test]
    fn a_promise_is_kept_once_and_from_its_time_on() {
        let mut book = Book::new();
        assert_eq!(book.promise(7, 100.0), (1, true));
        book.pass(899);
        assert!(!book.keeps(7), "too early");
        book.pass(101);
        assert!(!book.keeps(8), "somebody else");
        assert!(book.keeps(7));
        assert!(!book.keeps(7), "twice");
        assert_eq!(book.promise(7, 100.0), (1, true));
        book.pass(1000 + 2100);
        assert!(!book.keeps(7), "too late");
    }

    #[test]
    fn callers_who_look_the_same_do_not_take_each_others_promises() {
        let mut book = Book::new();
        let connections: [Arc<ClientConnection>; 3] = Default::default();
        let fingerprint = |caller: usize| RequestFingerprint::new(7, connections[caller].next_request());
        for caller in 0..2 {
            book.promises.promise(book.now, &fingerprint(caller), 100.0, Duration::ZERO, 0.0);
        }
        book.pass(1000);
        let mut keeps = |fingerprint| book.promises.keep(book.now, &fingerprint);
        assert!(!keeps(fingerprint(2)), "a stranger");
        assert!(keeps(fingerprint(1)));
        assert!(keeps(fingerprint(2)), "who alone is left to be expected");
        assert!(!keeps(fingerprint(0)));
    }

    #[test]
    fn a_burst_is_spread_at_nine_tenths_of_the_pace_and_then_no_more_is_promised() {
        let mut book = Book::new();
        let told: Vec<_> = (0..400).map(|caller| book.promise(caller, 100.0)).collect();
        for second in 1..=30 {
            let in_second = told.iter().filter(|promise| **promise == (second, true)).count();
            // Nine of the ninety that a second has room for: all were refused in the same tenth.
            assert_eq!(in_second, 9, "{second}");
        }
        let others: Vec<_> = told.iter().filter(|(_, is_booked)| !is_booked).collect();
        assert!(others.iter().all(|(seconds, _)| (20..=30).contains(seconds)) && others.len() == 130);
    }

    #[test]
    fn a_slow_pace_has_room_for_few_in_any_second() {
        let mut book = Book::new();
        let mut told = Vec::new();
        for caller in 0..10 {
            told.push(book.promise(caller, 3.0).0 * 1000 + caller * 100);
            book.pass(100);
        }
        told.sort_unstable();
        assert!(told.windows(3).all(|times| times[2] - times[0] >= 1000), "{told:?}");
    }

    #[test]
    fn nobody_is_told_to_come_before_there_is_room_at_all() {
        let mut book = Book::new();
        let promise = book.promises.promise(book.now, &fingerprint(1), 1.0, Duration::from_millis(4200), 0.0);
        assert_eq!(promise, Promise { after: Duration::from_secs(5), is_booked: true });
        let never = book.promises.promise(book.now, &fingerprint(2), f64::MIN_POSITIVE, Duration::MAX, 0.5);
        assert_eq!(never.after, LONGEST);
    }

    #[test]
    fn where_few_come_again_more_are_promised() {
        let mut book = Book::new();
        let told_a_second = |book: &mut Book| {
            let told = (0..50).filter(|caller| book.promise(*caller, 100.0).0 == 1).count();
            book.pass(7000);
            told
        };
        assert_eq!(told_a_second(&mut book), 9);
        for _ in 0..10 {
            told_a_second(&mut book);
        }
        assert_eq!(told_a_second(&mut book), 50, "nobody came, and they are still waited for");
    }

    #[test]
    fn a_long_silence_is_no_harm() {
        let mut book = Book::new();
        book.promise(1, 10.0);
        book.pass(1000 * 3600 * 24);
        assert!(!book.keeps(1));
        assert_eq!(book.promise(1, 10.0), (1, true));
        book.pass(1000);
        assert!(book.promises.expected(book.now) > 0.5);
        assert!(book.keeps(1));
        assert_eq!(book.promises.expected(book.now), 0.0);
    }
}
