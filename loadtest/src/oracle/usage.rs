//! Compares usage records with the answers that callers received.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::conclude::disturbances_of;
use super::found::UsageFindings;
use super::ledger::{Book, Ledger, Obligation};
use super::verdict::FindingKind;

/// Time between two exports of usage records.
const USAGE_PERIOD: Duration = Duration::from_secs(3);
/// Statuses of answers without a usage record, because the caller received no service.
const UNRECORDED: [u16; 4] = [401, 403, 429, 503];
/// Records of callers who disconnected before their answer have this status, whatever the caller received of the
/// answer.
const CALLER_LEFT: u16 = 499;

/// The outcome of a request that got the answer of an earlier one with the same key.
const REPEATED: &str = "repeated";

/// The compared members of a usage record.
#[derive(Debug, Deserialize)]
struct Record {
    id: String,
    /// Absent in the record of a replay's judgement, which no request made.
    request: Option<String>,
    job: Option<String>,
    session: Option<String>,
    status: u16,
    #[serde(default)]
    outcome: String,
}

impl Record {
    /// Whether the request was carried out, rather than answered with the result of an earlier request.
    fn is_of_work(&self) -> bool {
        (200..300).contains(&self.status) && self.outcome != REPEATED
    }
}

/// Compares usage records with the ledger. While some are missing, it reads them again with `export`, because gateways
/// move records only from time to time. The last comparison before `until` counts.
///
/// # Errors
/// `export` fails, or a line of its text is no usage record.
pub async fn settle_usage(
    ledger: &Ledger,
    until: Instant,
    export: impl AsyncFn() -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    while reconcile_usage(ledger, &export().await?)? > 0 && Instant::now() + USAGE_PERIOD <= until {
        sleep(USAGE_PERIOD).await;
    }
    Ok(())
}

/// Compares the records of `usage export --records --format json` with the ledger:
///
/// - each answered attempt has exactly one, with the status that the caller received; after 401, 403, 429 or 503 it may
///   have none, and a record of a caller who disconnected has the status 499;
/// - an attempt without an answer has at most one;
/// - no idempotency key and no job is recorded as done twice;
/// - each replay that [`settle`](super::settle) has seen end has one record of its judgement.
///
/// Records of other runs are ignored. Returns the number of missing records: call it again while gateways may still
/// move some.
///
/// # Errors
/// A line is no usage record.
pub fn reconcile_usage(ledger: &Ledger, exported: &str) -> anyhow::Result<usize> {
    let prefix = format!("{}-", ledger.run());
    let mut book = ledger.book();
    let mut found = UsageFindings::default();
    let mut by_request: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    // Number of judgement records of each replay that has ended.
    let mut judgements: BTreeMap<String, usize> =
        book.settled.ended_replays.iter().map(|session| (session.clone(), 0)).collect();
    let (mut ids, mut jobs) = (BTreeSet::new(), BTreeSet::new());
    for line in exported.lines() {
        let record: Record =
            serde_json::from_str(line).with_context(|| format!("no usage record: {line}"))?;
        let is_of_run = match (&record.request, &record.session) {
            (Some(request), _) => request.starts_with(&prefix),
            (None, Some(session)) => judgements.contains_key(session),
            (None, None) => false,
        };
        // Two records with one id are copies.
        if !is_of_run || !ids.insert(record.id.clone()) {
            continue;
        }
        if let Some(job) = &record.job
            && !jobs.insert(job.clone())
        {
            let of = record.request.as_ref().or(record.session.as_ref());
            let what = format!("{}: its job has two usage records", of.map_or("", String::as_str));
            found.findings.push((FindingKind::Duplicated, what));
        }
        if let Some(request) = record.request.clone() {
            found.records += 1;
            by_request.entry(request).or_default().push(record);
        } else if let Some(count) = record.session.and_then(|session| judgements.get_mut(&session)) {
            *count += 1;
        }
    }
    for obligation in &book.obligations {
        compare(&book, obligation, &by_request, &mut found);
    }
    for (session, count) in judgements {
        let finding = match count {
            0 => (FindingKind::Lost, format!("session {session}: no usage record of its replay")),
            1 => continue,
            _ => (FindingKind::Duplicated, format!("session {session}: {count} usage records of its replay")),
        };
        found.findings.push(finding);
    }
    found.requests = by_request.into_keys().collect();
    let missing = found.findings.iter().filter(|(kind, _)| *kind == FindingKind::Lost).count();
    book.usage = Some(found);
    Ok(missing)
}

