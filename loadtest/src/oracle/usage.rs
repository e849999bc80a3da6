//! Usage records against what callers saw.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::found::UsageFindings;
use super::ledger::{Attempt, Ledger};
use super::verdict::FindingKind;

/// Time between two exports of usage records.
const USAGE_PERIOD: Duration = Duration::from_secs(3);
/// Answers that have no record, since the caller received no service.
const UNRECORDED: [u16; 4] = [401, 403, 429, 503];
/// Records of callers who left before their answer have this status, whatever the caller saw of the answer.
const CALLER_LEFT: u16 = 499;

/// The members of a record that are compared.
#[derive(Debug, Deserialize)]
struct Record {
    id: String,
    request: Option<String>,
    job: Option<String>,
    status: u16,
}

/// Compares usage records with the ledger, and reads them again with `export` while some are missing, since gateways move them from
/// time to time. The last comparison before `until` counts.
///
/// # Errors
/// As [`reconcile_usage`], and those of `export`.
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

/// Compares the records of `usage export --records --format json` with the ledger: each answered attempt has exactly one, with the
/// status that the caller saw; an attempt without an answer has one at most; no job is recorded twice. Records of other runs are
/// ignored. Returns the number of answers without a record: call it again while gateways may still move some.
///
/// # Errors
/// A line is no record.
pub fn reconcile_usage(ledger: &Ledger, exported: &str) -> anyhow::Result<usize> {
    let prefix = format!("{}-", ledger.run());
    let mut found = UsageFindings::default();
    let mut by_request: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    let (mut ids, mut jobs) = (BTreeSet::new(), BTreeSet::new());
    for line in exported.lines() {
        let record: Record =
            serde_json::from_str(line).with_context(|| format!("no usage record: {line}"))?;
        let Some(request) = record.request.filter(|request| request.starts_with(&prefix)) else { continue };
        // Two records with one id are copies.
        if !ids.insert(record.id) {
            continue;
        }
        found.records += 1;
        if record.job.is_some_and(|job| !jobs.insert(job)) {
            found
                .findings
                .push((FindingKind::Duplicated, format!("{request}: its job has two usage records")));
        }
        by_request.entry(request).or_default().push(record.status);
    }
    let mut book = ledger.book();
    let attempts = book.obligations.iter().flat_map(|obligation| &obligation.attempts);
    for Attempt { request_id, status, .. } in attempts.filter(|attempt| attempt.is_recorded) {
        let recorded = by_request.get(request_id).map_or(&[][..], Vec::as_slice);
        let finding = match (recorded, status) {
            ([], Some(status)) if !UNRECORDED.contains(status) => {
                Some((FindingKind::Lost, format!("{request_id}: no usage record of an answer {status}")))
            }
            ([recorded], Some(status)) if recorded != status && *recorded != CALLER_LEFT => {
                let what = format!("{request_id}: answered with {status}, recorded with {recorded}");
                Some((FindingKind::MixedUp, what))
            }
            ([_, _, ..], _) => {
                Some((FindingKind::Duplicated, format!("{request_id}: several usage records")))
            }
            _ => None,
        };
        found.findings.extend(finding);
    }
    found.requests = by_request.into_keys().collect();
    let missing = found.findings.iter().filter(|(kind, _)| *kind == FindingKind::Lost).count();
    book.usage = Some(found);
    Ok(missing)
}

#[cfg(test)]
mod tests {
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
            let id = ledger.open(Operation::CreateSession, expected);
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

    #[tokio::test(start_paused = true)]
    async fn a_record_that_comes_late_is_waited_for_and_one_that_never_comes_is_lost() {
        for (exports_before, lost) in [(2, 0), (usize::MAX, 1)] {
            let ledger = Ledger::new("run", Duration::from_secs(30));
            let expected = Expected::Session { correlation_id: String::new() };
            let (attempt, request) = ledger.begin(ledger.open(Operation::CreateSession, expected));
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/x"))]);
            ledger.answered(attempt, &Answer::new(201, &headers, Bytes::new()));
            let exports = AtomicUsize::new(0);
            let export = async || {
                let is_there = exports.fetch_add(1, Ordering::Relaxed) >= exports_before;
                let record = format!(r#"{{"id":"a","request":"{request}","job":"j","status":201}}"#);
                Ok(if is_there { record } else { String::new() })
            };
            settle_usage(&ledger, Instant::now() + 5 * USAGE_PERIOD, export).await.unwrap();
            assert_eq!(ledger.verdict().lost, lost, "{exports:?} exports");
        }
    }
}
