//! `faceline keys …`.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::rand;
use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use faceline_shared::keys::{Keys, KeysError};
use faceline_shared::seal::SealError;
use faceline_shared::secret_file::{self, SecretFileError};
use faceline_shared::settings::Settings;
use time::OffsetDateTime;
use toml_edit::{InlineTable, Value};

use super::edit::{self, EditError, NewKey};
use super::file::{self, Entry, Secret};
use super::list;
use super::password::Password;
use super::secret::{Digest, seal};
use super::{AccountsError, Permission};

/// Random bytes of API keys and passwords.
const SECRET_LEN: usize = 32;
/// Random bytes of a BWS key: as many as HMAC-SHA-512 makes use of.
const BWS_KEY_LEN: usize = 64;
/// A password that somebody else has chosen has so many bytes at least.
const SHORTEST_PASSWORD: usize = 8;
/// A BWS key that somebody else has made has so many bytes at least.
const SHORTEST_BWS_KEY: usize = 16;

/// Keys of clients
#[derive(Clone, Debug, clap::Subcommand)]
pub enum KeysCommand {
    /// Add a key, and show its secret, this once
    Add(AddKey),
    /// Show all keys, without their secrets
    List,
    /// Add a key that follows another one, which ends after a while, and show its secret, this once
    Rotate(RotateKey),
    /// Take a key out: it is refused from then on
    Revoke {
        /// The key's id
        key: String,
    },
}

/// What a new key is to be
#[derive(Clone, Debug, clap::Args)]
pub struct AddKey {
    /// The client that it belongs to; a new one where there is none of the name
    #[arg(long)]
    client: String,
    /// What its holder shows
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// What it allows
    #[arg(long, value_delimiter = ',', required = true, value_name = "PERMISSION,…", value_parser = permissions())]
    permissions: Vec<Permission>,
    /// Its id, for logs, records and these commands; the client's name and something random where none is given
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The user who shows the password (of kind basic)
    #[arg(long, value_name = "NAME", required_if_eq("kind", "basic"))]
    user: Option<String>,
    /// The `sub` of the tokens that it signs (of kind bws); the client's name where none is given
    #[arg(long, value_name = "ID")]
    bws_client: Option<String>,
    /// Take the password, or the BWS key as base64, from the first line of the standard input
    #[arg(long)]
    secret_stdin: bool,
    /// Requests that it may send in a second, in the long run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_second: Option<u32>,
    /// Requests that it may send at once
    #[arg(long, value_name = "N", requires = "requests_per_second", value_parser = clap::value_parser!(u32).range(1..))]
    burst: Option<u32>,
    /// Requests that it may send on one day (UTC)
    #[arg(long, value_name = "N", conflicts_with = "requests_per_month", value_parser = clap::value_parser!(u64).range(1..=i64::MAX as u64))]
    requests_per_day: Option<u64>,
    /// Requests that it may send in one month (UTC)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=i64::MAX as u64))]
    requests_per_month: Option<u64>,
    /// It ends after this, such as 90days
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    expires_in: Option<Duration>,
}

