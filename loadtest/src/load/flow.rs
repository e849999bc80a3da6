//! The flow of one planned request: its attempts, and the steps of sessions and replays.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::RequestBuilder;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::plan::Planned;
use super::requests::Caller;
use super::samples::SampleEnd;
use super::scenario::Scenario;
use super::targets::Targets;
use crate::capture::{Capture, CaptureClient, Credential, Parameters, PinnedKeys, Recording, seal};
use crate::oracle::{
    Answer, AttemptEnd, Expected, Ledger, ObligationId, Operation, Payload, PictureSize, Pictures, Repeat,
    SentTo, is_silence,
};
use faceline_shared::replay::LivenessType;

/// A caller whose connection broke tries again after this time, if it obeys `Retry-After`.
const PAUSE_AFTER_BREAK: Duration = Duration::from_millis(200);
/// Faces of a session.
const SESSION_FACES: u64 = 2;
/// Number of described faces that matches take as their references.
const REFERENCES: usize = 8;

/// Builds the request of an operation to the service at an address.
type BuildRequest<'a> = Box<dyn Fn(&str) -> RequestBuilder + Send + Sync + 'a>;

/// Resources that all callers share.
#[derive(Debug)]
pub struct Resources {
    pictures: BTreeMap<PictureSize, Pictures>,
    /// Faces that the service described, and the pictures that they are of.
    references: Vec<(Payload, Value)>,
    keys: Option<PinnedKeys>,
    callback_url: Option<String>,
}

impl Resources {
    /// Makes the pictures that a mix needs, and learns the expected answers from a healthy service. `folder` contains
    /// the installed portraits; `callback_url` is the address for callbacks of replays.
    ///
    /// # Errors
    /// A portrait is not installed, or the service does not answer.
    pub async fn prepare(
        scenario: &Scenario,
        folder: &std::path::Path,
        service: &SentTo,
        callback_url: Option<String>,
    ) -> anyhow::Result<Self> {
        let mut pictures = BTreeMap::new();
        for entry in &scenario.mix {
            let with_liveness = scenario.mix.iter().any(|entry| entry.operation == Operation::FaceLiveness);
            if let Entry::Vacant(missing) = pictures.entry(entry.size) {
                let mut made = Pictures::make(folder, entry.size)?;
                made.calibrate(service, with_liveness).await?;
                missing.insert(made);
            }
        }
        let has = |operation| scenario.mix.iter().any(|entry| entry.operation == operation);
        let keys = if has(Operation::Replay) {
            Some(CaptureClient::new(&service.url, &service.api_key).published_keys().await?)
        } else {
            None
        };
        let mut references = Vec::new();
        if let Some(entry) = scenario.mix.iter().find(|entry| entry.operation == Operation::Match) {
            let caller = Caller::new(&super::scenario::Client::demo(), Duration::from_secs(60))?;
            for place in 0..REFERENCES {
                let pictures = &pictures[&entry.size];
                let payload = pictures.payload(place * pictures.variants() / REFERENCES, place as u64);
                let request = caller.faces(&service.url, &payload.jpeg, "reference");
                // The caller above has the demo account's key; this one replaces it.
                let answer =
                    Answer::receive(request.header("apikey", &service.api_key).send().await?).await?;
                anyhow::ensure!(answer.status == 200, "{}: {}", answer.status, answer.message());
                references.push((payload, answer.json()));
            }
        }
        Ok(Self { pictures, references, keys, callback_url })
    }

    /// The payload of a planned request; `step` distinguishes several pictures of one request.
    fn payload(&self, planned: &Planned, step: u64) -> Payload {
        let pictures = &self.pictures[&planned.size];
        // The stride is longer than the places of one portrait, so the next step shows another portrait.
        let variant = planned.picture + step as usize * (pictures.variants() / 3 + 1);
        pictures.payload(variant, planned.number * 16 + step)
    }
}

/// The attempts of a planned request so far.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    /// Requests that were sent.
    pub sent: usize,
    /// The time from sending to refusal of each refused attempt.
    pub refusals: Vec<Duration>,
    /// Refusals without `Retry-After`.
    pub refusals_without_retry_after: usize,
}

