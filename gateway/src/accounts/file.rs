//! The format of the accounts file.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64_simd::STANDARD;
use faceline_gateway_store::rate::{Quota, QuotaSpan, Rate};
use faceline_shared::settings::HostPattern;
use serde::{Deserialize, Deserializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::value::Datetime;
use toml::{Table, Value};

use super::caller::Caller;
use super::client_limits::ClientLimits;
use super::password::PasswordHash;
use super::permission::Permission;
use super::secret::ApiKeyDigest;

/// A key of the accounts file.
#[derive(Debug)]
pub(super) struct AccountEntry {
    pub(super) caller: Caller,
    /// Limits of the caller's client, if it has some of its own.
    pub(super) client_limits: Option<ClientLimits>,
    pub(super) secret: StoredSecret,
    pub(super) created: Option<OffsetDateTime>,
    /// The key is not valid from this time on.
    pub(super) expires: Option<OffsetDateTime>,
}

/// A secret as the file stores it, hashed or sealed: each kind in its own way, and none in plain text.
#[derive(Debug)]
pub(super) enum StoredSecret {
    ApiKey(ApiKeyDigest),
    Password(PasswordCredential),
    Bws(BwsCredential),
}

/// Written by hand: an error of derived code would repeat the unexpected text, which may be a misplaced secret.
impl<'de> Deserialize<'de> for StoredSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = || {
            de::Error::custom(
                "expected `secret` as { api_key_sha256 = \"…\" }, { basic = { user = \"…\", password_argon2id = \"…\" } } \
                 or { bws = { client_id = \"…\", sealed_key = \"…\" } }",
            )
        };
        let table = Table::deserialize(deserializer).map_err(|_| form())?;
        let mut kinds = table.into_iter();
        let (Some((kind, secret)), None) = (kinds.next(), kinds.next()) else { return Err(form()) };
        let read = match (kind.as_str(), secret) {
            ("api_key_sha256", secret @ Value::String(_)) => {
                ApiKeyDigest::deserialize(secret).map(Self::ApiKey)
            }
            ("basic", secret @ Value::Table(_)) => {
                PasswordCredential::deserialize(secret).map(Self::Password)
            }
            ("bws", secret @ Value::Table(_)) => BwsCredential::deserialize(secret).map(Self::Bws),
            _ => return Err(form()),
        };
        read.map_err(|error| de::Error::custom(error.message()))
    }
}

/// A user and the hash of its password.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordCredential {
    pub(super) user: String,
    #[serde(rename = "password_argon2id")]
    pub(super) password: PasswordHash,
}

/// A key that signs the tokens of a BWS client. Checking a signature needs the key itself, so the key is sealed instead
/// of hashed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BwsCredential {
    pub(super) client_id: String,
    #[serde(rename = "sealed_key", deserialize_with = "base64")]
    pub(super) sealed: Vec<u8>,
}

/// An accounts file.
#[derive(Debug)]
pub(super) struct ParsedAccounts {
    pub(super) entries: Vec<AccountEntry>,
    /// The file's settings of callbacks, by client.
    pub(super) callbacks: HashMap<Arc<str>, StoredCallbacks>,
}

/// The file's settings of a client's callbacks, with sealed secrets.
#[derive(Debug, Default)]
pub(super) struct StoredCallbacks {
    pub(super) hosts: Option<Vec<HostPattern>>,
    pub(super) sealed_secrets: Vec<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    clients: Vec<Client>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    name: String,
    limits: Option<ClientLimits>,
    callback_hosts: Option<Vec<HostPattern>>,
    #[serde(default)]
    webhook_secrets: Vec<SealedText>,
    #[serde(default)]
    keys: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    id: String,
    secret: StoredSecret,
    permissions: Vec<Permission>,
    requests_per_second: Option<u32>,
    burst: Option<u32>,
    requests_per_day: Option<u64>,
    requests_per_month: Option<u64>,
    created: Option<Datetime>,
    expires: Option<Datetime>,
}

