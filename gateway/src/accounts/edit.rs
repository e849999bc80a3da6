//! Edits of the accounts file that keep everything else in it as its owner wrote it, including comments.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml_edit::{Array, ArrayOfTables, Datetime, DocumentMut, InlineTable, Item, Table, Value, value};

use super::permission::Permission;

const HEADING: &str = "\
# Who may call. `faceline keys` adds, lists, rotates and revokes keys; running gateways notice each change.
";

/// Members that the successor of a rotated key inherits.
const INHERITED_MEMBERS: [&str; 5] =
    ["permissions", "requests_per_second", "burst", "requests_per_day", "requests_per_month"];

/// The reason why a file cannot be edited.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It is not TOML.
    #[error("it is not TOML")]
    Syntax,
    /// Its keys or clients are written as inline arrays.
    #[error(
        "its clients and keys are not all written as [[clients]] and [[clients.keys]]; change it by hand"
    )]
    Inline,
    /// TOML cannot express the time.
    #[error("the time is out of range")]
    Time,
}

/// A key that is added to the file.
pub(super) struct NewKey<'a> {
    pub(super) id: &'a str,
    /// Kind and value, in the form that `file.rs` reads.
    pub(super) secret: (&'static str, Value),
    pub(super) created: OffsetDateTime,
    pub(super) expires: Option<OffsetDateTime>,
}

impl NewKey<'_> {
    /// The key as a table, with `rights` between its secret and its times.
    fn table(self, rights: impl IntoIterator<Item = (&'static str, Value)>) -> Result<Table, EditError> {
        let (kind, form) = self.secret;
        let mut table = Table::new();
        table.insert("id", value(self.id));
        table.insert("secret", value(InlineTable::from_iter([(kind, form)])));
        for (name, right) in rights {
            table.insert(name, value(right));
        }
        table.insert("created", value(moment(self.created)?));
        if let Some(expires) = self.expires {
            table.insert("expires", value(moment(expires)?));
        }
        Ok(table)
    }
}

/// Adds a key to `client`, and the client itself if it does not exist. `limits` are members with their values, if set.
pub(super) fn add(
    text: Option<&str>,
    client: &str,
    key: NewKey<'_>,
    permissions: &[Permission],
    limits: &[(&'static str, Option<u64>)],
) -> Result<String, EditError> {
    let permissions: Array = permissions.iter().map(|permission| permission.as_str()).collect();
    let limits = limits.iter().filter_map(|(name, limit)| {
        limit.map(|limit| (*name, i64::try_from(limit).unwrap_or(i64::MAX).into()))
    });
    let table = key.table([("permissions", permissions.into())].into_iter().chain(limits))?;
    let mut document: DocumentMut = text.unwrap_or_default().parse().map_err(|_| EditError::Syntax)?;
    let known = clients(&mut document)?.into_iter().flatten().find(|table| is(table, "name", client));
    if let Some(known) = known {
        keys(known)?.push(table);
        return Ok(document.to_string());
    }
    let mut new = Table::new();
    new.insert("name", value(client));
    new.insert("keys", Item::ArrayOfTables(ArrayOfTables::from_iter([table])));
    let mut end = DocumentMut::new();
    end.insert("clients", Item::ArrayOfTables(ArrayOfTables::from_iter([new])));
    // Appended as text: a comment at the end of the file then stays before the new tables.
    Ok(format!("{}\n{}", text.unwrap_or(HEADING).trim_end_matches('\n'), separated(&end.to_string())))
}

fn separated(text: &str) -> String {
    format!("\n{}", text.trim_start_matches('\n'))
}

/// Adds the successor of the key `old`, with the same permissions and limits. The old key expires at `until`.
pub(super) fn succeed(
    text: &str,
    old: &str,
    key: NewKey<'_>,
    until: OffsetDateTime,
) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|_| EditError::Syntax)?;
    let all = keys_with(&mut document, old)?;
    for table in all.iter_mut().filter(|table| is(table, "id", old)) {
        table.insert("expires", value(moment(until)?));
    }
    let inherited = all.iter().find(|table| is(table, "id", old)).into_iter().flat_map(|table| {
        INHERITED_MEMBERS.into_iter().filter_map(|name| {
            let mut right = table.get(name)?.as_value()?.clone();
            right.decor_mut().clear();
            Some((name, right))
        })
    });
    let new = key.table(inherited)?;
    all.push(new);
    Ok(document.to_string())
}