/// How a key is followed by another one
#[derive(Clone, Debug, clap::Args)]
pub struct RotateKey {
    /// The key's id
    key: String,
    /// The old key ends after this
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    overlap: Duration,
    /// Id of the new key; the client's name and something random where none is given
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The new user (of kind basic), since a user has one password
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

/// Kinds of credential
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Kind {
    /// The header `apikey`
    #[default]
    ApiKey,
    /// User and password (HTTP Basic)
    Basic,
    /// A key that signs tokens (JWT) of a BWS client
    Bws,
}

/// Why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum KeysCommandError {
    /// There is no file to change.
    #[error(
        "there is no accounts file in the settings, only the demo account; name one, as in \
         --set accounts.file=/etc/faceline/accounts.toml (it is made with the first key)"
    )]
    NoFile,
    /// The file is not to be had.
    #[error("accounts file {0}")]
    File(#[from] SecretFileError),
    /// The file, or what it would be, is not of the form.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The file cannot be changed.
    #[error("accounts file {path}: {source}")]
    Edit {
        /// The file.
        path: PathBuf,
        /// Why.
        source: EditError,
    },
    /// There is no such key.
    #[error("there is no key `{0}`; `faceline keys list` shows those that there are")]
    NoKey(String),
    /// The new password of a user.
    #[error("the user `{0}` has one password; name a new user for the new one with --user")]
    SameUser(String),
    /// A flag of another kind.
    #[error("{0} is of another kind of key")]
    OtherKind(&'static str),
    /// The secret from the standard input.
    #[error("the secret: {0}")]
    Secret(&'static str),
    /// The data keys, which seal BWS keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The same, or no random numbers.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Input or output.
    #[error("standard input or output: {0}")]
    Io(#[from] io::Error),
}

impl KeysCommand {
    /// Does it, and writes what there is to know to `out`.
    ///
    /// # Errors
    /// [`KeysCommandError`]; the file is as it was then, unless it was `out` that could not be written to.
    pub fn run(
        self,
        config: &Settings,
        input: &mut impl BufRead,
        out: &mut impl Write,
    ) -> Result<(), KeysCommandError> {
        let path = config.accounts.file.as_deref().ok_or(KeysCommandError::NoFile)?;
        match self {
            Self::Add(key) => key.run(config, path, input, out),
            Self::List => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| AccountsError::Io { path: path.to_owned(), source })?;
                Ok(list::write(&parse(path, &text)?, OffsetDateTime::now_utc(), out)?)
            }
            Self::Rotate(key) => key.run(config, path, out),
            Self::Revoke { key } => {
                change(path, |text, entries| {
                    find(entries, &key)?;
                    edit::remove(text.unwrap_or_default(), &key).map_err(|source| edit_error(path, source))
                })?;
                Ok(writeln!(out, "{key} is revoked; running gateways refuse it within a second or two")?)
            }
        }
    }
}

impl AddKey {
    fn run(
        self,
        config: &Settings,
        path: &Path,
        input: &mut impl BufRead,
        out: &mut impl Write,
    ) -> Result<(), KeysCommandError> {
        for (flag, is_there, kinds) in [
            ("--user", self.user.is_some(), &[Kind::Basic][..]),
            ("--bws-client", self.bws_client.is_some(), &[Kind::Bws]),
            ("--secret-stdin", self.secret_stdin, &[Kind::Basic, Kind::Bws]),
        ] {
            if is_there && !kinds.contains(&self.kind) {
                return Err(KeysCommandError::OtherKind(flag));
            }
        }
        let chosen = if self.secret_stdin { Some(first_line(input)?) } else { None };
        let name = match self.kind {
            Kind::ApiKey => String::new(),
            Kind::Basic => self.user.unwrap_or_default(),
            Kind::Bws => self.bws_client.unwrap_or_else(|| self.client.clone()),
        };
        let id = new_id(self.id, &self.client)?;
        let made = Made::new(self.kind, &self.client, &id, name, chosen.as_deref(), config)?;
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
            let key = NewKey { id: &id, secret: made.form.clone(), created: now, expires };
            edit::add(text, &self.client, key, &self.permissions, &limits)
                .map_err(|source| edit_error(path, source))
        })?;
        made.show(&self.client, &id, out)
    }
}

impl RotateKey {
    fn run(self, config: &Settings, path: &Path, out: &mut impl Write) -> Result<(), KeysCommandError> {
        let mut done = None;
        change(path, |text, entries| {
            let old = find(entries, &self.key)?;
            let client = old.caller.client.as_ref();
            let (kind, name) = match (&old.secret, &self.user) {
                (Secret::ApiKey(_), None) => (Kind::ApiKey, String::new()),
                (Secret::Bws(bws), None) => (Kind::Bws, bws.client_id.clone()),
                (Secret::Basic(basic), user) => match user {
                    Some(user) if *user != basic.user => (Kind::Basic, user.clone()),
                    _ => return Err(KeysCommandError::SameUser(basic.user.clone())),
                },
                (Secret::ApiKey(_) | Secret::Bws(_), Some(_)) => {
                    return Err(KeysCommandError::OtherKind("--user"));
                }
            };
            let id = new_id(self.id.clone(), client)?;
            let made = Made::new(kind, client, &id, name, None, config)?;
            let now = OffsetDateTime::now_utc();
            let end = after(now, self.overlap).map_err(|source| edit_error(path, source))?;
            // One that ends earlier still does.
            let end = old.expires.map_or(end, |expires| expires.min(end));
            let key = NewKey { id: &id, secret: made.form.clone(), created: now, expires: None };
            let text = edit::succeed(text.unwrap_or_default(), &self.key, key, end)
                .map_err(|source| edit_error(path, source))?;
            done = Some((made, client.to_owned(), id, end));
            Ok(text)
        })?;
        let Some((made, client, id, end)) = done else { return Ok(()) };
        made.show(&client, &id, out)?;
        Ok(writeln!(out, "The key `{}` ends at {}.", self.key, list::moment(end))?)
    }
}

