//! Reads what was kept, day by day.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use faceline_shared::object::{ObjectError, SealedObjects};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use time::Date;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::{FOLDER, OWNER, UsageRecord};

/// Objects that are read at the same time.
const AT_ONCE: usize = 16;

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// A day as in `2026-02-28`.
pub(super) fn day(text: &str) -> Result<Date, String> {
    Date::parse(text, DAY).map_err(|_| format!("`{text}` is no day; one is 2026-02-28"))
}

/// Why usage is not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The object store, or an object that does not open.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// An object is not of the form.
    #[error("usage records in {0} are not of the form")]
    Form(String),
    /// The output.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// Form of an export.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Format {
    /// A table (RFC 4180)
    #[default]
    Csv,
    /// One object a line
    Json,
}

/// What is exported.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Selection {
    pub(super) from: Date,
    /// Included.
    pub(super) to: Date,
    pub(super) client: Option<String>,
    /// Each record, rather than their numbers.
    pub(super) records: bool,
}

/// How many answers of a kind a client was given on a day.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
struct Kind {
    day: String,
    client: String,
    family: String,
    operation: String,
    outcome: String,
}

#[derive(Serialize)]
struct Count<'a> {
    #[serde(flatten)]
    kind: &'a Kind,
    answers: u64,
}

/// Writes what `selection` asks for to `out`.
pub(super) async fn export(
    objects: &SealedObjects,
    selection: &Selection,
    format: Format,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    if format == Format::Csv {
        out.write_all(head(selection.records).as_bytes())?;
    }
    let mut next = Some(selection.from);
    while let Some(day) = next.filter(|day| *day <= selection.to) {
        let mut records = read(objects, day).await?;
        if let Some(client) = &selection.client {
            records.retain(|record| record.client == *client);
        }
        if selection.records {
            records.iter().try_for_each(|record| write_record(record, format, out))?;
        } else {
            write_counts(day, &records, format, out)?;
        }
        next = day.next_day();
    }
    Ok(out.flush()?)
}

/// The records of a day, each once, in order.
async fn read(objects: &SealedObjects, day: Date) -> Result<Vec<UsageRecord>, ExportError> {
    let keys = objects.list(&format!("{FOLDER}/{day}")).await?;
    let batch = async |key: String| {
        // Deleted since, with its whole day.
        let Some(bytes) = objects.get(OWNER, &key).await? else { return Ok(vec![]) };
        rmp_serde::from_slice::<Vec<UsageRecord>>(&bytes).map_err(|_| ExportError::Form(key))
    };
    let batches: Vec<Vec<UsageRecord>> =
        stream::iter(keys).map(batch).buffer_unordered(AT_ONCE).try_collect().await?;
    let by_id: HashMap<_, _> = batches.into_iter().flatten().map(|record| (record.id, record)).collect();
    let mut records: Vec<_> = by_id.into_values().collect();
    records.sort_unstable_by_key(|record| (record.time, record.id));
    Ok(records)
}

fn write_counts(
    day: Date,
    records: &[UsageRecord],
    format: Format,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let mut counts: BTreeMap<Kind, u64> = BTreeMap::new();
    for record in records {
        let kind = Kind {
            day: day.to_string(),
            client: record.client.clone(),
            family: record.family.clone(),
            operation: record.operation.clone(),
            outcome: record.outcome.clone(),
        };
        *counts.entry(kind).or_default() += 1;
    }
    for (kind, answers) in &counts {
        match format {
            Format::Json => line(&Count { kind, answers: *answers }, out)?,
            Format::Csv => {
                let Kind { day, client, family, operation, outcome } = kind;
                row(&[day, client, family, operation, outcome, &answers.to_string()], out)?;
            }
        }
    }
    Ok(())
}

fn head(records: bool) -> &'static str {
    if records {
        "id,time,client,key,family,operation,status,outcome,request,job,session,referenceNumber,correlationId,evidenceId\r\n"
    } else {
        "day,client,family,operation,outcome,answers\r\n"
    }
}

fn write_record(record: &UsageRecord, format: Format, out: &mut impl Write) -> Result<(), ExportError> {
    if format == Format::Json {
        return line(record, out);
    }
    let text = |id: Option<uuid::Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let given = |text: &Option<String>| text.clone().unwrap_or_default();
    let UsageRecord {
        id, time, client, key, family, operation, status, outcome, request, job, session, ..
    } = record;
    let values = [
        id.to_string(),
        time.to_string(),
        client.clone(),
        key.clone(),
        family.clone(),
        operation.clone(),
        status.to_string(),
        outcome.clone(),
        given(request),
        text(*job),
        text(*session),
        given(&record.reference_number),
        given(&record.correlation_id),
        given(&record.evidence_id),
    ];
    row(&values.each_ref().map(String::as_str), out)
}

fn line(value: &impl Serialize, out: &mut impl Write) -> Result<(), ExportError> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    Ok(out.write_all(b"\n")?)
}

/// A line of a table; what needs them has quotes.
fn row(values: &[&str], out: &mut impl Write) -> Result<(), ExportError> {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        if value.contains([',', '"', '\r', '\n']) {
            write!(out, "\"{}\"", value.replace('"', "\"\""))?;
        } else {
            out.write_all(value.as_bytes())?;
        }
    }
    Ok(out.write_all(b"\r\n")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_a_table_needs_it() {
        let mut out = Vec::new();
        row(&["plain", "", "a,b", "say \"hi\"", "two\nlines"], &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "plain,,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\r\n");
    }

    #[test]
    fn a_day_is_a_day() {
        assert_eq!(day("2028-02-29").unwrap().to_string(), "2028-02-29");
        for wrong in ["2026-02-29", "2026-2-2", "today", "2026-02-28T00:00:00Z", ""] {
            assert!(day(wrong).is_err(), "{wrong}");
        }
    }
}
