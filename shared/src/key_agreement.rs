//! Agreement of keys: whether gateways and workers can open each other's messages.
//!
//! Each process announces the fingerprints of its data keys, at its start, when its key file changes, and from time to
//! time. So both ends detect different keys before the first job. A process whose keys match those of no known peer at
//! the other end is not ready: a gateway refuses jobs at once, and a worker leaves them to others. A process that
//! agrees with at least one peer goes on, because then the peers with other keys are wrong.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use prometheus::{IntCounter, IntGauge};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval};
use uuid::Uuid;

use crate::admin::Condition;
use crate::broker::SharedBroker;
use crate::job::MessageError;
use crate::keys::KeyFile;
use crate::message_pack::from_slice;
use crate::seal::{KeyFingerprint, KeyRing};
use crate::services::SharedServices;
use crate::telemetry::Metrics;

/// The first byte of an announcement of keys. The other kinds are in `announcement.rs`.
const KEYS: u8 = 3;
/// The first byte of a request that every process announce its keys at once. The sender takes no part: no process
/// counts it as a peer.
const KEY_REQUEST: u8 = 4;
/// Interval of the checks whether an announcement is due.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// A process that knows no peer at the other end announces its keys this often.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(2);
/// A process that knows peers announces its keys this often.
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(15);
/// A process that has announced nothing for this time counts as ended.
const PEER_TTL: Duration = Duration::from_secs(45);
/// Maximum number of processes that are remembered.
const MAX_PEERS: usize = 4096;
/// Minimum time between two log lines about different keys.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The end of the broker at which a process works.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Role {
    /// Seals jobs, and opens results.
    Gateway,
    /// Opens jobs, and seals results.
    Worker,
}

/// Content of an announcement of keys.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct KeyAnnouncement {
    from: Uuid,
    role: Role,
    /// The key that seals.
    active: KeyFingerprint,
    /// The keys that open.
    keys: Vec<KeyFingerprint>,
    /// Whether peers are to announce their keys at once, because the process knows none.
    wants_reply: bool,
}

impl KeyAnnouncement {
    fn encode(&self) -> Option<Bytes> {
        let mut bytes = vec![KEYS];
        bytes.extend(rmp_serde::to_vec_named(self).ok()?);
        Some(bytes.into())
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, announcement) = bytes.split_first()?;
        if *kind == KEYS { from_slice(announcement).ok() } else { None }
    }

    /// Whether each end opens what the other one seals.
    fn agrees_with(&self, ring: &KeyRing) -> bool {
        ring.has(self.active) && self.keys.contains(&ring.fingerprint())
    }
}

/// The keys of a running process, as it has announced them.
#[derive(Clone, Copy, Debug)]
pub struct AnnouncedKeys {
    /// Identifies the process as long as it runs.
    pub process: Uuid,
    /// The process's end of the broker.
    pub role: Role,
    /// The key that seals there.
    pub active: KeyFingerprint,
    /// Whether the announcing process and the owner of `ring` in [`AnnouncedKeys::read`] open each other's messages.
    pub agrees: bool,
}

impl AnnouncedKeys {
    /// The announcement that asks every process to announce its keys at once. Builds that do not know it do not answer,
    /// but announce their keys within 15 s anyway.
    #[must_use]
    pub fn request() -> Bytes {
        Bytes::from_static(&[KEY_REQUEST])
    }

    /// Reads an announcement and compares its keys with those of `ring`; `None` for an announcement of another kind.
    #[must_use]
    pub fn read(announcement: &[u8], ring: &KeyRing) -> Option<Self> {
        let announced = KeyAnnouncement::decode(announcement)?;
        let agrees = announced.agrees_with(ring);
        Some(Self { process: announced.from, role: announced.role, active: announced.active, agrees })
    }
}

/// Tracks whether a process and those at the other end have the same keys. Clones share the state.
#[derive(Clone)]
pub struct KeyAgreement(Arc<AgreementState>);

struct AgreementState {
    ring: KeyRing,
    agrees: watch::Sender<bool>,
    /// The key file, which log lines name.
    file: Option<PathBuf>,
    metrics: Option<AgreementMetrics>,
    last_logged: Mutex<Option<Instant>>,
}

struct AgreementMetrics {
    /// Processes at the other end that have other keys.
    disagreeing: IntGauge,
    /// Jobs or results that the keys do not open.
    unopened: IntCounter,
}

