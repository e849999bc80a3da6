//! Failed logins, counted by the address that they came from and by the user whose password was guessed.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher as _, Hash};
use std::mem::{self, Discriminant};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::fault::{BusyCause, Fault};

/// A failure is forgotten after this time.
const FAILURE_WINDOW: Duration = Duration::from_secs(60);
/// After a correct password, a user counts as known at an address for one to two times this duration.
const KNOWN_WINDOW: Duration = Duration::from_hours(12);
/// Maximum entries in one of the two generations of a table. They take some megabytes of memory.
const MAX_GENERATION_ENTRIES: usize = 32 << 10;

/// The source of a request: the caller's address.
#[derive(Clone, Copy, Debug)]
pub struct SourceAddress(IpAddr);

impl From<IpAddr> for SourceAddress {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

/// An unknown address.
impl Default for SourceAddress {
    fn default() -> Self {
        Self(Ipv4Addr::UNSPECIFIED.into())
    }
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl SourceAddress {
    /// The key under which failures and requests without a credential are counted: an IPv4 address, or the /64
    /// network of an IPv6 address. Providers assign no smaller network than that to a customer.
    pub(crate) fn network(self) -> IpAddr {
        match self.0 {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            v4 @ IpAddr::V4(_) => v4,
        }
    }
}

/// A kind of credential. Failures of one kind concern no other.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum CredentialKind {
    /// An API key.
    ApiKey,
    /// A password that was tried for this user.
    Password(UserKey),
    /// A token of a BWS client.
    Token,
    /// The capture token of a replay.
    CaptureToken,
    /// The id of a session, which a capture page may use as its credential.
    SessionId,
}

/// The key under which failures of a user are counted: a hash of the user's name under a key of this process. Its
/// length is bounded, while callers send names of any length.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct UserKey(u64);

/// The subject for which failures are counted.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Subject {
    /// Wrong credentials of one kind from an address; passwords of all users count together.
    Address(Discriminant<CredentialKind>, IpAddr),
    /// Wrong passwords of a user from all addresses.
    User(UserKey),
    /// Wrong passwords of a user from an address.
    UserAt(UserKey, IpAddr),
}

impl Subject {
    /// The subject for credentials of this kind from an address.
    fn address(kind: CredentialKind, address: IpAddr) -> Self {
        Self::Address(mem::discriminant(&kind), address)
    }
}

/// The decision which passwords of a user from an address are checked.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum PasswordCheck {
    /// All passwords are checked.
    Allowed,
    /// Too many passwords from this address were wrong, but the user has logged in from it before. So a password that
    /// is cached as correct may pass. All passwords are checked again after this time.
    OnlyCached(Duration),
    /// No password is checked for this time.
    Refused(Duration),
}

/// Counts failed logins with the generic cell rate algorithm (GCRA): a subject may fail a number of times at once, and
/// once more each time a failure is forgotten.
///
/// Memory is bounded. If more than 65,000 addresses fail in a minute, the earliest ones are forgotten. The same holds
/// for users, and for pairs of a user and an address. To make its own address forgotten, an attacker needs as many
/// other addresses. To make a user forgotten, it needs checked passwords of as many other users, and only the allowed
/// number of passwords is checked for each address.
///
/// Pairs of a user and an address also count passwords that are not checked, and those cost an attacker nothing. So
/// pairs have tables of their own. Pairs whose user is known at the address have a separate one, which invented names
/// do not enter. If another pair is forgotten, the limit of the address still bounds the passwords that are checked.
pub(super) struct FailedLogins {
    /// Time after which one more failure is allowed: the window divided by the allowed failures.
    each: Duration,
    hasher: RandomState,
    tables: Mutex<Tables>,
}

struct Tables {
    /// Failures by address.
    addresses: Generations<HashMap<Subject, Instant>>,
    /// Failures by user.
    users: Generations<HashMap<Subject, Instant>>,
    /// Failures by user and address, where the user is known at the address.
    known_pairs: Generations<HashMap<Subject, Instant>>,
    /// Failures by user and address, of all other pairs.
    other_pairs: Generations<HashMap<Subject, Instant>>,
    /// Users and the addresses that they have logged in from.
    known: Generations<HashSet<(UserKey, IpAddr)>>,
}

/// Two generations of entries. An entry that was not changed for a whole window has expired, so the older generation
/// can be dropped as a whole.
struct Generations<C> {
    window: Duration,
    young: C,
    old: C,
    since: Instant,
}