/// Sealed bytes, as base64 in the file.
#[derive(Deserialize)]
struct SealedText(#[serde(deserialize_with = "base64")] Vec<u8>);

/// Parses the keys of an accounts file, as [`parse_all`] does.
pub(super) fn parse(text: &str) -> Result<Vec<AccountEntry>, String> {
    parse_all(text).map(|parsed| parsed.entries)
}

/// Parses an accounts file. The error describes the problem and contains no secret.
pub(super) fn parse_all(text: &str) -> Result<ParsedAccounts, String> {
    // The full message of the TOML library shows the line, which may hold a secret.
    let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let mut seen = HashSet::new();
    let mut unique = |what: &'static str, name: &str| {
        if name.is_empty() {
            Err(format!("{what} without a name"))
        } else if name.contains(char::is_control) {
            Err(format!("{what} {name:?} has control characters in its name"))
        } else if seen.insert((what, name.to_owned())) {
            Ok(())
        } else {
            Err(format!("{what} `{name}` is there twice"))
        }
    };
    let mut digests: HashSet<[u8; 32]> = HashSet::new();
    let mut bws_clients: HashMap<String, Arc<str>> = HashMap::new();
    let mut entries: Vec<AccountEntry> = Vec::new();
    let mut callbacks = HashMap::new();
    for client in file.clients {
        unique("a client", &client.name)?;
        let name: Arc<str> = client.name.into();
        let sealed_secrets = client.webhook_secrets.into_iter().map(|SealedText(sealed)| sealed).collect();
        callbacks.insert(Arc::clone(&name), StoredCallbacks { hosts: client.callback_hosts, sealed_secrets });
        for key in client.keys {
            let id = key.id;
            unique("a key", &id)?;
            match &key.secret {
                StoredSecret::ApiKey(digest) => {
                    if !digests.insert(digest.bytes()) {
                        return Err(format!("the secret of key `{id}` is there twice"));
                    }
                }
                StoredSecret::Password(basic) => {
                    unique("a user", &basic.user)?;
                    // A colon ends the user name (RFC 7617, 2).
                    if basic.user.contains(':') {
                        return Err(format!("the user of key `{id}` has a colon in its name"));
                    }
                }
                StoredSecret::Bws(bws) => {
                    let owner = bws_clients.entry(bws.client_id.clone()).or_insert_with(|| Arc::clone(&name));
                    if *owner != name {
                        return Err(format!("the BWS client `{}` belongs to two clients", bws.client_id));
                    }
                }
            }
            entries.push(AccountEntry {
                client_limits: client.limits,
                secret: key.secret,
                created: moment(&id, "created", key.created)?,
                expires: moment(&id, "expires", key.expires)?,
                caller: Caller {
                    client: Arc::clone(&name),
                    rate: rate(&id, key.requests_per_second, key.burst)?,
                    quota: quota(&id, key.requests_per_day, key.requests_per_month)?,
                    key_id: id.into(),
                    permissions: key.permissions.into(),
                },
            });
        }
    }
    Ok(ParsedAccounts { entries, callbacks })
}

fn moment(id: &str, what: &str, value: Option<Datetime>) -> Result<Option<OffsetDateTime>, String> {
    let parse = |value: Datetime| OffsetDateTime::parse(&value.to_string(), &Rfc3339);
    value
        .map(parse)
        .transpose()
        .map_err(|_| format!("`{what}` of key `{id}` must be as 2030-01-31T12:00:00Z"))
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The message does not repeat the text, which may be a misplaced secret.
    STANDARD.decode_to_vec(text).map_err(|_| de::Error::custom("expected a sealed key as base64"))
}

fn rate(id: &str, requests_per_second: Option<u32>, burst: Option<u32>) -> Result<Option<Rate>, String> {
    match (requests_per_second, burst) {
        (None, None) => Ok(None),
        (Some(0), _) | (_, Some(0)) => Err(format!("the rate of key `{id}` must be above 0")),
        (Some(requests_per_second), burst) => {
            Ok(Some(Rate { requests_per_second, burst: burst.unwrap_or(requests_per_second) }))
        }
        (None, Some(_)) => Err(format!("key `{id}` has a burst without requests_per_second")),
    }
}

