//! Compares received callbacks with the replays that must have one.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::callbacks::{CallbackReceiver, Delivered};
use super::expected::Expected;
use super::found::CallbackFindings;
use super::ledger::{Disturbance, Ledger};
use super::verdict::FindingKind;

/// A replay ends at most this long after its upload: jobs of videos have a minute by default, and their results take
/// some more time.
const MAX_REPLAY_TIME: Duration = Duration::from_mins(2);
/// Time between two checks of the received callbacks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A replay whose upload was accepted.
pub(super) struct AcceptedReplay {
    pub(super) session_id: String,
    pub(super) api_key: String,
    /// When its upload began.
    pub(super) upload: std::time::Instant,
    has_callback: bool,
}

impl Ledger {
    /// The replays whose uploads were accepted.
    pub(super) fn replays(&self) -> Vec<AcceptedReplay> {
        let mut replays = Vec::new();
        for obligation in self.ids().map(|id| self.obligation(id)) {
            if let Expected::Replay { session_id, has_callback } = &obligation.expected
                && obligation.is_answered()
                && let Some(first) = obligation.attempts.first()
            {
                replays.push(AcceptedReplay {
                    session_id: session_id.clone(),
                    upload: first.began,
                    api_key: obligation.api_key,
                    has_callback: *has_callback,
                });
            }
        }
        replays
    }

    /// Whether a fault that holds jobs overlapped the time from the start of a replay's upload to its latest possible
    /// end.
    pub(super) fn was_disturbed_after(&self, upload: std::time::Instant) -> bool {
        let book = self.book();
        let mut holding = book.disturbances.iter().filter(|time| time.holds_jobs);
        holding.any(|time| time.from <= upload + MAX_REPLAY_TIME && upload <= time.to)
    }

    /// The sessions whose replays must have a callback.
    fn sessions_with_callback(&self) -> impl Iterator<Item = String> + use<> {
        self.replays().into_iter().filter(|replay| replay.has_callback).map(|replay| replay.session_id)
    }
}

/// Waits until the callback of each replay is acknowledged, or until `until`, and then calls [`reconcile_callbacks`].
pub async fn settle_callbacks(ledger: &Ledger, callbacks: &CallbackReceiver, until: Instant) {
    let expected: BTreeSet<_> = ledger.sessions_with_callback().collect();
    let acknowledged = || -> BTreeSet<_> {
        let received = callbacks.received().into_iter().filter(|delivered| delivered.is_acknowledged);
        received.map(|delivered| delivered.session_id).collect()
    };
    while Instant::now() < until && !acknowledged().is_superset(&expected) {
        sleep(POLL_INTERVAL).await;
    }
    reconcile_callbacks(ledger, callbacks);
}

/// Compares all deliveries so far with the replays of the ledger: each replay with a callback has exactly one, whose
/// deliveries end with the one that was acknowledged. The findings replace those of an earlier call. Call it again
/// after a time in which no further delivery may arrive.
pub fn reconcile_callbacks(ledger: &Ledger, callbacks: &CallbackReceiver) {
    let received = callbacks.by_session();
    let disturbances = ledger.book().disturbances.clone();
    let mut found = CallbackFindings::default();
    for session in ledger.sessions_with_callback() {
        let callbacks = received.get(&session).cloned().unwrap_or_default();
        if callbacks.len() > 1 {
            let what = format!("session {session}: callbacks {:?}", callbacks.keys());
            found.findings.push((FindingKind::Duplicated, what));
        }
        if callbacks.values().flatten().any(|delivered| delivered.is_acknowledged) {
            found.acknowledged += 1;
        } else {
            found.findings.push((FindingKind::Lost, format!("session {session}: no callback")));
        }
        for (id, deliveries) in &callbacks {
            found.redeliveries += deliveries.len() as u64 - 1;
            for pair in deliveries.windows(2) {
                if pair[0].is_acknowledged && !is_disturbed(&disturbances, &pair[0], &pair[1]) {
                    let what = format!("session {session}: callback {id} came again after a 200");
                    found.findings.push((FindingKind::Duplicated, what));
                }
            }
        }
    }
    ledger.book().callbacks = found;
}

fn is_disturbed(disturbances: &[Disturbance], first: &Delivered, second: &Delivered) -> bool {
    disturbances.iter().any(|time| time.from <= second.at && first.at <= time.to)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::Client;
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::super::{Answer, Operation};
    use super::*;

    #[tokio::test]
    async fn each_replay_has_one_callback_that_ends_with_its_acknowledgement() {
        // The third delivery is answered with 500.
        let receiver = CallbackReceiver::start(3).await.unwrap();
        let ledger = Ledger::new("run", Duration::from_secs(30));
        for session in ["once", "again", "two", "never"] {
            let expected = Expected::Replay { session_id: session.to_owned(), has_callback: true };
            let (attempt, _) = ledger.begin_unrecorded(ledger.open(Operation::Replay, expected, "demo"));
            ledger.answered(attempt, &Answer::new(202, &HeaderMap::new(), Bytes::new()));
        }
        let client = Client::new();
        for (session, id) in
            [("once", "a"), ("again", "b"), ("two", "c"), ("two", "d"), ("again", "b"), ("other", "e")]
        {
            let request = client.post(receiver.url()).header("webhook-id", id);
            request.json(&json!({ "sessionId": session })).send().await.unwrap();
        }
        reconcile_callbacks(&ledger, &receiver);
        let verdict = ledger.verdict();
        assert_eq!((verdict.callbacks, verdict.callback_redeliveries), (3, 1), "{verdict}");
        assert_eq!((verdict.lost, verdict.duplicated), (1, 2), "{verdict}");
        assert!(verdict.findings.iter().any(|finding| finding.what.contains("came again after a 200")));
        reconcile_callbacks(&ledger, &receiver);
        assert_eq!(ledger.verdict().duplicated, 2, "the findings are replaced");
    }
}
