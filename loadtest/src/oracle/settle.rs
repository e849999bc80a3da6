//! Checks what the service keeps: repeated keys, sessions and their faces, replays, callbacks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Client;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::answer::{Answer, SentTo};
use super::callbacks::{CallbackReceiver, Delivered};
use super::expected::Expected;
use super::found::Settlement;
use super::ledger::{Disturbance, Ledger, Obligation};
use super::reading::Reading;
use super::verdict::FindingKind;
use crate::capture::{CaptureClient, PinnedKeys};

/// Keys of answered obligations that are repeated. All keys without an answer are.
const MAX_REPEATED_KEYS: usize = 100;
/// Time between two checks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Checks everything that the service should keep, and writes the findings into the ledger. `time` bounds the waiting for what is
/// still to come: the end of replays, callbacks, and a service that refuses.
///
/// # Errors
/// The service does not answer within `time`, or in an unexpected form.
pub async fn settle(
    ledger: &Ledger,
    service: &SentTo,
    callbacks: Option<&CallbackReceiver>,
    time: Duration,
) -> anyhow::Result<()> {
    let settling = Settling {
        ledger,
        service,
        client: Client::builder().timeout(ledger.deadline() * 2).build()?,
        until: Instant::now() + time,
    };
    settling.repeat_keys().await?;
    let mut found = Settlement::default();
    settling.look_at_sessions(&mut found).await?;
    settling.wait_for_replays(&mut found).await?;
    if let Some(callbacks) = callbacks {
        settling.wait_for_callbacks(callbacks, &mut found).await;
    }
    ledger.book().settled = found;
    Ok(())
}

struct Settling<'a> {
    ledger: &'a Ledger,
    service: &'a SentTo,
    client: Client,
    until: Instant,
}