fn quota(id: &str, day: Option<u64>, month: Option<u64>) -> Result<Option<Quota>, String> {
    match (day, month) {
        (None, None) => Ok(None),
        (Some(0), _) | (_, Some(0)) => Err(format!("the quota of key `{id}` must be above 0")),
        (Some(requests), None) => Ok(Some(Quota { requests, span: QuotaSpan::Day })),
        (None, Some(requests)) => Ok(Some(Quota { requests, span: QuotaSpan::Month })),
        (Some(_), Some(_)) => Err(format!("key `{id}` has a quota of the day and one of the month")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    const TWO: &str = "35224d0d3465d74e855f8d69a136e79c744ea35a675d3393360a327cbf6359a2";

    fn key(id: &str, digest: &str, more: &str) -> String {
        format!(
            "[[clients.keys]]\nid = '{id}'\nsecret = {{ api_key_sha256 = '{digest}' }}\npermissions = ['match']\n{more}\n"
        )
    }

    fn client(name: &str, keys: &[String]) -> String {
        format!("[[clients]]\nname = '{name}'\n{}", keys.concat())
    }

    #[test]
    fn a_client_has_several_keys_with_rates_of_their_own() {
        let text = client("bank", &[key("a", ONE, ""), key("b", TWO, "requests_per_second = 5\nburst = 9")]);
        let entries = parse(&text).unwrap();
        let rates: Vec<_> = entries.iter().map(|entry| entry.caller.rate).collect();
        let own = Rate { requests_per_second: 5, burst: 9 };
        assert_eq!(rates, [None, Some(own)]);
        assert!(entries.iter().all(|entry| &*entry.caller.client == "bank"));
    }

    #[test]
    fn a_key_may_have_a_quota() {
        let quota =
            |more| parse(&client("bank", &[key("a", ONE, more)])).map(|entries| entries[0].caller.quota);
        assert_eq!(quota(""), Ok(None));
        let day = Quota { requests: 7, span: QuotaSpan::Day };
        assert_eq!(quota("requests_per_day = 7"), Ok(Some(day)));
        let month = Quota { requests: 8, span: QuotaSpan::Month };
        assert_eq!(quota("requests_per_month = 8"), Ok(Some(month)));
        for wrong in ["requests_per_day = 0", "requests_per_day = 1\nrequests_per_month = 1"] {
            assert!(quota(wrong).unwrap_err().contains("key `a`"), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_without_the_secret() {
        let bank = |keys: &[String]| parse(&client("bank", keys)).unwrap_err();
        assert_eq!(bank(&[key("a", ONE, ""), key("a", TWO, "")]), "a key `a` is there twice");
        assert_eq!(bank(&[key("a", ONE, ""), key("b", ONE, "")]), "the secret of key `b` is there twice");
        assert_eq!(bank(&[key("a", ONE, "burst = 2")]), "key `a` has a burst without requests_per_second");
        assert_eq!(bank(&[key("a", ONE, "requests_per_second = 0")]), "the rate of key `a` must be above 0");
        let plain = bank(&[key("a", "a-plain-secret", "")]);
        assert!(plain.contains("SHA-256") && !plain.contains("plain"), "{plain}");
        let unknown = bank(&[key("a", ONE, "").replace("match", "fly")]);
        assert!(unknown.contains("fly") && unknown.contains("faces:create"), "{unknown}");
        let twice = parse(&(client("bank", &[]) + &client("bank", &[]))).unwrap_err();
        assert_eq!(twice, "a client `bank` is there twice");
        assert!(parse("unknown = 1").unwrap_err().contains("unknown"));
    }

    fn with_secret(id: &str, secret: &str) -> String {
        format!("[[clients.keys]]\nid = '{id}'\nsecret = {secret}\npermissions = []\n")
    }

    #[test]
    fn each_kind_of_secret_is_told_by_its_name() {
        let hash = PasswordHash::hash(b"x").unwrap().as_phc();
        let basic = |id, user| {
            with_secret(id, &format!("{{ basic = {{ user = '{user}', password_argon2id = '{hash}' }} }}"))
        };
        let bws = |id, client_id| {
            with_secret(id, &format!("{{ bws = {{ client_id = '{client_id}', sealed_key = 'AAAA' }} }}"))
        };
        let text = client("bank", &[key("a", ONE, ""), basic("b", "alice"), bws("c", "x"), bws("d", "x")]);
        let entries = parse(&text).unwrap();
        assert!(matches!(&entries[0].secret, StoredSecret::ApiKey(_)));
        assert!(
            matches!(&entries[1].secret, StoredSecret::Password(basic) if basic.user == "alice" && basic.password.verify(b"x"))
        );
        assert!(
            matches!(&entries[3].secret, StoredSecret::Bws(bws) if bws.client_id == "x" && bws.sealed == [0; 3])
        );

        let wrong = |keys: &[String]| parse(&client("bank", keys)).unwrap_err();
        assert_eq!(wrong(&[basic("a", "alice"), basic("b", "alice")]), "a user `alice` is there twice");
        assert_eq!(wrong(&[basic("a", "a:b")]), "the user of key `a` has a colon in its name");
        let two = client("bank", &[bws("a", "x")]) + &client("shop", &[bws("b", "x")]);
        assert_eq!(parse(&two).unwrap_err(), "the BWS client `x` belongs to two clients");
        let plain = wrong(&[bws("a", "x").replace("AAAA", "a plain key")]);
        assert!(plain.contains("base64") && !plain.contains("plain"), "{plain}");
        assert_eq!(
            wrong(&[key("a\tb", ONE, "").replace('\'', "\"")]),
            "a key \"a\\tb\" has control characters in its name"
        );
    }

    #[test]
    fn a_client_may_say_where_its_callbacks_go() {
        let text = |more: &str| format!("[[clients]]\nname = 'bank'\n{more}\n");
        let hosts = |more: &str| {
            parse_all(&text(more)).map(|parsed| parsed.callbacks["bank"].hosts.as_ref().map(Vec::len))
        };
        assert_eq!(hosts(""), Ok(None));
        assert_eq!(hosts("callback_hosts = []"), Ok(Some(0)));
        assert_eq!(hosts("callback_hosts = ['bank.example', '*.bank.example:8443']"), Ok(Some(2)));
        assert!(hosts("callback_hosts = ['https://bank.example']").unwrap_err().contains("is no host"));
        let secrets = parse_all(&text("webhook_secrets = ['AAAA', 'BBBB']")).unwrap();
        assert_eq!(secrets.callbacks["bank"].sealed_secrets.len(), 2);
        let plain = parse_all(&text("webhook_secrets = ['whsec_hunter2']")).unwrap_err();
        assert!(plain.contains("base64") && !plain.contains("hunter2"), "{plain}");
    }

    #[test]
    fn a_key_may_have_an_end() {
        let expires = |more| parse(&client("bank", &[key("a", ONE, more)])).map(|entries| entries[0].expires);
        let end = time::macros::datetime!(2030-01-31 12:00 UTC);
        assert_eq!(expires(""), Ok(None));
        assert_eq!(expires("expires = 2030-01-31T12:00:00Z"), Ok(Some(end)));
        assert_eq!(expires("expires = 2030-01-31 13:00:00+01:00"), Ok(Some(end)));
        for without_zone in ["expires = 2030-01-31", "expires = 2030-01-31T12:00:00"] {
            assert!(expires(without_zone).unwrap_err().contains("2030-01-31T12:00:00Z"));
        }
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated() {
        for secret in [
            "'hunter2'",
            "{ hunter2 = 'x' }",
            "{ api_key_sha256 = ['hunter2'] }",
            "{ basic = 'hunter2' }",
            "{ bws = 'hunter2' }",
            "{ api_key_sha256 = 'x', basic = 'hunter2' }",
        ] {
            let text = format!(
                "[[clients]]\nname = 'bank'\n[[clients.keys]]\nid = 'a'\nsecret = {secret}\npermissions = []"
            );
            let error = parse(&text).unwrap_err();
            assert!(error.starts_with("expected `secret` as") && !error.contains("hunter2"), "{error}");
        }
    }
}
