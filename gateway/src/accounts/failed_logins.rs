//! Failed logins, counted by the address that they came from.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::fault::{BusyCause, Fault};

/// A failure is forgotten after this time.
const FAILURE_WINDOW: Duration = Duration::from_secs(60);

/// The most addresses in one of the two generations, which take some megabytes of memory.
const MAX_GENERATION_ADDRESSES: usize = 32 << 10;

/// Where a request comes from, for counting failed logins: an IPv4 address, or the /64 network of an IPv6 address, which is
/// the smallest that providers assign to a customer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SourceAddress(IpAddr);

impl From<IpAddr> for SourceAddress {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                Self(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into())
            }
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

/// An unknown address.
impl Default for SourceAddress {
    fn default() -> Self {
        Self(Ipv4Addr::UNSPECIFIED.into())
    }
}

/// Counts failed logins by address with the generic cell rate algorithm (GCRA): an address may fail a number of times at once,
/// and again each time a failure is forgotten.
///
/// Memory is bounded: if more than 65,000 addresses fail in a minute, the earliest are forgotten.
pub(super) struct FailedLogins {
    /// Time after which one more failure is allowed: the window divided by the allowed failures.
    each: Duration,
    by_address: Mutex<FailuresByAddress>,
}

/// For each address the time at which all its failures are forgotten. An entry that was not changed for a whole window has
/// expired, so the older of the two generations can be dropped as a whole.
struct FailuresByAddress {
    young: HashMap<SourceAddress, Instant>,
    old: HashMap<SourceAddress, Instant>,
    since: Instant,
}

impl FailedLogins {
    /// Allows `most` failures a minute, at least one.
    pub(super) fn new(most: u32) -> Self {
        let by_address =
            FailuresByAddress { young: HashMap::new(), old: HashMap::new(), since: Instant::now() };
        Self { each: FAILURE_WINDOW / most.max(1), by_address: Mutex::new(by_address) }
    }

    /// Counts a wrong credential from `source`, and returns the answer to it.
    pub(super) fn count(&self, source: SourceAddress) -> Fault {
        self.try_count(Instant::now(), source).map_or_else(too_many, |()| Fault::Unauthenticated)
    }

    /// Fails if `source` has no failure left, so a password from there must not be checked.
    pub(super) fn check(&self, source: SourceAddress) -> Result<(), Fault> {
        self.wait(Instant::now(), source).map_or(Ok(()), |wait| Err(too_many(wait)))
    }

    /// How long `source` has to wait before it may fail again. `None` if it may do so now.
    fn wait(&self, now: Instant, source: SourceAddress) -> Option<Duration> {
        self.room(self.by_address().until(now, source), now).err()
    }

    /// Counts a failure of `source`. If it has failed too often, the failure is not counted, and the time to wait is returned.
    fn try_count(&self, now: Instant, source: SourceAddress) -> Result<(), Duration> {
        let mut by_address = self.by_address();
        let until = self.room(by_address.until(now, source), now)?;
        by_address.set(now, source, until);
        Ok(())
    }

    /// The time at which all failures would be forgotten after one more, or how long to wait until one more is allowed.
    fn room(&self, until: Instant, now: Instant) -> Result<Instant, Duration> {
        let with_one_more = until + self.each;
        match with_one_more.duration_since(now).checked_sub(FAILURE_WINDOW) {
            None | Some(Duration::ZERO) => Ok(with_one_more),
            Some(wait) => Err(wait),
        }
    }

    fn by_address(&self) -> MutexGuard<'_, FailuresByAddress> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many(wait: Duration) -> Fault {
    Fault::busy(BusyCause::FailedLogins, wait)
}

impl FailuresByAddress {
    fn until(&self, now: Instant, source: SourceAddress) -> Instant {
        self.young.get(&source).or_else(|| self.old.get(&source)).map_or(now, |until| (*until).max(now))
    }

    fn set(&mut self, now: Instant, source: SourceAddress, until: Instant) {
        if self.young.len() >= MAX_GENERATION_ADDRESSES || now.duration_since(self.since) >= FAILURE_WINDOW {
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
        self.young.insert(source, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> SourceAddress {
        SourceAddress::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn an_address_may_fail_so_often_a_minute() {
        let failures = FailedLogins::new(20);
        let (start, one) = (Instant::now(), source("192.0.2.1"));
        for _ in 0..20 {
            assert_eq!(failures.wait(start, one), None);
            assert_eq!(failures.try_count(start, one), Ok(()));
        }
        let refused = Duration::from_secs(3);
        for _ in 0..2 {
            assert_eq!(failures.try_count(start, one), Err(refused), "what is refused does not count");
            assert_eq!(failures.wait(start, one), Some(refused));
        }
        assert_eq!(failures.wait(start, source("192.0.2.2")), None, "another address is not concerned");
        let later = start + refused;
        assert_eq!(failures.try_count(later, one), Ok(()));
        assert_eq!(failures.try_count(later, one), Err(refused));
        let long_after = later + FAILURE_WINDOW;
        assert!((0..20).all(|_| failures.try_count(long_after, one).is_ok()));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_mapped_one_is_itself() {
        assert_eq!(source("2001:db8:1:2:3::4"), source("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("::ffff:192.0.2.1"), source("::ffff:192.0.2.2"));
    }

    #[test]
    fn many_addresses_take_bounded_room_and_the_latest_are_known() {
        let failures = FailedLogins::new(1);
        let start = Instant::now();
        let sources: Vec<_> = (0..3 * MAX_GENERATION_ADDRESSES as u32)
            .map(|bits| SourceAddress::from(IpAddr::from(Ipv4Addr::from_bits(bits))))
            .collect();
        for source in &sources {
            failures.try_count(start, *source).unwrap();
        }
        let kept = failures.by_address();
        assert!(kept.young.len() + kept.old.len() <= 2 * MAX_GENERATION_ADDRESSES);
        drop(kept);
        assert!(
            sources[2 * MAX_GENERATION_ADDRESSES..]
                .iter()
                .all(|source| failures.wait(start, *source).is_some())
        );
        assert!(failures.wait(start, sources[0]).is_none());
    }
}
