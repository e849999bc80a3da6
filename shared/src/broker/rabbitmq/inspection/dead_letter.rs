//! A dead letter: its readable fields, and the queue to which it is published again.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde::Serialize;

use crate::broker::message::Message;
use crate::broker::queue::Queue;
use crate::broker::rabbitmq::codec;
use crate::job::{JobEnvelope, JobId, ReplyEnvelope};

/// The header in which RabbitMQ records each death of a message, the last one first.
const DEATHS: &str = "x-death";

/// Kind of a dead letter.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterKind {
    /// A job whose caller waits, or waited, at one gateway.
    Request,
    /// The job of a replay or a session. Nobody waits for it: any gateway takes its result.
    Replay,
    /// A result of a replay.
    Result,
    /// A message that this build cannot read.
    Unreadable,
}

/// A dead letter, without its sealed payload.
#[derive(Clone, Debug, Serialize)]
pub struct DeadLetter {
    /// Its position in the queue, from 1.
    pub position: usize,
    /// Its kind.
    pub kind: LetterKind,
    /// Id of the job.
    pub job: Option<JobId>,
    /// The client that the job belongs to.
    pub client: Option<String>,
    /// The gateway instance that published the job.
    pub gateway: Option<String>,
    /// Time of the first publish by the gateway's clock, in milliseconds since the Unix epoch.
    pub published_at_ms: Option<u64>,
    /// Time budget of the job from its publish to its answer, in milliseconds.
    pub budget_ms: Option<u64>,
    /// Failed attempts before the message came into the queue in which it died.
    pub earlier_attempts: u32,
    /// The queue in which it died, with its prefix.
    pub died_in: Option<String>,
    /// Reason of its death, in RabbitMQ's words: `rejected`, `expired`, `maxlen`, `delivery_limit`.
    pub reason: Option<String>,
    /// Time of its death by the broker's clock, in seconds since the Unix epoch.
    pub died_at_s: Option<u64>,
    /// Bytes of the message.
    pub bytes: usize,
    /// Number of times that it was taken from the queue of dead letters and returned.
    pub returns: u32,
    #[serde(skip)]
    pub(super) delivery_tag: u64,
    #[serde(skip)]
    pub(super) properties: BasicProperties,
    #[serde(skip)]
    pub(super) body: Bytes,
    #[serde(skip)]
    envelope: Option<Box<JobEnvelope>>,
}

/// Reason why a dead letter is not published again.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotRequeued {
    /// The caller's deadline has passed, so nobody would receive the answer.
    #[error("its caller no longer waits: its time was over {} s ago", .0.as_secs())]
    CallerGone(Duration),
    /// It is no message of this build.
    #[error("this build cannot read it")]
    Unreadable,
    /// It did not die in a queue that gateways and workers consume.
    #[error("it died in {0}, which is no queue of jobs or results")]
    OtherQueue(String),
    /// RabbitMQ has not recorded the queue in which it died.
    #[error("it does not say in which queue it died")]
    UnknownQueue,
}

impl DeadLetter {
    pub(super) fn new(
        position: usize,
        delivery_tag: u64,
        properties: BasicProperties,
        returns: u32,
        body: Bytes,
    ) -> Self {
        let envelope = JobEnvelope::decode(&body).ok().map(Box::new);
        let reply = if envelope.is_none() { ReplyEnvelope::decode(&body).ok() } else { None };
        let kind = match (&envelope, &reply) {
            (Some(job), _) if job.context.is_none() => LetterKind::Request,
            (Some(_), _) => LetterKind::Replay,
            (None, Some(_)) => LetterKind::Result,
            (None, None) => LetterKind::Unreadable,
        };
        let message_id = properties.message_id().as_ref().and_then(|id| id.as_str().parse().ok());
        let job = envelope.as_ref().map(|job| job.id).or(reply.map(|reply| reply.id)).or(message_id);
        let death = last_death(&properties);
        let of_death = |name: &str| death.as_ref().and_then(|death| death.inner().get(name));
        Self {
            position,
            kind,
            job,
            client: envelope.as_ref().map(|job| job.client.clone()),
            gateway: envelope.as_ref().map(|job| job.gateway.clone()),
            published_at_ms: envelope.as_ref().map(|job| job.published_at),
            budget_ms: envelope.as_ref().map(|job| job.budget_ms),
            earlier_attempts: codec::earlier_attempts(&properties),
            died_in: of_death("queue").and_then(text),
            reason: of_death("reason").and_then(text),
            died_at_s: of_death("time").and_then(|time| match time {
                AMQPValue::Timestamp(seconds) => Some(*seconds),
                _ => None,
            }),
            bytes: body.len(),
            returns,
            delivery_tag,
            properties,
            body,
            envelope,
        }
    }

    /// Returns the queue to publish the letter to, and the message with its failed attempts reset. `prefix` is that of
    /// the queues' names.
    ///
    /// A letter returns to the queue in which it died, so a job from the quarantine runs alone again. A job for which
    /// nobody waits gets its whole time budget again. A job with a waiting caller keeps the rest of its time.
    ///
    /// # Errors
    /// [`NotRequeued`] names the reason why the letter cannot be published again.
    pub fn requeued(&self, prefix: &str) -> Result<(Queue, Message), NotRequeued> {
        let died_in = self.died_in.as_deref().ok_or(NotRequeued::UnknownQueue)?;
        let queue = died_in
            .strip_prefix(prefix)
            .and_then(|name| Queue::DURABLE.into_iter().find(|queue| queue.name() == name))
            .filter(|queue| *queue != Queue::DeadLetters)
            .ok_or_else(|| NotRequeued::OtherQueue(died_in.to_owned()))?;
        let (id, reply_to) = (self.job.ok_or(NotRequeued::Unreadable)?, text_of(self.properties.reply_to()));
        let message = |expiration, body| Message { id, reply_to, expiration, earlier_attempts: 0, body };
        match (&self.envelope, self.kind) {
            (Some(job), LetterKind::Replay) => {
                let body = (**job).clone().renewed().encode().map_err(|_| NotRequeued::Unreadable)?;
                Ok((queue, message(Some(Duration::from_millis(job.budget_ms)), body)))
            }
            (Some(job), _) => {
                let end = Duration::from_millis(job.published_at.saturating_add(job.budget_ms));
                let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
                match end.checked_sub(now) {
                    Some(left) if !left.is_zero() => Ok((queue, message(Some(left), self.body.clone()))),
                    _ => Err(NotRequeued::CallerGone(now.saturating_sub(end))),
                }
            }
            (None, LetterKind::Result) => Ok((queue, message(None, self.body.clone()))),
            (None, _) => Err(NotRequeued::Unreadable),
        }
    }
}

/// The last death of a message.
fn last_death(properties: &BasicProperties) -> Option<FieldTable> {
    match properties.headers().as_ref()?.inner().get(DEATHS)? {
        AMQPValue::FieldArray(deaths) => match deaths.as_slice().first()? {
            AMQPValue::FieldTable(death) => Some(death.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn text_of(name: &Option<ShortString>) -> Option<String> {
    name.as_ref().map(|name| name.as_str().to_owned())
}
