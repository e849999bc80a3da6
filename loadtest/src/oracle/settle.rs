//! Checks the state that the service keeps: repeated keys, sessions and their faces, replays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Client;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::answer::{Answer, is_silence};
use super::callbacks::CallbackReceiver;
use super::deliveries::settle_callbacks;
use super::expected::Expected;
use super::found::Settlement;
use super::ledger::{Ledger, Obligation, ObligationId};
use super::reading::Reading;
use super::verdict::FindingKind;
use crate::capture::{CaptureClient, PinnedKeys};

/// At most this many requests with a key are sent again although they were answered without an interruption.
const MAX_REPEATED_KEYS: usize = 100;
/// Time between two checks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Checks through the gateway at `url` everything that the service should have stored, and writes the findings into the
/// ledger. `time` bounds all waiting: for replays to end, for callbacks, and for a service that refuses requests. A
/// resource that cannot be read until then counts as lost.
///
/// # Errors
/// The keys that sign statuses of replays cannot be read. All other checks are made nevertheless.
pub async fn settle(
    ledger: &Ledger,
    url: &str,
    callbacks: Option<&CallbackReceiver>,
    time: Duration,
) -> anyhow::Result<()> {
    let settling = Settling {
        ledger,
        url,
        client: Client::builder().timeout(ledger.deadline() * 2).build()?,
        until: Instant::now() + time,
    };
    settling.repeat_keys().await;
    let mut found = Settlement::default();
    settling.look_at_sessions(&mut found).await;
    let waited = settling.wait_for_replays(&mut found).await;
    ledger.book().settled = found;
    if let Some(callbacks) = callbacks {
        settle_callbacks(ledger, callbacks, settling.until).await;
    }
    waited
}

struct Settling<'a> {
    ledger: &'a Ledger,
    url: &'a str,
    client: Client,
    until: Instant,
}