/// A caller with all that it needs for one planned request.
pub(super) struct Flow {
    pub(super) caller: Caller,
    pub(super) targets: Arc<Targets>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) resources: Arc<Resources>,
    pub(super) planned: Planned,
    /// The time until which the caller retries after refusals, expiries and broken connections; `None` if it does not
    /// retry.
    pub(super) gives_up: Option<Instant>,
    pub(super) attempts: Attempts,
}

/// The end of an obligation as its caller sees it.
struct Fulfilled {
    end: SampleEnd,
    answer: Option<Answer>,
}

impl Flow {
    /// Carries out the planned request with all of its steps.
    pub(super) async fn run(&mut self) -> SampleEnd {
        let done = match self.planned.operation {
            Operation::CreateSession | Operation::CreateSessionFace | Operation::SessionMatches => {
                self.session().await
            }
            Operation::SetReplayParameters | Operation::Replay => self.replay().await,
            _ => self.single().await,
        };
        done.unwrap_or_else(|error| SampleEnd::Failed(format!("{error:#}")))
    }

    /// Carries out an operation that takes one request.
    async fn single(&mut self) -> anyhow::Result<SampleEnd> {
        let name = self.name(0);
        let [first, second] = [0, 1].map(|step| self.resources.payload(&self.planned, step));
        let is_same_person = first.person == second.person;
        let caller = self.caller.clone();
        let pictures = [&first.jpeg, &second.jpeg];
        let (expected, build): (_, BuildRequest<'_>) = match self.planned.operation {
            Operation::MatchImages => (
                Expected::comparison(&first, &second, &name),
                Box::new(|url| caller.match_images(url, pictures, &name)),
            ),
            Operation::Match => {
                let place = self.planned.picture % self.resources.references.len().max(1);
                let resources = Arc::clone(&self.resources);
                let (reference, _) = resources.references.get(place).context("no reference")?;
                let (caller, name, picture) = (&caller, &name, &first.jpeg);
                (
                    Expected::comparison(reference, &first, name),
                    Box::new(move |url| {
                        caller.match_face(url, &resources.references[place].1, picture, name)
                    }),
                )
            }
            Operation::LivenessDetection => (
                Expected::LivenessDetection { eyes: first.eyes },
                Box::new(|url| caller.liveness_detection(url, &first.jpeg)),
            ),
            Operation::PhotoVerify => (
                Expected::PhotoVerify { live: first.eyes, photo: second.eyes, is_same_person },
                Box::new(|url| caller.photo_verify(url, pictures)),
            ),
            Operation::FaceLiveness => (
                Expected::FaceLiveness { session_id: name.clone(), liveness: first.liveness.clone() },
                Box::new(|url| caller.face_liveness(url, &first.jpeg, &name)),
            ),
            _ => (Expected::face(&first, &name), Box::new(|url| caller.faces(url, &first.jpeg, &name))),
        };
        let obligation = self.ledger.open(self.planned.operation, expected, caller.api_key());
        Ok(self.fulfil(obligation, build).await.end)
    }

    /// Creates a session, adds faces with idempotency keys, and requests the matches of the first face.
    async fn session(&mut self) -> anyhow::Result<SampleEnd> {
        let created = self.create_session(None).await;
        let Some(session) = location(&created) else { return Ok(created.end) };
        let (mut digests, mut reference) = (Vec::new(), None);
        for step in 0..SESSION_FACES {
            let payload = self.resources.payload(&self.planned, step);
            let name = self.name(step);
            let expected = Expected::SessionFace {
                session: session.clone(),
                digest: payload.digest.clone(),
                eyes: payload.eyes,
                name: name.clone(),
            };
            let (caller, at) = (self.caller.clone(), session.clone());
            let repeat =
                Arc::new(move |url: &str| caller.create_session_face(url, &at, &payload.jpeg, &name));
            let added = self.fulfil_once(Operation::CreateSessionFace, expected, step + 1, repeat).await;
            let Some(face) = location(&added) else { return Ok(added.end) };
            digests.push(self.resources.payload(&self.planned, step).digest);
            reference.get_or_insert(face);
        }
        let face = reference.context("a session without faces")?;
        let expected = Expected::SessionMatches {
            reference: digests.remove(0),
            candidates: std::mem::take(&mut digests),
        };
        let caller = self.caller.clone();
        let obligation = self.ledger.open(Operation::SessionMatches, expected, caller.api_key());
        Ok(self.fulfil(obligation, Box::new(|url| caller.matches(url, &face))).await.end)
    }

