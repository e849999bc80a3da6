//! The output of `faceline keys list`.

use std::io::{self, Write};

use faceline_gateway_store::rate::QuotaSpan;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::caller::Caller;
use super::file::{AccountEntry, StoredSecret};

const HEADINGS: [&str; 8] = ["CLIENT", "KEY", "KIND", "RATE", "QUOTA", "CREATED", "EXPIRES", "PERMISSIONS"];

/// Writes a line for each key.
pub(super) fn write(entries: &[AccountEntry], now: OffsetDateTime, out: &mut impl Write) -> io::Result<()> {
    let lines: Vec<[String; 8]> = std::iter::once(HEADINGS.map(str::to_owned))
        .chain(entries.iter().map(|entry| line(entry, now)))
        .collect();
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default())
        .collect();
    for line in lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn line(entry: &AccountEntry, now: OffsetDateTime) -> [String; 8] {
    let AccountEntry { caller, secret, created, expires, .. } = entry;
    let Caller { client, key_id, rate, quota, permissions } = caller;
    let kind = match secret {
        StoredSecret::ApiKey(_) => "api-key".to_owned(),
        StoredSecret::Password(basic) => format!("basic {}", basic.user),
        StoredSecret::Bws(bws) => format!("bws {}", bws.client_id),
    };
    let rate = rate.map(|rate| format!("{}/s, {} at once", rate.requests_per_second, rate.burst));
    let quota = quota.map(|quota| {
        let span = match quota.span {
            QuotaSpan::Day => "day",
            QuotaSpan::Month => "month",
        };
        format!("{} a {span}", quota.requests)
    });
    let expires = expires.map(|end| {
        let is_over = if end <= now { " (over)" } else { "" };
        format!("{}{is_over}", moment(end))
    });
    let permissions: Vec<_> = permissions.iter().map(|permission| permission.as_str()).collect();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        client.to_string(),
        key_id.to_string(),
        kind,
        or_dash(rate),
        or_dash(quota),
        or_dash(created.map(moment)),
        or_dash(expires),
        permissions.join(","),
    ]
}

/// A time in RFC 3339, to the second.
pub(super) fn moment(moment: OffsetDateTime) -> String {
    moment.truncate_to_second().format(&Rfc3339).unwrap_or_default()
}
