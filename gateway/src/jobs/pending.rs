//! Jobs that wait for their answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use faceline_shared::job::{JobId, Outcome};
use prometheus::IntGauge;
use tokio::sync::{oneshot, watch};

/// A worker's answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// How the job ended; `None` where the answer does not open with this gateway's keys.
    pub(super) outcome: Option<Outcome>,
    /// Time that the worker took.
    pub(super) service: Duration,
}

/// What is needed to publish a job again.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// The job.
    pub(super) id: JobId,
    /// The encoded envelope.
    pub(super) body: Bytes,
    /// Nobody waits any longer than this.
    pub(super) deadline: Instant,
}

struct Entry {
    letter: Letter,
    /// The reply queue that it was last published for; none before the first time.
    reply_to: Option<String>,
    answer: oneshot::Sender<Answer>,
}

/// The pending map. It owns the deadlines, on the monotonic clock.
#[derive(Clone)]
pub(super) struct Pending {
    entries: Arc<Mutex<HashMap<JobId, Entry>>>,
    gauge: IntGauge,
}

impl Pending {
    pub(super) fn new(gauge: IntGauge) -> Self {
        Self { entries: Arc::default(), gauge }
    }

    /// Remembers a job until [`Pending::take`] or the end of the returned place.
    pub(super) fn insert(&self, letter: Letter) -> Place {
        let (sender, receiver) = oneshot::channel();
        let id = letter.id;
        self.lock().insert(id, Entry { letter, reply_to: None, answer: sender });
        self.gauge.inc();
        Place { pending: self.clone(), id, answer: receiver }
    }

    /// Hands the answer to whoever waits. False where nobody does: the first answer wins.
    pub(super) fn answer(&self, id: JobId, answer: Answer) -> bool {
        let entry = self.lock().remove(&id);
        entry.is_some_and(|entry| {
            self.gauge.dec();
            entry.answer.send(answer).is_ok()
        })
    }

    /// Whether somebody waits for the job.
    pub(super) fn contains(&self, id: JobId) -> bool {
        self.lock().contains_key(&id)
    }

    /// Gives a job the present reply queue to be published for; `None` where there is none.
    ///
    /// The queue is read under the map's lock, so that a job is published for a new queue either by its caller or by
    /// [`Pending::readdress`], and never by both or neither.
    pub(super) fn address(&self, id: JobId, present: &watch::Sender<Option<String>>) -> Option<String> {
        let mut entries = self.lock();
        let reply_to = present.borrow().clone();
        if let Some(entry) = entries.get_mut(&id) {
            entry.reply_to.clone_from(&reply_to);
        }
        reply_to
    }

    /// Addresses what was published for an earlier queue to `reply_to`, the present one; what of it is still worth
    /// publishing again.
    pub(super) fn readdress(&self, reply_to: &str) -> Vec<Letter> {
        let now = Instant::now();
        let mut entries = self.lock();
        let stale = entries.values_mut().filter_map(|entry| {
            let earlier = entry.reply_to.as_mut().filter(|earlier| *earlier != reply_to)?;
            reply_to.clone_into(earlier);
            (entry.letter.deadline > now).then(|| entry.letter.clone())
        });
        stale.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job's place in the map; dropped, the job is forgotten.
pub(super) struct Place {
    pending: Pending,
    id: JobId,
    answer: oneshot::Receiver<Answer>,
}

impl Place {
    /// Waits for the answer; `None` when `deadline` passes first.
    pub(super) async fn wait(&mut self, deadline: Instant) -> Option<Answer> {
        tokio::time::timeout_at(deadline.into(), &mut self.answer).await.ok()?.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.pending.lock().remove(&self.id).is_some() {
            self.pending.gauge.dec();
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn letter(seconds: u64) -> Letter {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        Letter { id: Uuid::now_v7(), body: Bytes::from_static(b"body"), deadline }
    }

    fn answer() -> Answer {
        Answer { outcome: None, service: Duration::ZERO }
    }

    fn pending() -> Pending {
        Pending::new(IntGauge::new("pending", "pending").unwrap())
    }

    #[tokio::test]
    async fn the_first_answer_wins() {
        let pending = pending();
        let letter = letter(60);
        let mut place = pending.insert(letter.clone());
        assert!(pending.answer(letter.id, answer()));
        assert!(!pending.answer(letter.id, answer()));
        assert!(place.wait(letter.deadline).await.is_some());
        assert_eq!(pending.gauge.get(), 0);
    }

    #[tokio::test]
    async fn a_job_without_an_answer_ends_at_its_deadline() {
        let pending = pending();
        let letter = Letter { deadline: Instant::now(), ..letter(0) };
        let mut place = pending.insert(letter.clone());
        assert!(place.wait(letter.deadline).await.is_none());
        assert!(pending.readdress("second").is_empty());
        drop(place);
        assert_eq!(pending.gauge.get(), 0);
        assert!(!pending.answer(letter.id, answer()));
    }

    #[test]
    fn a_lost_queues_jobs_are_published_again_and_only_those() {
        let pending = pending();
        let present = watch::Sender::new(Some("first".to_owned()));
        let ids = |letters: Vec<Letter>| letters.iter().map(|letter| letter.id).collect::<Vec<_>>();
        let letters = [letter(60), letter(60), letter(60)];
        let [early, late, never] = letters.each_ref().map(|letter| pending.insert(letter.clone()));

        assert_eq!(pending.address(early.id, &present).as_deref(), Some("first"));
        assert!(pending.readdress("first").is_empty());
        present.send_replace(Some("second".to_owned()));
        // Its caller publishes it for the new queue, before those of the old one are looked for.
        assert_eq!(pending.address(late.id, &present).as_deref(), Some("second"));
        assert_eq!(ids(pending.readdress("second")), [early.id]);
        assert!(pending.readdress("second").is_empty());

        drop(early);
        assert_eq!(ids(pending.readdress("third")), [late.id]);
        present.send_replace(None);
        assert_eq!(pending.address(never.id, &present), None);
    }
}