    /// Carries out a replay of one still picture, with a callback if there is a receiver. The oracle waits for the
    /// replay's end.
    async fn replay(&mut self) -> anyhow::Result<SampleEnd> {
        let callback_url = self.resources.callback_url.clone();
        let created = self.create_session(callback_url.clone()).await;
        let Some(path) = location(&created) else { return Ok(created.end) };
        let session_id = path.rsplit('/').next().unwrap_or_default().to_owned();
        let expected =
            Expected::Replay { session_id: session_id.clone(), has_callback: callback_url.is_some() };
        let recording = Recording::of(self.resources.payload(&self.planned, 0).jpeg, "image/jpeg");
        let capture = Capture::new(LivenessType::Passive, recording);
        let keys = self.resources.keys.clone().context("no keys")?;
        let session = session_id.parse()?;
        let caller = self.caller.clone();
        let signed = Expected::ReplayParameters { keys: keys.clone() };
        let set = self.ledger.open(Operation::SetReplayParameters, signed, caller.api_key());
        let wanted = capture.parameters();
        let request = |url: &str| caller.replay_parameters(url, session, &wanted);
        let set = self.fulfil(set, Box::new(request)).await;
        let Some(answer) = set.answer.filter(|_| set.end == SampleEnd::Answered) else { return Ok(set.end) };
        let parameters = Parameters::verified(std::str::from_utf8(&answer.body)?, &keys)?;
        let upload = seal(session, &parameters, &capture.recording)?;
        let obligation = self.ledger.open(Operation::Replay, expected, caller.api_key());
        loop {
            // `CaptureClient` does not send the ledger's request id, so no usage record has it.
            let (attempt, _) = self.ledger.begin_unrecorded(obligation);
            self.attempts.sent += 1;
            let client =
                CaptureClient::new(&self.target(), caller.api_key()).with_timeout(self.ledger.deadline() * 2);
            let started = Instant::now();
            let end = match client.upload(session, &upload, Credential::ApiKey).await {
                Ok(uploaded) => {
                    let answer = Answer {
                        status: uploaded.status,
                        retry_after: uploaded.retry_after,
                        location: None,
                        is_replayed: false,
                        body: uploaded.body.into(),
                    };
                    let end = self.ledger.answered(attempt, &answer);
                    self.note(&end, started.elapsed());
                    (end, answer.retry_after)
                }
                Err(error) if error.downcast_ref().is_some_and(is_silence) => {
                    self.ledger.silent(attempt);
                    (AttemptEnd::Silent, None)
                }
                Err(error) => {
                    self.ledger.broke(attempt, None, &format!("{error:#}"));
                    (AttemptEnd::Broken(format!("{error:#}")), Some(PAUSE_AFTER_BREAK))
                }
            };
            if !self.waits(&end.0, end.1).await {
                return Ok(sample_end(&end.0));
            }
        }
    }

    async fn create_session(&mut self, callback_url: Option<String>) -> Fulfilled {
        let correlation_id = self.name(0);
        let expected = Expected::Session { correlation_id: correlation_id.clone() };
        let caller = self.caller.clone();
        let repeat =
            Arc::new(move |url: &str| caller.create_session(url, &correlation_id, callback_url.as_deref()));
        self.fulfil_once(Operation::CreateSession, expected, 0, repeat).await
    }

