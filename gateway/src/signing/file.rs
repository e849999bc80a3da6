//! The key file: the key that signs, the one that will, and those that have signed.

use std::path::PathBuf;

use faceline_shared::secret_file;
use faceline_shared::settings::{Settings, SigningAlgorithm};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::SigningError;
use super::key::{KeyEntry, SigningKey};

const HEADING: &str = "\
# Private keys that sign answers. `faceline signing rotate` adds one. A key is published as long as it stands here, so
# that what it has signed can be checked; the newest one of the algorithm in use signs.
";

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    keys: Vec<KeyEntry>,
}

/// Where the keys of an installation are.
#[derive(Clone, Debug)]
pub struct KeyFile {
    pub(super) path: PathBuf,
    /// Whether it is ours to fill.
    own: bool,
    algorithm: SigningAlgorithm,
}

impl KeyFile {
    /// The file that `config` names; `signing.toml` in the data folder where it names none.
    #[must_use]
    pub fn of(config: &Settings) -> Self {
        let named = config.signing.file.clone();
        Self {
            own: named.is_none(),
            path: named.unwrap_or_else(|| config.data_dir.join("signing.toml")),
            algorithm: config.signing.algorithm,
        }
    }

    /// The keys; where the file is ours and has none that can be used, it gets one.
    pub(super) fn load(&self) -> Result<KeySet, SigningError> {
        match self.read() {
            Err(error) if self.own && error.is_lack() => {
                self.change(OffsetDateTime::now_utc(), Change::Complete)?;
                tracing::info!(
                    file = %self.path.display(),
                    algorithm = self.algorithm.as_str(),
                    "made a new signing key; gateways of one installation share the file"
                );
                self.read()
            }
            read => read,
        }
    }

    /// The keys as they stand.
    pub(super) fn read(&self) -> Result<KeySet, SigningError> {
        KeySet::new(&self.parse(&secret_file::read(&self.path)?)?, self)
    }

    /// Adds a key that signs from `signs_from` on; those that are there stay. The file is made where there is none.
    ///
    /// # Errors
    /// [`SigningError`]; the file is as it was then.
    pub fn rotate(&self, signs_from: OffsetDateTime) -> Result<(), SigningError> {
        self.change(signs_from, Change::Add)
    }

    fn change(&self, signs_from: OffsetDateTime, change: Change) -> Result<(), SigningError> {
        secret_file::update(&self.path, |text| {
            let mut content = text.map(|text| self.parse(&text)).transpose()?.unwrap_or_default();
            let lacks = match KeySet::new(&content, self) {
                Ok(_) => false,
                Err(error) if error.is_lack() => true,
                Err(error) => return Err(error),
            };
            // Another process was first.
            if change == Change::Complete && !lacks {
                return Ok(None);
            }
            // Where nothing else can sign, there is nothing to wait for.
            let signs_from = if lacks { OffsetDateTime::now_utc() } else { signs_from };
            content.keys.insert(0, KeyEntry::generate(self.algorithm, signs_from)?);
            let text = toml::to_string_pretty(&content).map_err(|_| self.form("cannot be written"))?;
            Ok(Some(format!("{HEADING}\n{text}")))
        })
    }

    fn parse(&self, text: &str) -> Result<Content, SigningError> {
        // Without toml's own words, which may show a secret.
        toml::from_str(text).map_err(|_| self.form("it is not of the form"))
    }

    fn form(&self, reason: &'static str) -> SigningError {
        SigningError::Form { path: self.path.clone(), reason }
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Change {
    /// Add a key where none of the algorithm is there.
    Complete,
    /// Add a key.
    Add,
}

/// What a key does now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// It will sign.
    Next,
    /// It signs.
    Active,
    /// It has signed, or it is of the other algorithm.
    Retired,
}

/// The keys of an installation; at least one can sign.
pub(super) struct KeySet {
    /// The latest to sign first.
    keys: Vec<SigningKey>,
    algorithm: SigningAlgorithm,
    /// Index of the key that signs while all others wait.
    first_to_sign: usize,
}

impl KeySet {
    fn new(content: &Content, file: &KeyFile) -> Result<Self, SigningError> {
        let mut keys = content
            .keys
            .iter()
            .map(|entry| SigningKey::try_from(entry).map_err(|reason| file.form(reason)))
            .collect::<Result<Vec<_>, _>>()?;
        // Of two that begin at the same time the first one in the file signs: the sort is stable.
        keys.sort_by_key(|key| std::cmp::Reverse(key.signs_from()));
        let first_to_sign =
            keys.iter().rposition(|key| key.algorithm() == file.algorithm).ok_or_else(|| {
                SigningError::NoKey { path: file.path.clone(), algorithm: file.algorithm.as_str() }
            })?;
        Ok(Self { keys, algorithm: file.algorithm, first_to_sign })
    }

    /// The key that signs at `now`.
    pub(super) fn active(&self, now: OffsetDateTime) -> &SigningKey {
        self.keys
            .iter()
            .find(|key| key.algorithm() == self.algorithm && key.signs_from() <= now)
            .unwrap_or(&self.keys[self.first_to_sign])
    }

    /// The names of all keys.
    pub(super) fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(SigningKey::kid)
    }

    /// All keys and what they do at `now`: the active one first, then the others, the latest to sign first.
    pub(super) fn all(&self, now: OffsetDateTime) -> Vec<(Standing, &SigningKey)> {
        let active = self.active(now);
        let others = self.keys.iter().filter(|key| key.kid() != active.kid()).map(|key| {
            let waits = key.algorithm() == self.algorithm && key.signs_from() > now;
            (if waits { Standing::Next } else { Standing::Retired }, key)
        });
        std::iter::once((Standing::Active, active)).chain(others).collect()
    }
}