impl FailedLogins {
    /// Allows this many failures a minute, at least one.
    pub(super) fn new(failures_per_minute: u32) -> Self {
        let now = Instant::now();
        let tables = Tables {
            addresses: Generations::new(FAILURE_WINDOW, now),
            users: Generations::new(FAILURE_WINDOW, now),
            known_pairs: Generations::new(FAILURE_WINDOW, now),
            other_pairs: Generations::new(FAILURE_WINDOW, now),
            known: Generations::new(KNOWN_WINDOW, now),
        };
        let each = FAILURE_WINDOW / failures_per_minute.max(1);
        Self { each, hasher: RandomState::new(), tables: Mutex::new(tables) }
    }

    /// The key by which failures of a user are counted, whether it exists or not.
    pub(super) fn user(&self, name: &str) -> UserKey {
        UserKey(self.hasher.hash_one(name))
    }

    /// Counts a wrong credential from `source`, and returns the answer to it.
    pub(super) fn count(&self, kind: CredentialKind, source: SourceAddress) -> Fault {
        self.try_count(Instant::now(), kind, source).map_or_else(too_many, |()| Fault::Unauthenticated)
    }

    /// Notes that a user has logged in from `source`.
    pub(super) fn note_success(&self, user: UserKey, source: SourceAddress) {
        let entry = (user, source.network());
        let mut tables = self.tables();
        // Usually the user is known, and a request costs only a look-up.
        if !tables.known.young.contains(&entry) {
            tables.known.young(Instant::now()).insert(entry);
        }
    }

    /// Decides which passwords of `user` from `source` are checked.
    pub(super) fn check(&self, user: UserKey, source: SourceAddress) -> PasswordCheck {
        self.check_at(Instant::now(), user, source)
    }

    fn check_at(&self, now: Instant, user: UserKey, source: SourceAddress) -> PasswordCheck {
        let address = source.network();
        let tables = self.tables();
        let wait = |subject| self.after_one_more(tables.until(now, subject), now).err();
        let of_user_here = wait(Subject::UserAt(user, address));
        let of_address = wait(Subject::address(CredentialKind::Password(user), address));
        let of_user = wait(Subject::User(user));
        let Some(longest) = of_address.max(of_user) else {
            return of_user_here.map_or(PasswordCheck::Allowed, PasswordCheck::Refused);
        };
        if of_user_here.is_some() || !tables.knows(user, address) {
            return PasswordCheck::Refused(longest);
        }
        // Guesses from other addresses must not lock out a user who is known at this one, even after a change of the
        // accounts has emptied the cache of passwords. The limits of this address, and of the user at it, bound guesses
        // from here.
        of_address.map_or(PasswordCheck::Allowed, |_| PasswordCheck::OnlyCached(longest))
    }

    /// Counts a password that was not checked, or only compared with the cached one, and returns the answer to it. It
    /// counts only for `user` at `source`. It counts whether or not the user is known there, so the answers do not
    /// reveal who is.
    pub(super) fn count_unchecked(&self, user: UserKey, source: SourceAddress, wait: Duration) -> Fault {
        let _ = self.try_count_each(Instant::now(), &[Subject::UserAt(user, source.network())]);
        too_many(wait)
    }

    /// Counts a failure as [`Self::try_count_each`] does.
    fn try_count(&self, now: Instant, kind: CredentialKind, source: SourceAddress) -> Result<(), Duration> {
        let address = source.network();
        let at_address = Subject::address(kind, address);
        if let CredentialKind::Password(user) = kind {
            self.try_count_each(now, &[at_address, Subject::User(user), Subject::UserAt(user, address)])
        } else {
            self.try_count_each(now, &[at_address])
        }
    }

    /// Counts a failure of each subject that is below its limit. If any is not, returns the longest time to wait.
    fn try_count_each(&self, now: Instant, subjects: &[Subject]) -> Result<(), Duration> {
        let mut tables = self.tables();
        let mut longest = None;
        for subject in subjects {
            match self.after_one_more(tables.until(now, *subject), now) {
                Ok(until) => tables.set(now, *subject, until),
                Err(wait) => longest = longest.max(Some(wait)),
            }
        }
        longest.map_or(Ok(()), Err)
    }