    /// Opens an obligation with an idempotency key, and fulfils it.
    async fn fulfil_once(
        &mut self,
        operation: Operation,
        expected: Expected,
        step: u64,
        repeat: Repeat,
    ) -> Fulfilled {
        let key = format!("key-{}-{step}", self.name(0));
        let api_key = self.caller.api_key();
        let obligation = self.ledger.open_repeatable(operation, expected, api_key, &key, Arc::clone(&repeat));
        let build = move |url: &str| repeat(url).header("idempotency-key", &key);
        self.fulfil(obligation, Box::new(build)).await
    }

    /// Sends a request, and repeats it as long as this caller retries.
    async fn fulfil(
        &mut self,
        obligation: ObligationId,
        build: Box<dyn Fn(&str) -> RequestBuilder + Send + Sync + '_>,
    ) -> Fulfilled {
        loop {
            let url = self.target();
            let (attempt, request_id) = self.ledger.begin(obligation);
            self.attempts.sent += 1;
            let started = Instant::now();
            let response = build(&url).header("x-request-id", request_id).send().await;
            let mut status = None;
            let received = match response {
                Ok(response) => {
                    status = Some(response.status().as_u16());
                    Answer::receive(response).await
                }
                Err(error) => Err(error),
            };
            let (end, answer, wait) = match received {
                Ok(answer) => {
                    let end = self.ledger.answered(attempt, &answer);
                    let wait = answer.retry_after;
                    (end, Some(answer), wait)
                }
                Err(error) if is_silence(&error) => {
                    self.ledger.silent(attempt);
                    (AttemptEnd::Silent, None, None)
                }
                Err(error) => {
                    let why = shown(&error);
                    self.ledger.broke(attempt, status, &why);
                    (AttemptEnd::Broken(why), None, Some(PAUSE_AFTER_BREAK))
                }
            };
            self.note(&end, started.elapsed());
            if !self.waits(&end, wait).await {
                return Fulfilled { end: sample_end(&end), answer };
            }
        }
    }

    fn note(&mut self, end: &AttemptEnd, elapsed: Duration) {
        if let AttemptEnd::Refused { has_retry_after, .. } = end {
            self.attempts.refusals.push(elapsed);
            self.attempts.refusals_without_retry_after += usize::from(!has_retry_after);
        }
    }

    /// Waits before the next attempt, and returns `true`; `false` if there is no next attempt.
    async fn waits(&self, end: &AttemptEnd, wait: Option<Duration>) -> bool {
        let may_repeat =
            matches!(end, AttemptEnd::Refused { .. } | AttemptEnd::Expired | AttemptEnd::Broken(_));
        let (Some(gives_up), Some(wait), true) = (self.gives_up, wait, may_repeat) else { return false };
        if Instant::now() + wait > gives_up {
            return false;
        }
        sleep(wait).await;
        true
    }

    fn target(&self) -> String {
        self.targets.pick(self.planned.number, self.attempts.sent as u64)
    }

    /// The caller's name of a step, in `friendlyName`, `correlationId` and idempotency keys.
    fn name(&self, step: u64) -> String {
        format!("{}-n{}-{step}", self.ledger.run(), self.planned.number)
    }
}

fn location(done: &Fulfilled) -> Option<String> {
    done.answer.as_ref().filter(|_| done.end == SampleEnd::Answered)?.location.clone()
}

fn sample_end(end: &AttemptEnd) -> SampleEnd {
    match end {
        AttemptEnd::Answered => SampleEnd::Answered,
        AttemptEnd::Refused { cause, .. } => SampleEnd::Refused(cause.clone()),
        AttemptEnd::Expired => SampleEnd::Refused("expired in the queue".to_owned()),
        AttemptEnd::MixedUp(why) => SampleEnd::Failed(format!("another's result: {why}")),
        AttemptEnd::NoResult => SampleEnd::Failed("no result at the deadline".to_owned()),
        AttemptEnd::Failed(why) | AttemptEnd::Broken(why) => SampleEnd::Failed(why.clone()),
        AttemptEnd::Silent => SampleEnd::Failed("no answer".to_owned()),
    }
}

/// An error with its causes.
fn shown(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