/// Sets the secrets that sign the callbacks of `client`: sealed, as base64. `None` if there is no such client.
pub(super) fn set_webhook_secrets(
    text: &str,
    client: &str,
    secrets: &[String],
) -> Result<Option<String>, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|_| EditError::Syntax)?;
    let found = clients(&mut document)?.into_iter().flatten().find(|table| is(table, "name", client));
    let Some(table) = found else { return Ok(None) };
    table.insert("webhook_secrets", value(secrets.iter().map(String::as_str).collect::<Array>()));
    Ok(Some(document.to_string()))
}

/// Removes the key `id`.
pub(super) fn remove(text: &str, id: &str) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|_| EditError::Syntax)?;
    keys_with(&mut document, id)?.retain(|table| !is(table, "id", id));
    Ok(document.to_string())
}

fn clients(document: &mut DocumentMut) -> Result<Option<impl Iterator<Item = &mut Table>>, EditError> {
    let Some(clients) = document.get_mut("clients") else { return Ok(None) };
    clients.as_array_of_tables_mut().map(|all| Some(all.iter_mut())).ok_or(EditError::Inline)
}

fn keys(client: &mut Table) -> Result<&mut ArrayOfTables, EditError> {
    let keys = client.entry("keys").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    keys.as_array_of_tables_mut().ok_or(EditError::Inline)
}

/// The keys of the client that has the key `id`.
fn keys_with<'a>(document: &'a mut DocumentMut, id: &str) -> Result<&'a mut ArrayOfTables, EditError> {
    for client in clients(document)?.into_iter().flatten() {
        let all = keys(client)?;
        let has_it = all.iter().any(|table| is(table, "id", id));
        if has_it {
            return Ok(all);
        }
    }
    Err(EditError::Inline)
}

fn is(table: &Table, name: &str, text: &str) -> bool {
    table.get(name).and_then(Item::as_str) == Some(text)
}

