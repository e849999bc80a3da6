//! Wrong credentials, by the address that they came from.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::fault::{BusyCause, Fault};

/// Failures are forgotten after this.
const MEMORY: Duration = Duration::from_secs(60);

/// Addresses in one of the two generations: some megabytes.
const GENERATION: usize = 32 << 10;

/// Where a request comes from, as failed attempts are counted: an IPv4 address, or a network of 64 bits, which is what a
/// single customer gets of IPv6.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Peer(IpAddr);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                Self(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into())
            }
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

/// An address that is not known.
impl Default for Peer {
    fn default() -> Self {
        Self(Ipv4Addr::UNSPECIFIED.into())
    }
}

/// Counts failed attempts by address (GCRA): so many at once, and then one each time that one is forgotten.
///
/// The memory is bounded: of more than 65,000 addresses that fail in a minute, those that did so longest ago are
/// forgotten.
pub(super) struct Failures {
    /// What one failure takes off an address's time.
    each: Duration,
    kept: Mutex<Kept>,
}

/// When all failures of an address are forgotten, by address. What has not been touched for a whole generation's time is
/// forgotten anyway, so that old generations can be dropped as they are.
struct Kept {
    young: HashMap<Peer, Instant>,
    old: HashMap<Peer, Instant>,
    since: Instant,
}

impl Failures {
    /// `most` a minute; at least one.
    pub(super) fn new(most: u32) -> Self {
        let kept = Kept { young: HashMap::new(), old: HashMap::new(), since: Instant::now() };
        Self { each: MEMORY / most.max(1), kept: Mutex::new(kept) }
    }

    /// What to answer to a wrong credential of `peer`, which is counted.
    pub(super) fn refusal(&self, peer: Peer) -> Fault {
        self.count(Instant::now(), peer).map_or_else(too_many, |()| Fault::Unauthenticated)
    }

    /// Whether a credential of `peer` that may be wrong is looked at.
    pub(super) fn check(&self, peer: Peer) -> Result<(), Fault> {
        self.wait(Instant::now(), peer).map_or(Ok(()), |wait| Err(too_many(wait)))
    }

    /// How long `peer` has to wait until one more attempt may fail; `None` where it may do so now.
    fn wait(&self, now: Instant, peer: Peer) -> Option<Duration> {
        self.room(self.kept().until(now, peer), now).err()
    }

    /// Counts a failure of `peer`, or says how long it has to wait, where it has failed too often.
    fn count(&self, now: Instant, peer: Peer) -> Result<(), Duration> {
        let mut kept = self.kept();
        let until = self.room(kept.until(now, peer), now)?;
        kept.set(now, peer, until);
        Ok(())
    }

    /// Until when failures would be remembered with one more.
    fn room(&self, until: Instant, now: Instant) -> Result<Instant, Duration> {
        let with_one_more = until + self.each;
        match with_one_more.duration_since(now).checked_sub(MEMORY) {
            None | Some(Duration::ZERO) => Ok(with_one_more),
            Some(wait) => Err(wait),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many(wait: Duration) -> Fault {
    Fault::busy(BusyCause::FailedLogins, wait)
}

impl Kept {
    fn until(&self, now: Instant, peer: Peer) -> Instant {
        self.young.get(&peer).or_else(|| self.old.get(&peer)).map_or(now, |until| (*until).max(now))
    }

    fn set(&mut self, now: Instant, peer: Peer, until: Instant) {
        if self.young.len() >= GENERATION || now.duration_since(self.since) >= MEMORY {
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
        self.young.insert(peer, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn an_address_may_fail_so_often_a_minute() {
        let failures = Failures::new(20);
        let (start, one) = (Instant::now(), peer("192.0.2.1"));
        for _ in 0..20 {
            assert_eq!(failures.wait(start, one), None);
            assert_eq!(failures.count(start, one), Ok(()));
        }
        let refused = Duration::from_secs(3);
        for _ in 0..2 {
            assert_eq!(failures.count(start, one), Err(refused), "what is refused does not count");
            assert_eq!(failures.wait(start, one), Some(refused));
        }
        assert_eq!(failures.wait(start, peer("192.0.2.2")), None, "another address is not concerned");
        let later = start + refused;
        assert_eq!(failures.count(later, one), Ok(()));
        assert_eq!(failures.count(later, one), Err(refused));
        let long_after = later + MEMORY;
        assert!((0..20).all(|_| failures.count(long_after, one).is_ok()));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_mapped_one_is_itself() {
        assert_eq!(peer("2001:db8:1:2:3::4"), peer("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(peer("2001:db8:1:2::1"), peer("2001:db8:1:3::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_ne!(peer("::ffff:192.0.2.1"), peer("::ffff:192.0.2.2"));
    }

    #[test]
    fn many_addresses_take_bounded_room_and_the_latest_are_known() {
        let failures = Failures::new(1);
        let start = Instant::now();
        let peers: Vec<_> = (0..3 * GENERATION as u32)
            .map(|bits| Peer::from(IpAddr::from(Ipv4Addr::from_bits(bits))))
            .collect();
        for peer in &peers {
            failures.count(start, *peer).unwrap();
        }
        let kept = failures.kept();
        assert!(kept.young.len() + kept.old.len() <= 2 * GENERATION);
        drop(kept);
        assert!(peers[2 * GENERATION..].iter().all(|peer| failures.wait(start, *peer).is_some()));
        assert!(failures.wait(start, peers[0]).is_none());
    }
}