impl AgreementMetrics {
    fn new(role: Role, metrics: &Metrics) -> Self {
        let (name, other, what) = match role {
            Role::Gateway => ("gateway", "Workers", "Results"),
            Role::Worker => ("worker", "Gateways", "Deliveries of jobs"),
        };
        Self {
            disagreeing: metrics.gauge(
                &format!("faceline_{name}_disagreeing_peers"),
                &format!("{other} that have other sealing keys. Neither end opens what the other seals."),
            ),
            unopened: metrics.counter(
                &format!("faceline_{name}_unopened_total"),
                &format!("{what} that were sealed with a key that is not in the key file."),
            ),
        }
    }
}

impl KeyAgreement {
    /// An agreement that always holds and announces nothing, for a process that contains both ends and for tests.
    #[must_use]
    pub fn always_agreed(ring: KeyRing) -> Self {
        Self(Arc::new(AgreementState {
            ring,
            agrees: watch::Sender::new(true),
            file: None,
            metrics: None,
            last_logged: Mutex::default(),
        }))
    }

    /// Announces the keys of a process, and receives those of others, until the broker is closed. The readiness condition `keys`
    /// shows the result. Over the embedded broker both ends have the same keys, and nothing is announced.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn start(role: Role, services: &SharedServices) -> Self {
        let ring = services.keys.data.clone();
        if services.settings.broker.url.is_embedded() {
            return Self::always_agreed(ring);
        }
        let agreement = Self(Arc::new(AgreementState {
            ring,
            agrees: watch::Sender::new(true),
            file: Some(KeyFile::of(&services.settings).path().to_owned()),
            metrics: Some(AgreementMetrics::new(role, &services.metrics)),
            last_logged: Mutex::default(),
        }));
        let condition = services.readiness.condition("keys");
        condition.set(true);
        let announcements = services.broker.announcements().await;
        let watch =
            KeyWatch { role, agreement: agreement.clone(), broker: services.broker.clone(), condition };
        tokio::spawn(watch.run(announcements));
        agreement
    }

    /// Whether the keys match those of at least one peer at the other end, or no peer is known.
    #[must_use]
    pub fn holds(&self) -> bool {
        *self.0.agrees.borrow()
    }

    /// Waits until [`Self::holds`] returns `holds`.
    pub async fn until(&self, holds: bool) {
        let mut agrees = self.0.agrees.subscribe();
        // The sender lives in `self`, so the channel does not close in the meantime.
        let _ = agrees.wait_for(|agrees| *agrees == holds).await;
    }

    /// Reports a job or a result that does not open. If other keys are the reason, this is counted, and logged once a
    /// minute.
    pub fn report(&self, error: &MessageError) {
        let MessageError::OtherKeys(key) = error else { return };
        if let Some(metrics) = &self.0.metrics {
            metrics.unopened.inc();
        }
        self.log(*key);
    }

    /// Logs that a peer has another key, at most once in [`LOG_INTERVAL`].
    fn log(&self, theirs: Option<KeyFingerprint>) {
        let mut last = self.0.last_logged.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < LOG_INTERVAL) {
            return;
        }
        *last = Some(Instant::now());
        tracing::error!(
            file = self.0.file.as_ref().map(|file| tracing::field::display(file.display())),
            ours = %self.0.ring.fingerprint(),
            theirs = theirs.map(tracing::field::display),
            "gateways and workers have different sealing keys, and do not open each other's messages; give all of them the same key \
             file (keys.file), and when you rotate, add a key to all of them before you activate it"
        );
    }
}

/// Announces keys and receives those of others.
struct KeyWatch {
    role: Role,
    agreement: KeyAgreement,
    broker: SharedBroker,
    condition: Condition,
}

/// The processes at the other end.
#[derive(Default)]
struct Peers(HashMap<Uuid, (KeyAnnouncement, Instant)>);

impl Peers {
    /// Records an announcement of the other end.
    fn record(&mut self, announcement: KeyAnnouncement) {
        if self.0.len() < MAX_PEERS || self.0.contains_key(&announcement.from) {
            self.0.insert(announcement.from, (announcement, Instant::now()));
        }
    }

    fn forget_ended(&mut self) {
        self.0.retain(|_, (_, received)| received.elapsed() < PEER_TTL);
    }

    /// The processes that have other keys.
    fn disagreeing(&self, ring: &KeyRing) -> Vec<&KeyAnnouncement> {
        self.0.values().map(|(peer, _)| peer).filter(|peer| !peer.agrees_with(ring)).collect()
    }
}