impl Settling<'_> {
    /// Sends requests with an idempotency key once more. They must get the first answer. A request whose connection
    /// broke is carried out now, or was before.
    async fn repeat_keys(&self) {
        let (mut interrupted, mut answered) = (Vec::new(), Vec::new());
        for id in self.ledger.ids() {
            let obligation = self.ledger.obligation(id);
            if obligation.repeat.is_none() {
                continue;
            }
            if obligation.was_interrupted() {
                interrupted.push(id);
            } else if obligation.is_answered() {
                answered.push(id);
            }
        }
        for id in interrupted.into_iter().chain(spread(&answered, MAX_REPEATED_KEYS)) {
            self.repeat_key(id).await;
        }
    }

    async fn repeat_key(&self, id: ObligationId) {
        let Some((key, repeat)) = self.ledger.obligation(id).repeat else { return };
        loop {
            let (attempt, request_id) = self.ledger.begin(id);
            let request = repeat(self.url).header("idempotency-key", &key);
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
                        _ => return,
                    }
                }
                Err(error) if is_silence(&error) => {
                    self.ledger.silent(attempt);
                    return;
                }
                Err(error) => {
                    self.ledger.broke(attempt, None, &error.to_string());
                    POLL_INTERVAL
                }
            };
            if Instant::now() + wait > self.until {
                return;
            }
            sleep(wait).await;
        }
    }

    async fn look_at_sessions(&self, found: &mut Settlement) {
        let mut sessions: BTreeMap<String, (Obligation, Vec<Obligation>)> = BTreeMap::new();
        let mut faces = Vec::new();
        for obligation in self.ledger.ids().map(|id| self.ledger.obligation(id)) {
            match &obligation.expected {
                Expected::Session { .. } => {
                    for path in obligation.created() {
                        sessions.insert(path.to_owned(), (obligation.clone(), Vec::new()));
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
        for (path, (session, faces)) in sessions {
            found.sessions += 1;
            if let Err(error) = self.look_at_session(&path, &session, &faces, found).await {
                let what = format!("{path}: the session cannot be read: {error:#}");
                found.findings.push((FindingKind::Lost, what));
            }
        }
    }

    async fn look_at_session(
        &self,
        path: &str,
        created: &Obligation,
        faces: &[Obligation],
        found: &mut Settlement,
    ) -> anyhow::Result<()> {
        let session = self.get(path, &created.api_key).await?;
        if session.status == 404 {
            found.findings.push((FindingKind::Lost, format!("{path}: the session is gone")));
            return Ok(());
        }
        let body = session.json();
        if let Expected::Session { correlation_id } = &created.expected
            && body["correlationId"] != **correlation_id
        {
            found.findings.push((FindingKind::MixedUp, format!("{path}: not {correlation_id}: {body}")));
        }
        let listed = self.get(&format!("{path}/faces"), &created.api_key).await?.json();
        let listed = listed.as_array().cloned().unwrap_or_default();
        found.session_faces += listed.len() as u64;
        compare_faces(path, faces, &listed, found);
        Ok(())
    }

    async fn wait_for_replays(&self, found: &mut Settlement) -> anyhow::Result<()> {
        let replays = self.ledger.replays();
        let Some(first) = replays.first() else { return Ok(()) };
        let client =
            |api_key: &str| CaptureClient::new(self.url, api_key).with_timeout(self.ledger.deadline() * 2);
        let keys = client(&first.api_key).published_keys().await?;
        for replay in replays {
            let session = replay.session_id;
            let lost = match self.replay_end(&client(&replay.api_key), &keys, &session).await {
                Ok(Some(status)) if status == "TIMEOUT" => "an accepted upload ends with TIMEOUT".to_owned(),
                Ok(Some(status)) => {
                    if status == "ERROR" {
                        found.errors += 1;
                        found.unexcused_errors += u64::from(!self.ledger.was_disturbed_after(replay.upload));
                        let what = format!("session {session}: its replay ends with ERROR");
                        found.findings.push((FindingKind::Failed, what));
                    }
                    found.ended_replays.insert(session);
                    continue;
                }
                Ok(None) => "its replay does not end".to_owned(),
                Err(error) => format!("its replay cannot be read: {error:#}"),
            };
            found.findings.push((FindingKind::Lost, format!("session {session}: {lost}")));
        }
        Ok(())
    }

    /// The status with which a replay ends; `None` if it does not end in time.
    async fn replay_end(
        &self,
        client: &CaptureClient,
        keys: &PinnedKeys,
        session: &str,
    ) -> anyhow::Result<Option<String>> {
        let session: Uuid = session.parse()?;
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

    /// `GET` below `/bioserver-app`, repeated while the service refuses.
    async fn get(&self, path: &str, api_key: &str) -> anyhow::Result<Answer> {
        loop {
            let url = format!("{}/bioserver-app{path}", self.url);
            let sent = self.client.get(url).header("apikey", api_key).send().await;
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

/// Returns at most `count` of `ids`, spread evenly, because the first faults of a run concern other ids than the last.
fn spread(ids: &[ObligationId], count: usize) -> impl Iterator<Item = ObligationId> + use<> {
    let chosen = count.min(ids.len());
    let ids: Vec<_> = (0..chosen).map(|place| ids[place * ids.len() / chosen]).collect();
    ids.into_iter()
}

/// Compares the faces that callers created in a session with those that the session lists.
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
            found.findings.push((FindingKind::MixedUp, format!("{path}: no caller sent the face {name}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
    use tokio::net::TcpListener;
    use tokio_util::task::AbortOnDropHandle;

    use super::super::Operation;
    use super::*;

    /// A service in which each client has one session, named as its API key, without faces.
    async fn service() -> (String, AbortOnDropHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = service_fn(|request: Request<Incoming>| async move {
                    Ok::<_, Infallible>(Response::new(session(&request)))
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        (url, AbortOnDropHandle::new(serving))
    }

    /// The body of the answer: a session, or its faces.
    fn session(request: &Request<Incoming>) -> Full<Bytes> {
        let key = request.headers()["apikey"].to_str().unwrap();
        let path = request.uri().path();
        Full::from(if path.ends_with("/faces") {
            "[]".to_owned()
        } else if path.ends_with(&format!("/{key}")) {
            format!(r#"{{"correlationId":"{key}"}}"#)
        } else {
            r#"{"correlationId":"another client's"}"#.to_owned()
        })
    }

    #[tokio::test]
    async fn a_session_is_read_with_the_credentials_of_the_caller_who_created_it() {
        let (url, _serving) = service().await;
        let ledger = Ledger::new("run", Duration::from_secs(30));
        for client in ["one", "two"] {
            let expected = Expected::Session { correlation_id: client.to_owned() };
            let (attempt, _) = ledger.begin(ledger.open(Operation::CreateSession, expected, client));
            let location = HeaderValue::from_str(&format!("/v2/bio-sessions/{client}")).unwrap();
            let headers = HeaderMap::from_iter([(LOCATION, location)]);
            ledger.answered(attempt, &Answer::new(201, &headers, Bytes::new()));
        }
        settle(&ledger, &url, None, Duration::from_secs(30)).await.unwrap();
        let verdict = ledger.verdict();
        assert!(verdict.is_conserved() && verdict.sessions == 2, "{verdict}");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_lost_and_ends_no_check() {
        let ledger = Ledger::new("run", Duration::from_secs(30));
        let expected = Expected::Session { correlation_id: String::new() };
        let (attempt, _) = ledger.begin(ledger.open(Operation::CreateSession, expected, "demo"));
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/v2/bio-sessions/a"))]);
        ledger.answered(attempt, &Answer::new(201, &headers, Bytes::new()));
        // No server listens on this port.
        settle(&ledger, "http://127.0.0.1:9", None, Duration::ZERO).await.unwrap();
        let verdict = ledger.verdict();
        assert_eq!((verdict.lost, verdict.sessions), (1, 1), "{verdict}");
    }

    #[test]
    fn chosen_ids_are_spread_over_all() {
        let ledger = Ledger::new("run", Duration::ZERO);
        for _ in 0..10 {
            let expected = Expected::Session { correlation_id: String::new() };
            ledger.open(Operation::CreateSession, expected, "demo");
        }
        let ids: Vec<_> = ledger.ids().collect();
        let chosen: Vec<_> = spread(&ids, 4).collect();
        assert_eq!(chosen, [ids[0], ids[2], ids[5], ids[7]]);
        assert_eq!(spread(&ids, 20).collect::<Vec<_>>(), ids);
        assert_eq!(spread(&[], 4).count(), 0);
    }
}
