//! The form of the accounts file.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;

use super::secret::Digest;
use super::{Caller, Entry, Permission, Quota, QuotaSpan, Rate};

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
    #[serde(default)]
    keys: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    id: String,
    secret: Secret,
    permissions: Vec<Permission>,
    requests_per_second: Option<u32>,
    burst: Option<u32>,
    requests_per_day: Option<u64>,
    requests_per_month: Option<u64>,
}

/// Each kind of credential is kept in a way of its own.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Secret {
    #[serde(rename = "api_key_sha256")]
    ApiKey(Digest),
}

/// The entries of an accounts file, or what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, String> {
    // Without the line that toml's full message shows, which may hold a secret.
    let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let mut seen = HashSet::new();
    let mut once = |what: &'static str, name: String| {
        if name.is_empty() {
            Err(format!("{what} without a name"))
        } else if seen.insert((what, name.clone())) {
            Ok(name)
        } else {
            Err(format!("{what} `{name}` is there twice"))
        }
    };
    let mut entries: Vec<Entry> = Vec::new();
    for client in file.clients {
        let name: Arc<str> = once("a client", client.name)?.into();
        for key in client.keys {
            let id = once("a key", key.id)?;
            let rate = rate(&id, key.requests_per_second, key.burst)?;
            let quota = quota(&id, key.requests_per_day, key.requests_per_month)?;
            let Secret::ApiKey(digest) = key.secret;
            if entries.iter().any(|(known, _)| *known == digest) {
                return Err(format!("the secret of key `{id}` is there twice"));
            }
            let caller = Caller {
                client: Arc::clone(&name),
                key_id: id.into(),
                rate,
                quota,
                permissions: key.permissions.into(),
            };
            entries.push((digest, caller));
        }
    }
    Ok(entries)
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
        let rates: Vec<_> = entries.iter().map(|(_, caller)| caller.rate).collect();
        let own = Rate { requests_per_second: 5, burst: 9 };
        assert_eq!(rates, [None, Some(own)]);
        assert!(entries.iter().all(|(_, caller)| &*caller.client == "bank"));
    }

    #[test]
    fn a_key_may_have_a_quota() {
        let quota = |more| parse(&client("bank", &[key("a", ONE, more)])).map(|entries| entries[0].1.quota);
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
}
