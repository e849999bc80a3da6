//! Exports usage records from the object store, day by day.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use faceline_shared::object::{ObjectError, SealedObjects};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use time::Date;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::output::{Format, RowWriter};
use super::record::UsageRecord;
use super::storage::{FOLDER, OWNER};

/// Maximum number of objects that are read at the same time.
const MAX_CONCURRENT_READS: usize = 16;

const DAY_FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// Columns of an export of records: the members of [`UsageRecord`], in their order.
const RECORD_COLUMNS: [&str; 14] = [
    "id",
    "time",
    "client",
    "key",
    "family",
    "operation",
    "status",
    "outcome",
    "request",
    "job",
    "session",
    "referenceNumber",
    "correlationId",
    "evidenceId",
];
/// Columns of an export of counts: the members of [`Count`], in their order.
const COUNT_COLUMNS: [&str; 6] = ["day", "client", "family", "operation", "outcome", "answers"];

/// Parses a day such as `2026-02-28`.
pub(super) fn day(text: &str) -> Result<Date, String> {
    Date::parse(text, DAY_FORMAT).map_err(|_| format!("`{text}` is no day; one is 2026-02-28"))
}

/// Reason why usage cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The object store failed, or an object does not open.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// An object does not have the expected form.
    #[error("usage records in {0} are not of the form")]
    Form(String),
    /// The output cannot be written.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// The selection of records to export.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Selection {
    pub(super) from: Date,
    /// The last day, included.
    pub(super) to: Date,
    /// Only this client's records.
    pub(super) client: Option<String>,
    /// Export each record instead of counts.
    pub(super) records: bool,
}

/// The key by which records are counted.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct CountKey<'a> {
    client: &'a str,
    family: &'a str,
    operation: &'a str,
    outcome: &'a str,
}

/// Number of answers of one kind that a client got on a day.
#[derive(Serialize)]
struct Count<'a> {
    day: &'a str,
    client: &'a str,
    family: &'a str,
    operation: &'a str,
    outcome: &'a str,
    answers: u64,
}

/// Writes the selected usage to `out`.
pub(super) async fn export(
    objects: &SealedObjects,
    selection: &Selection,
    format: Format,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let header: &[&str] = if selection.records { &RECORD_COLUMNS } else { &COUNT_COLUMNS };
    let mut writer = RowWriter::new(format, header, out)?;
    let mut next = Some(selection.from);
    while let Some(day) = next.filter(|day| *day <= selection.to) {
        let mut records = read(objects, day).await?;
        if let Some(client) = &selection.client {
            records.retain(|record| record.client == *client);
        }
        if selection.records {
            records.iter().try_for_each(|record| writer.write(record))?;
        } else {
            write_counts(day, &records, &mut writer)?;
        }
        next = day.next_day();
    }
    Ok(writer.flush()?)
}

/// Reads the records of a day, sorted by time. A record that was stored twice is returned once.
async fn read(objects: &SealedObjects, day: Date) -> Result<Vec<UsageRecord>, ExportError> {
    let keys = objects.list(&format!("{FOLDER}/{day}")).await?;
    let batch = async |key: String| {
        // A listed object may have been deleted meanwhile, together with its whole day.
        let Some(bytes) = objects.get(OWNER, &key).await? else { return Ok(vec![]) };
        rmp_serde::from_slice::<Vec<UsageRecord>>(&bytes).map_err(|_| ExportError::Form(key))
    };
    let batches: Vec<Vec<UsageRecord>> =
        stream::iter(keys).map(batch).buffer_unordered(MAX_CONCURRENT_READS).try_collect().await?;
    let by_id: HashMap<_, _> = batches.into_iter().flatten().map(|record| (record.id, record)).collect();
    let mut records: Vec<_> = by_id.into_values().collect();
    records.sort_unstable_by_key(|record| (record.time, record.id));
    Ok(records)
}

fn write_counts<W: Write>(
    day: Date,
    records: &[UsageRecord],
    writer: &mut RowWriter<W>,
) -> Result<(), ExportError> {
    let mut counts: BTreeMap<CountKey<'_>, u64> = BTreeMap::new();
    for record in records {
        let UsageRecord { client, family, operation, outcome, .. } = record;
        *counts.entry(CountKey { client, family, operation, outcome }).or_default() += 1;
    }
    let day = day.to_string();
    for (CountKey { client, family, operation, outcome }, answers) in counts {
        writer.write(&Count { day: &day, client, family, operation, outcome, answers })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use faceline_shared::object::folder::FolderObjects;
    use faceline_shared::seal::KeyRing;
    use std::sync::Arc;
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;
    use crate::timestamp::Timestamp;

    #[test]
    fn a_day_is_a_day() {
        assert_eq!(day("2028-02-29").unwrap().to_string(), "2028-02-29");
        for wrong in ["2026-02-29", "2026-2-2", "today", "2026-02-28T00:00:00Z", ""] {
            assert!(day(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn records_and_counts_have_their_columns() {
        let folder = TempDir::new().unwrap();
        let store = Arc::new(FolderObjects::new(folder.path().to_owned()));
        let objects = SealedObjects::new(store, KeyRing::generate().unwrap());
        let time = Timestamp::now();
        let record = |id: u128, reference_number: Option<&str>, job: Option<Uuid>| UsageRecord {
            id: Uuid::from_u128(id),
            time,
            client: "bank, the".into(),
            key: "key".into(),
            family: "biometric_services".into(),
            operation: "create_session".into(),
            status: 201,
            outcome: "ok".into(),
            request: Some("request".into()),
            job,
            session: None,
            reference_number: reference_number.map(str::to_owned),
            correlation_id: None,
            evidence_id: None,
        };
        let records = vec![record(1, Some("job \"17\""), None), record(2, None, Some(Uuid::from_u128(3)))];
        let bytes = rmp_serde::to_vec_named(&records).unwrap();
        for batch in ["a", "b"] {
            objects.put(OWNER, &format!("{FOLDER}/{}/{batch}", time.day()), &bytes).await.unwrap();
        }
        let exported = async |records: bool, format: Format| {
            let selection = Selection { from: time.day(), to: time.day(), client: None, records };
            let mut out = Vec::new();
            export(&objects, &selection, format, &mut out).await.unwrap();
            String::from_utf8(out).unwrap()
        };
        let (one, two, three) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let middle = "\"bank, the\",key,biometric_services,create_session,201,ok,request";
        assert_eq!(
            exported(true, Format::Csv).await,
            format!(
                "id,time,client,key,family,operation,status,outcome,request,job,session,referenceNumber,correlationId,\
                 evidenceId\r\n{one},{time},{middle},,,\"job \"\"17\"\"\",,\r\n{two},{time},{middle},{three},,,,\r\n"
            )
        );
        let day = time.day();
        assert_eq!(
            exported(false, Format::Csv).await,
            format!(
                "day,client,family,operation,outcome,answers\r\n\
                 {day},\"bank, the\",biometric_services,create_session,ok,2\r\n"
            )
        );
        assert_eq!(
            exported(false, Format::Json).await,
            format!(
                "{{\"day\":\"{day}\",\"client\":\"bank, the\",\"family\":\"biometric_services\",\
                 \"operation\":\"create_session\",\"outcome\":\"ok\",\"answers\":2}}\n"
            )
        );
    }
}