/// A value that is shown, and what it is.
type Shown = (&'static str, String);

/// A new secret.
struct Made {
    /// Whose it is, where it has a name of its own.
    name: Option<Shown>,
    /// The secret; none where somebody else has chosen it.
    secret: Option<Shown>,
    /// As the file keeps it.
    form: (&'static str, Value),
}

impl Made {
    fn new(
        kind: Kind,
        client: &str,
        id: &str,
        name: String,
        chosen: Option<&str>,
        config: &Settings,
    ) -> Result<Self, KeysCommandError> {
        Ok(match kind {
            Kind::ApiKey => {
                let secret = URL_SAFE_NO_PAD.encode_to_string(random::<SECRET_LEN>()?);
                let digest = Digest::of(secret.as_bytes()).to_string();
                Self { name: None, secret: Some(("apikey", secret)), form: ("api_key_sha256", digest.into()) }
            }
            Kind::Basic => {
                let made = match chosen {
                    Some(password) if password.len() < SHORTEST_PASSWORD => {
                        return Err(KeysCommandError::Secret("a password has 8 bytes at least"));
                    }
                    Some(_) => None,
                    None => Some(URL_SAFE_NO_PAD.encode_to_string(random::<SECRET_LEN>()?)),
                };
                let password = made.as_deref().or(chosen).unwrap_or_default();
                let hash = Password::hash(password.as_bytes()).map_err(|_| SealError::Crypto)?;
                let members = [("user", name.clone()), ("password_argon2id", hash.as_phc())];
                Self {
                    name: Some(("user", name)),
                    secret: made.map(|made| ("password", made)),
                    form: ("basic", InlineTable::from_iter(members).into()),
                }
            }
            Kind::Bws => {
                let key = match chosen {
                    Some(text) => STANDARD
                        .decode_to_vec(text)
                        .map_err(|_| KeysCommandError::Secret("a BWS key is base64"))?,
                    None => random::<BWS_KEY_LEN>()?.to_vec(),
                };
                if key.len() < SHORTEST_BWS_KEY {
                    return Err(KeysCommandError::Secret("a BWS key has 16 bytes at least"));
                }
                let sealed = seal(&Keys::find(config)?.data, client, id, &key)?;
                let members =
                    [("client_id", name.clone()), ("sealed_key", STANDARD.encode_to_string(sealed))];
                let made = chosen.is_none().then(|| STANDARD.encode_to_string(key));
                Self {
                    name: Some(("bws client", name)),
                    secret: made.map(|made| ("bws key", made)),
                    form: ("bws", InlineTable::from_iter(members).into()),
                }
            }
        })
    }

    fn show(&self, client: &str, id: &str, out: &mut impl Write) -> Result<(), KeysCommandError> {
        writeln!(out, "{:<11} {client}\n{:<11} {id}", "client", "key")?;
        for (what, value) in self.name.iter().chain(&self.secret) {
            writeln!(out, "{what:<11} {value}")?;
        }
        if self.secret.is_some() {
            writeln!(out, "The secret is not shown again.")?;
        }
        Ok(())
    }
}

/// Changes the file while no other command does. What it would be is checked before it is written.
fn change(
    path: &Path,
    change: impl FnOnce(Option<&str>, &[Entry]) -> Result<String, KeysCommandError>,
) -> Result<(), KeysCommandError> {
    secret_file::update_readable(path, |text| {
        let entries = parse(path, text.as_deref().unwrap_or_default())?;
        let new = change(text.as_deref(), &entries)?;
        parse(path, &new)?;
        Ok(Some(new))
    })
}

fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, KeysCommandError> {
    let form = |reason| AccountsError::Form { path: path.to_owned(), reason };
    Ok(file::parse(text).map_err(form)?)
}

fn find<'a>(entries: &'a [Entry], id: &str) -> Result<&'a Entry, KeysCommandError> {
    let found = entries.iter().find(|entry| &*entry.caller.key_id == id);
    found.ok_or_else(|| KeysCommandError::NoKey(id.to_owned()))
}

fn edit_error(path: &Path, source: EditError) -> KeysCommandError {
    KeysCommandError::Edit { path: path.to_owned(), source }
}

fn after(now: OffsetDateTime, time: Duration) -> Result<OffsetDateTime, EditError> {
    time::Duration::try_from(time).ok().and_then(|time| now.checked_add(time)).ok_or(EditError::Time)
}

/// Ids are never used twice, or records of an old key would read as those of a new one.
fn new_id(id: Option<String>, client: &str) -> Result<String, SealError> {
    match id {
        Some(id) => Ok(id),
        None => Ok(format!("{client}-{:08x}", u32::from_be_bytes(random()?))),
    }
}

fn random<const LEN: usize>() -> Result<[u8; LEN], SealError> {
    let mut bytes = [0; LEN];
    rand::fill(&mut bytes).map_err(|_| SealError::Crypto)?;
    Ok(bytes)
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
