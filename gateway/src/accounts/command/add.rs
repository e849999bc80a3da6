//! `faceline keys add`.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use faceline_shared::settings::Settings;
use time::OffsetDateTime;

use super::change::{after, change, edit_error};
use super::credential::{CredentialKind, NewCredential, new_id};
use super::error::KeysCommandError;
use crate::accounts::edit::{self, NewKey};
use crate::accounts::permission::Permission;

/// A new key
#[derive(Clone, Debug, clap::Args)]
pub struct AddKey {
    /// Client that owns the key; added if it does not exist
    #[arg(long)]
    client: String,
    /// Kind of the credential
    #[arg(long, value_enum, default_value_t)]
    kind: CredentialKind,
    /// Permissions of the key
    #[arg(long, value_delimiter = ',', required = true, value_name = "PERMISSION,…", value_parser = permissions())]
    permissions: Vec<Permission>,
    /// Id of the key in logs, records and these commands [default: the client's name and random digits]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// User name that belongs to the password (kind basic)
    #[arg(long, value_name = "NAME", required_if_eq("kind", "basic"))]
    user: Option<String>,
    /// Value of `sub` in the tokens that the key signs (kind bws) [default: the client's name]
    #[arg(long, value_name = "ID")]
    bws_client: Option<String>,
    /// Read the password, or the BWS key as base64, from the first line of standard input
    #[arg(long)]
    secret_stdin: bool,
    /// Rate limit, in requests per second [default: limits.requests_per_second]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_second: Option<u32>,
    /// Number of requests that the key may send at once [default: --requests-per-second]
    #[arg(long, value_name = "N", requires = "requests_per_second", value_parser = clap::value_parser!(u32).range(1..))]
    burst: Option<u32>,
    /// Quota of requests per day (UTC) [default: none]
    #[arg(long, value_name = "N", conflicts_with = "requests_per_month", value_parser = clap::value_parser!(u64).range(1..=i64::MAX as u64))]
    requests_per_day: Option<u64>,
    /// Quota of requests per month (UTC) [default: none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=i64::MAX as u64))]
    requests_per_month: Option<u64>,
    /// Lifetime of the key, such as 90days [default: unlimited]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    expires_in: Option<Duration>,
}

impl AddKey {
    pub(super) fn run(
        self,
        settings: &Settings,
        path: &Path,
        input: &mut impl BufRead,
        out: &mut impl Write,
    ) -> Result<(), KeysCommandError> {
        for (flag, is_there, kinds) in [
            ("--user", self.user.is_some(), &[CredentialKind::Basic][..]),
            ("--bws-client", self.bws_client.is_some(), &[CredentialKind::Bws]),
            ("--secret-stdin", self.secret_stdin, &[CredentialKind::Basic, CredentialKind::Bws]),
        ] {
            if is_there && !kinds.contains(&self.kind) {
                return Err(KeysCommandError::OtherKind(flag));
            }
        }
        let chosen = if self.secret_stdin { Some(first_line(input)?) } else { None };
        let name = match self.kind {
            CredentialKind::ApiKey => String::new(),
            CredentialKind::Basic => self.user.unwrap_or_default(),
            CredentialKind::Bws => self.bws_client.unwrap_or_else(|| self.client.clone()),
        };
        let id = new_id(self.id, &self.client)?;
        let new = NewCredential::new(self.kind, &self.client, &id, name, chosen.as_deref(), settings)?;
        let now = OffsetDateTime::now_utc();
        let limits = [
            ("requests_per_second", self.requests_per_second.map(u64::from)),
            ("burst", self.burst.map(u64::from)),
            ("requests_per_day", self.requests_per_day),
            ("requests_per_month", self.requests_per_month),
        ];
        change(path, |text, _| {
            let expires = self.expires_in.map(|time| after(now, time)).transpose();
            let expires = expires.map_err(|source| edit_error(path, source))?;
            let key = NewKey { id: &id, secret: new.stored.clone(), created: now, expires };
            edit::add(text, &self.client, key, &self.permissions, &limits)
                .map_err(|source| edit_error(path, source))
        })?;
        new.show(&self.client, &id, out)
    }
}

fn first_line(input: &mut impl BufRead) -> Result<String, io::Error> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn permissions() -> impl clap::builder::TypedValueParser<Value = Permission> {
    let names = PossibleValuesParser::new(Permission::ALL.map(Permission::as_str));
    names.try_map(|name| Permission::of(&name).ok_or("no permission"))
}