fn moment(moment: OffsetDateTime) -> Result<Datetime, EditError> {
    let text = moment.truncate_to_second().format(&Rfc3339).map_err(|_| EditError::Time)?;
    text.parse().map_err(|_| EditError::Time)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use time::macros::datetime;

    use super::*;
    use crate::accounts::file;

    const DIGESTS: [&str; 3] = [
        "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
        "35224d0d3465d74e855f8d69a136e79c744ea35a675d3393360a327cbf6359a2",
        "0263829989b6fd954f72baaf2fc64bc2e2f01d692d4de72986ea808f6e99813f",
    ];

    fn key(id: &str, digest: usize) -> NewKey<'_> {
        let secret = ("api_key_sha256", DIGESTS[digest].into());
        NewKey { id, secret, created: datetime!(2026-11-22 09:00:00.5 UTC), expires: None }
    }

    fn added(text: Option<&str>, client: &str, key: NewKey<'_>) -> String {
        add(text, client, key, &[Permission::Match], &[("requests_per_second", Some(5)), ("burst", None)])
            .unwrap()
    }

    #[test]
    fn what_the_owner_wrote_stays() {
        let own = "\
# Ours.
[[clients]]
name = 'bank' # since 2020

  # Put there by hand.
  [[clients.keys]]
  id = 'old'
  secret = { api_key_sha256 = '2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b' }
  permissions = ['match', 'ages:create'] # no more
  requests_per_day = 1_000

[[clients]]
name = 'shop'
# The end.
";
        let with_more = added(Some(own), "bank", key("bank-2", 1));
        let with_more = added(Some(&with_more), "hotel", key("hotel-1", 2));
        assert_eq!(file::parse(&with_more).unwrap().len(), 3);
        assert_snapshot!(with_more, @r#"
    # Ours.
    [[clients]]
    name = 'bank' # since 2020

      # Put there by hand.
      [[clients.keys]]
      id = 'old'
      secret = { api_key_sha256 = '2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b' }
      permissions = ['match', 'ages:create'] # no more
      requests_per_day = 1_000

    [[clients.keys]]
    id = "bank-2"
    secret = { api_key_sha256 = "35224d0d3465d74e855f8d69a136e79c744ea35a675d3393360a327cbf6359a2" }
    permissions = ["match"]
    requests_per_second = 5
    created = 2026-11-22T09:00:00Z

    [[clients]]
    name = 'shop'
    # The end.

    [[clients]]
    name = "hotel"

    [[clients.keys]]
    id = "hotel-1"
    secret = { api_key_sha256 = "0263829989b6fd954f72baaf2fc64bc2e2f01d692d4de72986ea808f6e99813f" }
    permissions = ["match"]
    requests_per_second = 5
    created = 2026-11-22T09:00:00Z
    "#);

        let next = key("new", 1);
        let rotated = succeed(own, "old", next, datetime!(2026-11-23 09:00 UTC)).unwrap();
        assert_snapshot!(rotated, @r#"
    # Ours.
    [[clients]]
    name = 'bank' # since 2020

      # Put there by hand.
      [[clients.keys]]
      id = 'old'
      secret = { api_key_sha256 = '2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b' }
      permissions = ['match', 'ages:create'] # no more
      requests_per_day = 1_000
    expires = 2026-11-23T09:00:00Z

    [[clients.keys]]
    id = "new"
    secret = { api_key_sha256 = "35224d0d3465d74e855f8d69a136e79c744ea35a675d3393360a327cbf6359a2" }
    permissions = ['match', 'ages:create']
    requests_per_day = 1_000
    created = 2026-11-22T09:00:00Z

    [[clients]]
    name = 'shop'
    # The end.
    "#);
        let entries = file::parse(&rotated).unwrap();
        assert_eq!(entries[0].caller.permissions, entries[1].caller.permissions);
        assert_eq!(entries[0].caller.quota, entries[1].caller.quota);
        assert_eq!(entries[0].expires, Some(datetime!(2026-11-23 09:00 UTC)));
        assert_eq!(entries[1].expires, None);

        let without = remove(&with_more, "old").unwrap();
        assert!(
            without.contains("# Ours.") && without.contains("# The end.") && !without.contains("by hand")
        );
        assert_eq!(file::parse(&without).unwrap().len(), 2);
    }

    #[test]
    fn secrets_of_callbacks_stand_with_their_client() {
        let text = added(None, "bank", key("bank-1", 0));
        let text = added(Some(&text), "shop", key("shop-1", 1));
        let set = |text: &str, secrets: &[&str]| {
            let secrets: Vec<String> = secrets.iter().map(|&secret| secret.to_owned()).collect();
            set_webhook_secrets(text, "bank", &secrets).unwrap().unwrap()
        };
        let text = set(&set(&text, &["AAAA"]), &["BBBB", "AAAA"]);
        let parsed = file::parse_all(&text).unwrap();
        assert_eq!(parsed.callbacks["bank"].sealed_secrets, [[4, 16, 65], [0, 0, 0]]);
        assert!(parsed.callbacks["shop"].sealed_secrets.is_empty());
        assert_eq!(parsed.entries.len(), 2);
        assert!(set_webhook_secrets(&text, "hotel", &[]).unwrap().is_none());
    }

    #[test]
    fn a_file_is_begun_with_its_first_key() {
        let text = added(None, "bank", key("bank-1", 0));
        assert_snapshot!(text, @r#"
    # Who may call. `faceline keys` adds, lists, rotates and revokes keys; running gateways notice each change.

    [[clients]]
    name = "bank"

    [[clients.keys]]
    id = "bank-1"
    secret = { api_key_sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" }
    permissions = ["match"]
    requests_per_second = 5
    created = 2026-11-22T09:00:00Z
    "#);
        file::parse(&text).unwrap();
        let of_comments = added(Some("# Mine.\n"), "bank", key("bank-1", 0));
        assert!(of_comments.starts_with("# Mine.\n\n[[clients]]\n"), "{of_comments}");
    }

    #[test]
    fn names_need_no_care() {
        let text = added(None, "a \"b\" \\ ü", key("c = '\"", 0));
        let entries = file::parse(&text).unwrap();
        assert_eq!((&*entries[0].caller.client, &*entries[0].caller.key_id), ("a \"b\" \\ ü", "c = '\""));
    }

    #[test]
    fn what_is_written_otherwise_is_left_alone() {
        for inline in ["clients = [{ name = 'bank' }]", "[[clients]]\nname = 'bank'\nkeys = []"] {
            let refused = add(Some(inline), "bank", key("a", 0), &[], &[]);
            assert!(matches!(refused, Err(EditError::Inline)), "{inline}");
            assert!(matches!(remove(inline, "a"), Err(EditError::Inline)), "{inline}");
        }
    }
}