/// Compares the records of an obligation's attempts with the answers that its caller received.
fn compare(
    book: &Book,
    obligation: &Obligation,
    by_request: &BTreeMap<String, Vec<Record>>,
    found: &mut UsageFindings,
) {
    let (mut works, mut is_disturbed) = (0, false);
    for attempt in obligation.attempts.iter().filter(|attempt| attempt.is_recorded) {
        let (request_id, status) = (&attempt.request_id, &attempt.status);
        let records = by_request.get(request_id).map_or(&[][..], Vec::as_slice);
        if records.iter().any(Record::is_of_work) {
            works += 1;
            is_disturbed |= !disturbances_of(book, attempt).is_empty();
        }
        let finding = match (records, status) {
            ([], Some(status)) if !UNRECORDED.contains(status) => {
                Some((FindingKind::Lost, format!("{request_id}: no usage record of an answer {status}")))
            }
            ([record], Some(status)) if record.status != *status && record.status != CALLER_LEFT => {
                let what = format!("{request_id}: answered with {status}, recorded with {}", record.status);
                Some((FindingKind::MixedUp, what))
            }
            ([_, _, ..], _) => {
                Some((FindingKind::Duplicated, format!("{request_id}: several usage records")))
            }
            _ => None,
        };
        found.findings.extend(finding);
    }
    // A request may have been carried out although its connection broke before the caller received the answer; its
    // record shows that. (The record of a caller who left earlier has the status `CALLER_LEFT`, and says nothing about
    // the work.) While a store is unavailable, a gateway may carry out a key that it cannot mark as done; the resource
    // then has the same id.
    if let (Some((key, _)), 2.., false) = (&obligation.repeat, works, is_disturbed) {
        found.findings.push((FindingKind::Duplicated, format!("key {key}: carried out {works} times")));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use reqwest::header::{HeaderMap, HeaderValue, LOCATION};

    use super::super::{Answer, Expected, Operation};
    use super::*;

    #[test]
    fn each_answer_has_one_record_and_each_job() {
        let ledger = Ledger::new("run", Duration::from_secs(30));
        let answered = |status| {
            let expected = Expected::Session { correlation_id: String::new() };
            let id = ledger.open(Operation::CreateSession, expected, "demo");
            let (attempt, request) = ledger.begin(id);
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/x"))]);
            ledger.answered(attempt, &Answer::new(status, &headers, Bytes::new()));
            request
        };
        let record = |id: &str, request: &str, job: &str, status: u16| {
            format!(r#"{{"id":"{id}","request":"{request}","job":"{job}","status":{status}}}"#)
        };
        let [one, two, refused] = [201, 201, 429].map(answered);
        let good = [record("a", &one, "j", 201), record("a", &one, "j", 201), record("b", &two, "k", 201)];
        assert_eq!(reconcile_usage(&ledger, &good.join("\n")).unwrap(), 0);
        let verdict = ledger.verdict();
        assert!(verdict.is_conserved() && verdict.usage_records == Some(2), "{verdict}");
        assert!(!refused.is_empty() && verdict.refused.values().sum::<u64>() == 1);

        let bad =
            [record("a", &one, "j", 201), record("c", &one, "j", 201), record("o", "other-0-0", "k", 201)];
        assert_eq!(reconcile_usage(&ledger, &bad.join("\n")).unwrap(), 1);
        let verdict = ledger.verdict();
        assert_eq!((verdict.lost, verdict.duplicated), (1, 2), "{verdict}");
    }

    #[test]
    fn a_key_is_carried_out_once_whatever_its_caller_saw() {
        for (second_outcome, duplicated) in [("repeated", 0), ("ok", 1)] {
            let ledger = Ledger::new("run", Duration::from_secs(30));
            let expected = Expected::Session { correlation_id: String::new() };
            let repeat = Arc::new(|url: &str| reqwest::Client::new().get(url));
            let id = ledger.open_repeatable(Operation::CreateSession, expected, "demo", "key", repeat);
            let (broken, first) = ledger.begin(id);
            ledger.broke(broken, None, "reset");
            let (answered, second) = ledger.begin(id);
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/x"))]);
            ledger.answered(answered, &Answer::new(201, &headers, Bytes::new()));
            let record = |id: &str, request: &str, outcome: &str| {
                format!(r#"{{"id":"{id}","request":"{request}","status":201,"outcome":"{outcome}"}}"#)
            };
            let records = [record("a", &first, "ok"), record("b", &second, second_outcome)];
            assert_eq!(reconcile_usage(&ledger, &records.join("\n")).unwrap(), 0);
            let verdict = ledger.verdict();
            assert_eq!((verdict.duplicated, verdict.lost), (duplicated, 0), "{verdict}");
        }
    }

    #[test]
    fn each_replay_that_ended_has_one_record_of_its_judgement() {
        let ledger = Ledger::new("run", Duration::from_secs(30));
        ledger.book().settled.ended_replays = ["once", "twice", "never"].map(str::to_owned).into();
        let record = |id: &str, session: &str, job: &str| {
            format!(r#"{{"id":"{id}","request":null,"session":"{session}","job":"{job}","status":200}}"#)
        };
        let records = [
            record("a", "once", "j"),
            record("a", "once", "j"),
            record("b", "twice", "k"),
            record("c", "twice", "l"),
            record("d", "of another run", "m"),
        ];
        assert_eq!(reconcile_usage(&ledger, &records.join("\n")).unwrap(), 1);
        let verdict = ledger.verdict();
        assert_eq!((verdict.lost, verdict.duplicated, verdict.replays), (1, 1, 3), "{verdict}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_comes_late_is_waited_for_and_one_that_never_comes_is_lost() {
        for (exports_before, lost) in [(2, 0), (usize::MAX, 1)] {
            let ledger = Ledger::new("run", Duration::from_secs(30));
            let expected = Expected::Session { correlation_id: String::new() };
            let (attempt, request) = ledger.begin(ledger.open(Operation::CreateSession, expected, "demo"));
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/x"))]);
            ledger.answered(attempt, &Answer::new(201, &headers, Bytes::new()));
            let exports = AtomicUsize::new(0);
            let export = async || {
                let has_arrived = exports.fetch_add(1, Ordering::Relaxed) >= exports_before;
                let record = format!(r#"{{"id":"a","request":"{request}","job":"j","status":201}}"#);
                Ok(if has_arrived { record } else { String::new() })
            };
            settle_usage(&ledger, Instant::now() + 5 * USAGE_PERIOD, export).await.unwrap();
            assert_eq!(ledger.verdict().lost, lost, "{exports:?} exports");
        }
    }
}