impl Settling<'_> {
    /// Sends requests with a key once more: they must get the first answer. One whose connection broke is done now, or was before.
    async fn repeat_keys(&self) -> anyhow::Result<()> {
        let mut answered = 0;
        for id in self.ledger.ids() {
            let obligation = self.ledger.obligation(id);
            let Some((key, repeat)) = &obligation.repeat else { continue };
            if obligation.is_answered() {
                answered += 1;
                if answered > MAX_REPEATED_KEYS {
                    continue;
                }
            } else if !obligation.is_open() {
                continue;
            }
            loop {
                let (attempt, request_id) = self.ledger.begin(id);
                let request = repeat(self.service).header("idempotency-key", key);
                let sent = request.header("x-request-id", request_id).send().await;
                let answer = match sent {
                    Ok(response) => Answer::receive(response).await,
                    Err(error) => Err(error),
                };
                let wait = match answer {
                    Ok(answer) => {
                        self.ledger.answered(attempt, &answer);
                        match answer.retry_after {
                            Some(wait) if matches!(answer.status, 409 | 429 | 503) => wait,
                            _ => break,
                        }
                    }
                    Err(error) => {
                        self.ledger.broke(attempt, None, &error.to_string());
                        POLL_INTERVAL
                    }
                };
                if Instant::now() + wait > self.until {
                    break;
                }
                sleep(wait).await;
            }
        }
        Ok(())
    }

    async fn look_at_sessions(&self, found: &mut Settlement) -> anyhow::Result<()> {
        let mut sessions: BTreeMap<String, (String, Vec<Obligation>)> = BTreeMap::new();
        let mut faces = Vec::new();
        for obligation in self.ledger.ids().map(|id| self.ledger.obligation(id)) {
            match &obligation.expected {
                Expected::Session { correlation_id } => {
                    for path in obligation.created() {
                        sessions.insert(path.to_owned(), (correlation_id.clone(), Vec::new()));
                    }
                }
                Expected::SessionFace { session, .. } => faces.push((session.clone(), obligation)),
                _ => (),
            }
        }
        for (session, face) in faces {
            if let Some((_, faces)) = sessions.get_mut(&session) {
                faces.push(face);
            }
        }
        for (path, (correlation_id, faces)) in sessions {
            found.sessions += 1;
            let session = self.get(&path).await?;
            if session.status == 404 {
                found.findings.push((FindingKind::Lost, format!("{path}: the session is gone")));
                continue;
            }
            let body = session.json();
            if body["correlationId"] != *correlation_id {
                found.findings.push((FindingKind::MixedUp, format!("{path}: not {correlation_id}: {body}")));
            }
            let listed = self.get(&format!("{path}/faces")).await?.json();
            let listed = listed.as_array().cloned().unwrap_or_default();
            found.session_faces += listed.len() as u64;
            compare_faces(&path, &faces, &listed, found);
        }
        Ok(())
    }

    async fn wait_for_replays(&self, found: &mut Settlement) -> anyhow::Result<()> {
        let replays = self.replays();
        if replays.is_empty() {
            return Ok(());
        }
        let client = CaptureClient::new(&self.service.url, &self.service.api_key);
        let keys = client.published_keys().await?;
        for (session, _) in replays {
            match self.replay_end(&client, &keys, session.parse()?).await?.as_deref() {
                Some("ERROR") => found.errors += 1,
                Some("TIMEOUT") => {
                    let what = format!("session {session}: an accepted upload ends with TIMEOUT");
                    found.findings.push((FindingKind::Lost, what));
                }
                Some(_) => found.replays += 1,
                None => {
                    let what = format!("session {session}: its replay does not end");
                    found.findings.push((FindingKind::Lost, what));
                }
            }
        }
        Ok(())
    }

    /// The status with which a replay ends; `None` if it does not end in time.
    async fn replay_end(
        &self,
        client: &CaptureClient,
        keys: &PinnedKeys,
        session: Uuid,
    ) -> anyhow::Result<Option<String>> {
        loop {
            let status = client.status(session, keys).await;
            if let Ok(status) = &status {
                let status = status["status"].as_str().context("a replay without a status")?;
                if !matches!(status, "INITIALIZED" | "IN_PROGRESS") {
                    return Ok(Some(status.to_owned()));
                }
            }
            if Instant::now() >= self.until {
                return status.map(|_| None);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until each replay has its callback, or the time is over.
    async fn wait_for_callbacks(&self, callbacks: &CallbackReceiver, found: &mut Settlement) {
        let expected: BTreeSet<_> = self
            .replays()
            .into_iter()
            .filter(|(_, has_callback)| *has_callback)
            .map(|(session, _)| session)
            .collect();
        let came = |session: &String| {
            callbacks.by_session().get(session).is_some_and(|callbacks| {
                callbacks.values().flatten().any(|delivered| delivered.is_acknowledged)
            })
        };
        while Instant::now() < self.until && !expected.iter().all(came) {
            sleep(POLL_INTERVAL).await;
        }
        let disturbances = self.ledger.book().disturbances.clone();
        let received = callbacks.by_session();
        for session in &expected {
            let callbacks = received.get(session).cloned().unwrap_or_default();
            let acknowledged =
                |deliveries: &Vec<Delivered>| deliveries.iter().any(|delivered| delivered.is_acknowledged);
            match callbacks.values().filter(|deliveries| acknowledged(deliveries)).count() {
                0 => found.findings.push((FindingKind::Lost, format!("session {session}: no callback"))),
                1 => found.callbacks += 1,
                _ => {
                    let what = format!("session {session}: callbacks {:?}", callbacks.keys());
                    found.findings.push((FindingKind::Duplicated, what));
                }
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
    }

    /// The sessions of accepted uploads, and whether they have a callback.
    fn replays(&self) -> Vec<(String, bool)> {
        let replays =
            self.ledger.ids().map(|id| self.ledger.obligation(id)).filter_map(|obligation| match &obligation
                .expected
            {
                Expected::Replay { session_id, has_callback } if obligation.is_answered() => {
                    Some((session_id.clone(), *has_callback))
                }
                _ => None,
            });
        replays.collect()
    }

    /// `GET` below `/bioserver-app`, repeated while the service refuses.
    async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        loop {
            let url = format!("{}/bioserver-app{path}", self.service.url);
            let sent = self.client.get(url).header("apikey", &self.service.api_key).send().await;
            let answer = match sent {
                Ok(response) => Answer::receive(response).await,
                Err(error) => Err(error),
            };
            let wait = match &answer {
                Ok(found) if matches!(found.status, 200 | 404) => return Ok(answer?),
                Ok(answer) => answer.retry_after.unwrap_or(POLL_INTERVAL),
                Err(_) => POLL_INTERVAL,
            };
            if Instant::now() + wait > self.until {
                let answer = answer.with_context(|| path.to_owned())?;
                anyhow::bail!("{path}: {} {}", answer.status, answer.message());
            }
            sleep(wait).await;
        }
    }
}

/// Compares what was created in a session with what it lists.
fn compare_faces(path: &str, faces: &[Obligation], listed: &[Value], found: &mut Settlement) {
    for face in faces {
        let Expected::SessionFace { digest, eyes, name, .. } = &face.expected else { continue };
        let same: Vec<_> = listed.iter().filter(|listed| listed["friendlyName"] == **name).collect();
        match same.as_slice() {
            [] if face.is_answered() => {
                found.findings.push((FindingKind::Lost, format!("{path}: the face {name} is gone")));
            }
            [] => (),
            [one] => {
                let is_same_place = Reading::of_face(one).is_some_and(|read| read.is_of_same_picture(eyes));
                if one["digest"] != **digest || !is_same_place {
                    let what = format!("{path}: the face {name} is of another picture");
                    found.findings.push((FindingKind::MixedUp, what));
                }
            }
            _ => {
                found
                    .findings
                    .push((FindingKind::Duplicated, format!("{path}: {} faces {name}", same.len())));
            }
        }
    }
    let names = faces.iter().filter_map(|face| match &face.expected {
        Expected::SessionFace { name, .. } => Some(name.as_str()),
        _ => None,
    });
    let names: BTreeSet<_> = names.collect();
    for listed in listed {
        let name = listed["friendlyName"].as_str().unwrap_or_default();
        if !names.contains(name) {
            found.findings.push((FindingKind::MixedUp, format!("{path}: nobody sent the face {name}")));
        }
    }
}

fn is_disturbed(disturbances: &[Disturbance], first: &Delivered, second: &Delivered) -> bool {
    disturbances.iter().any(|time| time.from <= second.at && first.at <= time.to)
}