    /// `until` is the time at which all failures so far are forgotten. Returns that time after one more failure, or the
    /// time to wait until one more is allowed.
    fn after_one_more(&self, until: Instant, now: Instant) -> Result<Instant, Duration> {
        let with_one_more = until + self.each;
        match with_one_more.duration_since(now).checked_sub(FAILURE_WINDOW) {
            None | Some(Duration::ZERO) => Ok(with_one_more),
            Some(wait) => Err(wait),
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a login after too many failures.
fn too_many(wait: Duration) -> Fault {
    Fault::busy(BusyCause::FailedLogins, wait)
}

impl Tables {
    /// The time at which all failures of a subject are forgotten.
    fn until(&self, now: Instant, subject: Subject) -> Instant {
        let until = match subject {
            Subject::Address(..) => self.addresses.get(&subject),
            Subject::User(_) => self.users.get(&subject),
            // The user may have become known, or unknown, since the last failure.
            Subject::UserAt(..) => self.known_pairs.get(&subject).max(self.other_pairs.get(&subject)),
        };
        until.map_or(now, |until| until.max(now))
    }

    fn set(&mut self, now: Instant, subject: Subject, until: Instant) {
        let table = match subject {
            Subject::Address(..) => &mut self.addresses,
            Subject::User(_) => &mut self.users,
            Subject::UserAt(user, address) if self.knows(user, address) => &mut self.known_pairs,
            Subject::UserAt(..) => &mut self.other_pairs,
        };
        table.young(now).insert(subject, until);
    }

    fn knows(&self, user: UserKey, address: IpAddr) -> bool {
        let entry = (user, address);
        self.known.young.contains(&entry) || self.known.old.contains(&entry)
    }
}

/// A collection with a known number of entries.
trait Entries: Default {
    fn count(&self) -> usize;
}

impl<K: Eq + Hash, V> Entries for HashMap<K, V> {
    fn count(&self) -> usize {
        self.len()
    }
}

impl<K: Eq + Hash> Entries for HashSet<K> {
    fn count(&self) -> usize {
        self.len()
    }
}

impl<C: Entries> Generations<C> {
    fn new(window: Duration, now: Instant) -> Self {
        Self { window, young: C::default(), old: C::default(), since: now }
    }

    /// The younger generation, with space for one more entry.
    fn young(&mut self, now: Instant) -> &mut C {
        if self.young.count() >= MAX_GENERATION_ENTRIES || now.duration_since(self.since) >= self.window {
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
        &mut self.young
    }
}

impl Generations<HashMap<Subject, Instant>> {
    fn get(&self, subject: &Subject) -> Option<Instant> {
        self.young.get(subject).or_else(|| self.old.get(subject)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> SourceAddress {
        SourceAddress::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn an_address_may_fail_so_often_a_minute_with_each_kind_of_credential() {
        let failures = FailedLogins::new(20);
        let (start, one) = (Instant::now(), source("192.0.2.1"));
        let refused = Duration::from_secs(3);
        for kind in [
            CredentialKind::ApiKey,
            CredentialKind::Token,
            CredentialKind::CaptureToken,
            CredentialKind::SessionId,
        ] {
            for _ in 0..20 {
                assert_eq!(failures.try_count(start, kind, one), Ok(()));
            }
            for _ in 0..2 {
                let again = failures.try_count(start, kind, one);
                assert_eq!(again, Err(refused), "what is refused does not count");
            }
            assert_eq!(failures.try_count(start, kind, source("192.0.2.2")), Ok(()), "another address");
            let later = start + refused;
            assert_eq!(failures.try_count(later, kind, one), Ok(()));
            assert_eq!(failures.try_count(later, kind, one), Err(refused));
            let long_after = later + FAILURE_WINDOW;
            assert!((0..20).all(|_| failures.try_count(long_after, kind, one).is_ok()));
        }
        assert_eq!(failures.check_at(start, failures.user("alice"), one), PasswordCheck::Allowed);
    }

    #[test]
    fn guesses_from_an_address_and_for_a_user_are_both_limited() {
        let failures = FailedLogins::new(2);
        let start = Instant::now();
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| failures.user(name));
        let [here, there, elsewhere] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(source);
        let wait = Duration::from_secs(30);
        let check = |user, at| failures.check_at(start, user, at);
        let fail = |user, at| failures.try_count(start, CredentialKind::Password(user), at);
        failures.note_success(carol, here);

        // Twice from here, for different users.
        assert_eq!((fail(alice, here), fail(bob, here)), (Ok(()), Ok(())));
        assert_eq!(check(alice, here), PasswordCheck::Refused(wait));
        assert_eq!(check(carol, here), PasswordCheck::OnlyCached(wait), "known here");
        assert_eq!(check(carol, there), PasswordCheck::Allowed);
        for _ in 0..2 {
            assert!(matches!(failures.count_unchecked(carol, here, wait), Fault::Busy(_)));
        }
        assert_eq!(
            check(carol, here),
            PasswordCheck::Refused(wait),
            "guessing among the known is limited, too"
        );

        // Once more for alice, from another address.
        assert_eq!(fail(alice, there), Ok(()));
        assert_eq!(check(alice, elsewhere), PasswordCheck::Refused(wait));
        failures.note_success(alice, elsewhere);
        assert_eq!(
            check(alice, elsewhere),
            PasswordCheck::Allowed,
            "known there, and no guess came from there"
        );
        assert_eq!(fail(alice, elsewhere), Err(wait), "the user's limit");
        assert_eq!(check(alice, elsewhere), PasswordCheck::Allowed);
        assert_eq!(fail(alice, elsewhere), Err(wait));
        assert_eq!(
            check(alice, elsewhere),
            PasswordCheck::Refused(wait),
            "guesses from there are limited, too"
        );
        assert_eq!(check(bob, there), PasswordCheck::Allowed);
        assert_eq!(failures.check_at(start + wait, alice, there), PasswordCheck::Allowed);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_mapped_one_is_itself() {
        let network = |address| source(address).network();
        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("::ffff:192.0.2.1"), network("::ffff:192.0.2.2"));
        assert_eq!(source("2001:db8:1:2:3::4").to_string(), "2001:db8:1:2:3::4");
    }

    #[test]
    fn many_addresses_and_users_take_bounded_room_and_the_latest_are_known() {
        let failures = FailedLogins::new(1);
        let start = Instant::now();
        let sources: Vec<_> = (0..3 * MAX_GENERATION_ENTRIES as u32)
            .map(|bits| SourceAddress::from(IpAddr::from(Ipv4Addr::from_bits(bits))))
            .collect();
        for (at, source) in sources.iter().enumerate() {
            let kind = CredentialKind::Password(UserKey(at as u64));
            failures.try_count(start, kind, *source).unwrap();
            failures.note_success(UserKey(at as u64), *source);
        }
        let kept = failures.tables();
        let most = 2 * MAX_GENERATION_ENTRIES;
        assert!(kept.addresses.young.len() + kept.addresses.old.len() <= most);
        assert!(kept.users.young.len() + kept.users.old.len() <= most);
        assert!(kept.other_pairs.young.len() + kept.other_pairs.old.len() <= most);
        assert!(kept.known.young.len() + kept.known.old.len() <= most);
        drop(kept);
        let nobody = UserKey(u64::MAX);
        let check = |source: &SourceAddress| failures.check_at(start, nobody, *source);
        assert!(sources[most..].iter().all(|source| check(source) != PasswordCheck::Allowed));
        assert_eq!(check(&sources[0]), PasswordCheck::Allowed);
    }

    #[test]
    fn a_flood_of_invented_names_makes_neither_a_user_forgotten_nor_one_at_work() {
        let failures = FailedLogins::new(2);
        let [alice, bob] = ["alice", "bob"].map(|name| failures.user(name));
        let [here, there, elsewhere] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(source);
        let wait = Duration::from_secs(30);
        let start = Instant::now();
        for _ in 0..2 {
            assert_eq!(failures.try_count(start, CredentialKind::Password(alice), there), Ok(()));
        }
        failures.note_success(bob, here);
        for _ in 0..2 {
            failures.count_unchecked(bob, here, wait);
        }
        for name in 0..3 * MAX_GENERATION_ENTRIES as u64 {
            failures.count_unchecked(UserKey(name), here, wait);
        }
        let kept = failures.tables();
        assert!(kept.other_pairs.young.len() + kept.other_pairs.old.len() <= 2 * MAX_GENERATION_ENTRIES);
        drop(kept);
        let refused = |user, at| matches!(failures.check_at(start, user, at), PasswordCheck::Refused(_));
        assert!(refused(alice, elsewhere) && refused(alice, there));
        assert!(refused(bob, here));
    }
}