impl KeyWatch {
    async fn run(self, mut announcements: mpsc::Receiver<Bytes>) {
        let from = Uuid::new_v4();
        let mut peers = Peers::default();
        let mut announced: Option<(KeyAnnouncement, Instant)> = None;
        let mut is_asked = false;
        let mut check = interval(CHECK_INTERVAL);
        loop {
            tokio::select! {
                body = announcements.recv() => {
                    let Some(body) = body else { return };
                    if *body == [KEY_REQUEST] {
                        is_asked = true;
                        continue;
                    }
                    let Some(announcement) = KeyAnnouncement::decode(&body) else { continue };
                    if announcement.role == self.role {
                        continue;
                    }
                    is_asked |= announcement.wants_reply;
                    peers.record(announcement);
                }
                _ = check.tick() => {
                    peers.forget_ended();
                    let ring = &self.agreement.0.ring;
                    let wants_reply = peers.0.is_empty();
                    let (active, keys) = (ring.fingerprint(), ring.fingerprints());
                    let announcement = KeyAnnouncement { from, role: self.role, active, keys, wants_reply };
                    let pause = if wants_reply { DISCOVERY_INTERVAL } else { ANNOUNCE_INTERVAL };
                    let is_due = announced.as_ref().is_none_or(|(last, at)| {
                        at.elapsed() >= pause || (last.active, &last.keys) != (active, &announcement.keys)
                    });
                    if (is_due || is_asked) && self.broker.is_connected() {
                        if let Some(body) = announcement.encode() {
                            self.broker.announce(body).await;
                        }
                        announced = Some((announcement, Instant::now()));
                        is_asked = false;
                    }
                }
            }
            self.judge(&peers);
        }
    }

    fn judge(&self, peers: &Peers) {
        let disagreeing = peers.disagreeing(&self.agreement.0.ring);
        if let Some(metrics) = &self.agreement.0.metrics {
            metrics.disagreeing.set(disagreeing.len() as i64);
        }
        if let Some(peer) = disagreeing.first() {
            self.agreement.log(Some(peer.active));
        }
        let holds = disagreeing.is_empty() || disagreeing.len() < peers.0.len();
        let changed =
            self.agreement.0.agrees.send_if_modified(|agrees| std::mem::replace(agrees, holds) != holds);
        if changed {
            self.condition.set(holds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announcement::Announcement;
    use crate::seal::KeyRingFile;

    fn announcement(ring: &KeyRing) -> KeyAnnouncement {
        KeyAnnouncement {
            from: Uuid::new_v4(),
            role: Role::Worker,
            active: ring.fingerprint(),
            keys: ring.fingerprints(),
            wants_reply: false,
        }
    }

    #[test]
    fn an_announcement_is_read_as_it_was_written_and_others_are_not() {
        let sent = announcement(&KeyRing::generate().unwrap());
        let bytes = sent.encode().unwrap();
        assert_eq!(KeyAnnouncement::decode(&bytes), Some(sent));
        assert_eq!(Announcement::decode(&bytes), None);
        let cancelled = Announcement::JobCancelled(Uuid::new_v4()).encode();
        assert_eq!(KeyAnnouncement::decode(&cancelled), None);
        assert_eq!(KeyAnnouncement::decode(&[]), None);
    }

    #[test]
    fn both_phases_of_a_rotation_agree_with_the_phase_before_and_a_jump_does_not() {
        let old = KeyRingFile::generate().unwrap();
        let mut added = old.clone();
        let new = KeyRingFile::generate().unwrap();
        added.keys.extend(new.keys.clone());
        let activated = KeyRingFile { active: new.active.clone(), ..added.clone() };
        let [old, added, activated, dropped] =
            [&old, &added, &activated, &new].map(|file| KeyRing::try_from(file).unwrap());
        let agree = |one: &KeyRing, other: &KeyRing| {
            let (there, back) = (announcement(one).agrees_with(other), announcement(other).agrees_with(one));
            assert_eq!(there, back);
            there
        };
        for (one, other) in [(&old, &added), (&added, &activated), (&activated, &dropped)] {
            assert!(agree(one, other));
        }
        for (one, other) in [(&old, &activated), (&added, &dropped), (&old, &dropped)] {
            assert!(!agree(one, other));
        }
    }

    #[tokio::test]
    async fn who_agrees_with_one_of_several_is_right() {
        let [ours, theirs] = [(); 2].map(|()| KeyRing::generate().unwrap());
        let mut peers = Peers::default();
        peers.record(announcement(&theirs));
        assert_eq!((peers.disagreeing(&ours).len(), peers.0.len()), (1, 1));
        peers.record(announcement(&ours));
        assert_eq!((peers.disagreeing(&ours).len(), peers.0.len()), (1, 2));
    }
}
