//! Accounts over their file, and the commands that edit it.

use std::net::{IpAddr, Ipv4Addr};

use base64_simd::STANDARD;
use faceline_gateway_store::rate::Rate;
use faceline_shared::secret_file::SecretFileError;
use tempfile::TempDir;

use super::*;
use crate::accounts::{KeysCommand, KeysCommandError, Permission};

impl Accounts {
    fn poll(&self) {
        if let TableSource::File(file) = &self.table {
            file.poll();
        }
    }
}

/// Accounts of a file in a folder of its own, and the commands that change it.
struct Installation {
    config: Settings,
    _folder: TempDir,
}

impl Installation {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = Settings { data_dir: folder.path().join("data"), ..Settings::default() };
        config.accounts.file = Some(folder.path().join("accounts.toml"));
        // A process of the installation has made the keys.
        faceline_shared::keys::Keys::load(&config).unwrap();
        Self { config, _folder: folder }
    }

    fn path(&self) -> &std::path::Path {
        self.config.accounts.file.as_deref().unwrap()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    fn run_with(&self, arguments: &str, input: &str) -> Result<String, KeysCommandError> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(subcommand)]
            command: KeysCommand,
        }
        let words = std::iter::once("keys").chain(arguments.split_whitespace());
        let line = <Line as clap::Parser>::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
        let mut out = Vec::new();
        line.command.run(&self.config, &mut input.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn run(&self, arguments: &str) -> String {
        self.run_with(arguments, "").unwrap()
    }

    fn refused(&self, arguments: &str) -> String {
        self.run_with(arguments, "").unwrap_err().to_string()
    }

    fn accounts(&self) -> Accounts {
        self.accounts_with(&Metrics::new())
    }

    fn accounts_with(&self, metrics: &Metrics) -> Accounts {
        let keys = faceline_shared::keys::Keys::load(&self.config).unwrap();
        Accounts::load(&self.config, &keys.data, metrics).unwrap()
    }
}

/// The value that a command has shown under `name`.
fn shown(output: &str, name: &str) -> String {
    let line = output.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {output}")).trim().to_owned()
}

fn from(last: u8) -> SourceAddress {
    IpAddr::from(Ipv4Addr::new(192, 0, 2, last)).into()
}

fn by_api_key(accounts: &Accounts, key: &str) -> Result<String, Fault> {
    accounts.by_api_key(Some(key.as_bytes()), from(1)).map(|caller| caller.key_id.to_string())
}

async fn by_password(
    accounts: &Accounts,
    user: &str,
    password: &str,
    source: SourceAddress,
) -> Result<String, Fault> {
    accounts.by_password(user, password.as_bytes(), source).await.map(|caller| caller.client.to_string())
}

fn is_too_many(answer: &Result<String, Fault>) -> bool {
    matches!(answer, Err(Fault::Busy(busy)) if busy.cause == BusyCause::FailedLogins)
}

#[test]
fn an_api_key_opens_what_it_allows_and_a_wrong_one_nothing() {
    let installation = Installation::new();
    let key = shown(&installation.run("add --client bank --id bank-1 --permissions match"), "apikey");
    let accounts = installation.accounts();
    let caller = accounts.by_api_key(Some(key.as_bytes()), from(1)).unwrap();
    assert_eq!((&*caller.client, &*caller.key_id), ("bank", "bank-1"));
    assert_eq!(caller.require(Permission::Match), Ok(()));
    assert_eq!(caller.require(Permission::FacesCreate), Err(Fault::Forbidden("faces:create")));
    for wrong in ["", "bank-1", "demo", &key[1..], &format!("{key} ")] {
        assert_eq!(by_api_key(&accounts, wrong), Err(Fault::Unauthenticated));
    }
    assert_eq!(accounts.by_api_key(None, from(1)), Err(Fault::Unauthenticated));
}

#[tokio::test]
async fn without_a_file_there_is_the_demo_account_on_loopback_only() {
    let mut config = Settings::default();
    let ring = KeyRing::generate().unwrap();
    let accounts = Accounts::load(&config, &ring, &Metrics::new()).unwrap();
    let caller = accounts.by_api_key(Some(b"demo"), from(1)).unwrap();
    assert!(Permission::ALL.iter().all(|permission| caller.require(*permission).is_ok()));
    assert_eq!(accounts.by_password("demo", b"demo", from(1)).await.as_ref(), Ok(&caller));
    let [key] = &accounts.bws_keys("demo")[..] else { panic!("one BWS key") };
    let in_the_documents =
        "ZmFjZWxpbmUtZGVtby1rZXktZm9yLWxvb3BiYWNrLW9ubHktZmFjZWxpbmUtZGVtby1rZXktZm9yLWxvb3BiYQ==";
    assert_eq!((STANDARD.encode_to_string(&key.secret), &key.caller), (in_the_documents.to_owned(), &caller));

    config.http.listen = ([0, 0, 0, 0], 8080).into();
    let refused = Accounts::load(&config, &ring, &Metrics::new());
    assert!(matches!(refused, Err(AccountsError::DemoInTheOpen)));
}

#[test]
fn a_missing_file_is_named() {
    let mut config = Settings::default();
    config.accounts.file = Some("/nowhere/accounts.toml".into());
    let ring = KeyRing::generate().unwrap();
    let error = Accounts::load(&config, &ring, &Metrics::new()).err().unwrap().to_string();
    assert!(error.contains("/nowhere/accounts.toml"), "{error}");
}

#[tokio::test]
async fn a_password_is_its_users_and_what_is_wrong_is_not_told() {
    let installation = Installation::new();
    let added = installation.run("add --client bank --kind basic --user alice --permissions match");
    let password = shown(&added, "password");
    let chosen = "add --client shop --kind basic --user bob --permissions match --secret-stdin";
    let echoed = installation.run_with(chosen, "correct: horse\r\nsecond line").unwrap();
    assert!(
        !echoed.contains("horse") && !echoed.contains("secret"),
        "whoever has chosen it knows it: {echoed}"
    );
    let accounts = installation.accounts();
    for _ in 0..2 {
        assert_eq!(by_password(&accounts, "alice", &password, from(1)).await, Ok("bank".into()));
        assert_eq!(by_password(&accounts, "bob", "correct: horse", from(1)).await, Ok("shop".into()));
        for (user, wrong) in [
            ("alice", "correct: horse"),
            ("alice", ""),
            ("Alice", &password),
            ("", ""),
            ("nobody", "correct: horse"),
            ("nobody", &password),
        ] {
            let answer = by_password(&accounts, user, wrong, from(2)).await;
            assert_eq!(answer, Err(Fault::Unauthenticated), "{user}");
        }
    }
    assert!(!installation.text().contains(&password) && !installation.text().contains("horse"));
}

#[tokio::test]
async fn after_many_guesses_only_what_cannot_be_guessed_is_checked() {
    let mut installation = Installation::new();
    installation.config.limits.failed_logins = 3;
    let key = shown(&installation.run("add --client bank --id key --permissions match"), "apikey");
    let add = |user| format!("add --client bank --kind basic --user {user} --permissions match");
    let [alice, bob] = ["alice", "bob"].map(|user| shown(&installation.run(&add(user)), "password"));
    let accounts = installation.accounts();
    // Known, but from another address.
    assert_eq!(by_password(&accounts, "alice", &alice, from(2)).await, Ok("bank".into()));

    for guessed in ["alice", "bob", "nobody"] {
        assert_eq!(by_password(&accounts, guessed, "guess", from(1)).await, Err(Fault::Unauthenticated));
    }
    let hashes = accounts.hashing.available_permits();
    let all_taken = Arc::clone(&accounts.hashing).acquire_many_owned(hashes as u32).await.unwrap();
    for answer in [
        by_password(&accounts, "alice", "guess", from(1)).await,
        by_password(&accounts, "nobody", "guess", from(1)).await,
        // Correct passwords, one of them cached: an attacker must not learn which one is.
        by_password(&accounts, "alice", &alice, from(1)).await,
        by_password(&accounts, "bob", &bob, from(1)).await,
    ] {
        assert!(is_too_many(&answer), "{answer:?}");
        let wait = answer.unwrap_err().retry_after_seconds().unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
    }
    // None of these requests has waited for a hash.
    assert_eq!(by_api_key(&accounts, &key), Ok("key".into()));
    assert_eq!(
        by_password(&accounts, "alice", &alice, from(2)).await,
        Ok("bank".into()),
        "seen, and from elsewhere"
    );
    drop(all_taken);
    assert_eq!(by_password(&accounts, "bob", &bob, from(2)).await, Ok("bank".into()), "from elsewhere");
    let still = by_password(&accounts, "bob", &bob, from(1)).await;
    assert!(is_too_many(&still), "a right one elsewhere changes nothing here: {still:?}");
}

#[tokio::test]
async fn wrong_credentials_of_one_kind_lock_out_no_other() {
    let mut installation = Installation::new();
    installation.config.limits.failed_logins = 3;
    let added = installation.run("add --client bank --kind basic --user alice --permissions match");
    let accounts = installation.accounts();
    for _ in 0..3 {
        assert_eq!(by_api_key(&accounts, "guess"), Err(Fault::Unauthenticated));
        assert_eq!(accounts.by_token(Some(b"a.b.c"), from(1)), Err(Fault::Unauthenticated));
        assert_eq!(accounts.by_api_key(None, from(1)), Err(Fault::Unauthenticated), "no attempt, no failure");
        assert_eq!(accounts.by_token(None, from(1)), Err(Fault::Unauthenticated));
    }
    assert!(is_too_many(&by_api_key(&accounts, "guess")));
    assert!(matches!(accounts.by_token(Some(b"a.b.c"), from(1)), Err(Fault::Busy(_))));
    let right = by_password(&accounts, "alice", &shown(&added, "password"), from(1)).await;
    assert_eq!(right, Ok("bank".into()));
    assert_eq!(by_password(&accounts, "alice", "guess", from(1)).await, Err(Fault::Unauthenticated));
}

#[tokio::test]
async fn guesses_lock_out_no_user_who_is_at_work_at_the_same_address() {
    let mut installation = Installation::new();
    installation.config.limits.failed_logins = 3;
    let add = |user| format!("add --client bank --kind basic --user {user} --permissions match");
    let [alice, bob] = ["alice", "bob"].map(|user| shown(&installation.run(&add(user)), "password"));
    let accounts = installation.accounts();
    assert_eq!(by_password(&accounts, "alice", &alice, from(1)).await, Ok("bank".into()));
    for guessed in 0..20 {
        let answer = by_password(&accounts, &format!("user-{guessed}"), "guess", from(1)).await;
        assert_eq!(is_too_many(&answer), guessed >= 3, "{answer:?}");
    }
    assert_eq!(by_password(&accounts, "alice", &alice, from(1)).await, Ok("bank".into()), "at work");
    assert!(is_too_many(&by_password(&accounts, "bob", &bob, from(1)).await), "not yet seen from here");
    // Guesses at a user who is known here are limited as well, and each guess gets the same answer.
    for _ in 0..3 {
        assert!(is_too_many(&by_password(&accounts, "alice", "guess", from(1)).await));
    }
    assert!(is_too_many(&by_password(&accounts, "alice", &alice, from(1)).await));
}

#[tokio::test]
async fn guesses_from_many_addresses_at_one_user_are_limited() {
    let mut installation = Installation::new();
    installation.config.limits.failed_logins = 3;
    let add = |user| format!("add --client bank --kind basic --user {user} --permissions match");
    let [alice, bob] = ["alice", "bob"].map(|user| shown(&installation.run(&add(user)), "password"));
    let accounts = installation.accounts();
    assert_eq!(by_password(&accounts, "alice", &alice, from(1)).await, Ok("bank".into()));
    for last in 10..13 {
        let answer = by_password(&accounts, "alice", "guess", from(last)).await;
        assert_eq!(answer, Err(Fault::Unauthenticated));
    }
    for password in ["guess", &alice] {
        assert!(is_too_many(&by_password(&accounts, "alice", password, from(20)).await), "{password}");
    }
    assert_eq!(by_password(&accounts, "alice", &alice, from(1)).await, Ok("bank".into()), "known here");
    assert_eq!(by_password(&accounts, "bob", &bob, from(20)).await, Ok("bank".into()), "another user");
}

#[tokio::test]
async fn guesses_from_elsewhere_lock_out_no_user_at_work_when_the_accounts_change() {
    let mut installation = Installation::new();
    installation.config.limits.failed_logins = 3;
    let added = installation.run("add --client bank --kind basic --user alice --permissions match");
    let alice = shown(&added, "password");
    let accounts = installation.accounts();
    assert_eq!(by_password(&accounts, "alice", &alice, from(1)).await, Ok("bank".into()));
    for last in 10..13 {
        let answer = by_password(&accounts, "alice", "guess", from(last)).await;
        assert_eq!(answer, Err(Fault::Unauthenticated));
    }
    // The new table of accounts begins with an empty cache of passwords.
    installation.run("add --client shop --id other --permissions match");
    let before = accounts.table();
    (0..2).for_each(|_| accounts.poll());
    assert!(!Arc::ptr_eq(&before, &accounts.table()));
    assert!(is_too_many(&by_password(&accounts, "alice", &alice, from(20)).await), "not known there");
    assert_eq!(by_password(&accounts, "alice", &alice, from(1)).await, Ok("bank".into()), "known here");

    // Wrong passwords from here get the same answer as from any other address, and are limited.
    for _ in 0..3 {
        assert!(is_too_many(&by_password(&accounts, "alice", "guess", from(1)).await));
    }
    assert!(is_too_many(&by_password(&accounts, "alice", &alice, from(1)).await));
}

#[test]
fn a_bws_key_is_not_sealed_with_keys_that_nobody_has() {
    let mut installation = Installation::new();
    installation.config.data_dir = installation.config.data_dir.join("elsewhere");
    let refused = installation.refused("add --client shop --id a --kind bws --permissions match");
    assert!(refused.contains("keys.toml"), "{refused}");
    assert!(!installation.config.data_dir.exists());
    installation.run("add --client shop --id b --permissions match");
}

#[tokio::test]
async fn many_requests_with_a_right_password_that_come_at_once_are_no_failures() {
    let mut installation = Installation::new();
    installation.config.limits.failed_logins = 1;
    let added = installation.run("add --client bank --kind basic --user alice --permissions match");
    let password = shown(&added, "password");
    // As many as may be hashed at once.
    let mut accounts = installation.accounts();
    accounts.hashing = Arc::new(Semaphore::new(1));
    let all = (0..20).map(|_| by_password(&accounts, "alice", &password, from(1)));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer, Ok("bank".into()));
    }
}

#[tokio::test]
async fn a_user_who_is_not_there_costs_what_one_costs_who_is() {
    let installation = Installation::new();
    let accounts = |installation: &Installation| {
        let mut accounts = installation.accounts();
        accounts.hashing = Arc::new(Semaphore::new(0));
        accounts
    };
    installation.run("add --client bank --kind basic --user alice --permissions match");
    let with_users = accounts(&installation);
    // Both wait for a permit to be hashed.
    for user in ["alice", "nobody"] {
        let mut asked = Box::pin(by_password(&with_users, user, "guess", from(1)));
        assert!(futures_util::future::poll_immediate(&mut asked).await.is_none(), "{user}");
        with_users.hashing.add_permits(1);
        assert_eq!(asked.await, Err(Fault::Unauthenticated));
        // The permit is returned when the hash is computed.
        Arc::clone(&with_users.hashing).acquire_owned().await.unwrap().forget();
    }
}

#[test]
fn a_bws_client_may_have_several_keys_which_open_in_their_places_only() {
    let installation = Installation::new();
    let first =
        shown(&installation.run("add --client bank --kind bws --id one --permissions match"), "bws key");
    let own = STANDARD.encode_to_string([7; 20]);
    let chosen = "add --client bank --kind bws --id two --permissions match --bws-client bank --secret-stdin";
    assert!(!installation.run_with(chosen, &own).unwrap().contains(&own));
    let accounts = installation.accounts();
    let keys = accounts.bws_keys("bank");
    let of = |key: &BwsKey| (STANDARD.encode_to_string(&key.secret), key.caller.key_id.to_string());
    assert_eq!(keys.iter().map(of).collect::<Vec<_>>(), [(first, "one".into()), (own.clone(), "two".into())]);
    assert_eq!(keys[0].secret.len(), 64);
    assert!(accounts.bws_keys("shop").is_empty());
    assert!(!installation.text().contains(&own));

    let moved = installation.text().replace("\"one\"", "\"three\"");
    std::fs::write(installation.path(), moved).unwrap();
    let ring = faceline_shared::keys::Keys::load(&installation.config).unwrap().data;
    let refused = Accounts::load(&installation.config, &ring, &Metrics::new()).err().unwrap().to_string();
    assert!(refused.contains("key `three`") && refused.contains("open"), "{refused}");
}

#[test]
fn a_key_of_each_kind_ends_when_it_has_expired() {
    let installation = Installation::new();
    let key = shown(&installation.run("add --client bank --id a --permissions match"), "apikey");
    installation.run("add --client bank --kind bws --id b --permissions match");
    let accounts = installation.accounts();
    assert_eq!(by_api_key(&accounts, &key), Ok("a".into()));
    assert_eq!(accounts.bws_keys("bank").len(), 1);

    for id in ["a", "b"] {
        installation.run(&format!("rotate {id} --overlap 0s"));
    }
    let accounts = installation.accounts();
    assert_eq!(by_api_key(&accounts, &key), Err(Fault::Unauthenticated));
    let ids: Vec<_> = accounts.bws_keys("bank").iter().map(|key| key.caller.key_id.to_string()).collect();
    assert!(ids.len() == 1 && ids[0] != "b", "{ids:?}");
}

#[tokio::test]
async fn a_user_ends_when_it_has_expired() {
    let installation = Installation::new();
    let added = installation.run("add --client bank --id a --kind basic --user alice --permissions match");
    let refused = installation.refused("rotate a");
    assert!(refused.contains("alice") && refused.contains("--user"), "{refused}");
    assert_eq!(refused, installation.refused("rotate a --user alice"));
    let rotated = installation.run("rotate a --user alice-2 --overlap 0s");
    let accounts = installation.accounts();
    let old = by_password(&accounts, "alice", &shown(&added, "password"), from(1)).await;
    assert_eq!(old, Err(Fault::Unauthenticated));
    let new = by_password(&accounts, "alice-2", &shown(&rotated, "password"), from(1)).await;
    assert_eq!(new, Ok("bank".into()));
}

#[test]
fn a_rotated_key_works_beside_its_successor_which_may_do_the_same() {
    let installation = Installation::new();
    let add = "add --client bank --id old --permissions match,faces:read --requests-per-second 7 --requests-per-day 9";
    let old = shown(&installation.run(add), "apikey");
    let rotated = installation.run("rotate old --id new --overlap 24h");
    let new = shown(&rotated, "apikey");
    assert!(old.len() == 43 && new.len() == 43 && old != new);
    assert!(rotated.contains("The key `old` ends at 20"), "{rotated}");
    let accounts = installation.accounts();
    let [old, new] = [&old, &new].map(|key| accounts.by_api_key(Some(key.as_bytes()), from(1)).unwrap());
    assert_eq!([&*old.key_id, &*new.key_id], ["old", "new"]);
    assert_eq!(Caller { key_id: old.key_id.clone(), ..new.clone() }, old);
    assert_eq!(new.rate, Some(Rate { requests_per_second: 7, burst: 7 }));

    let end = |id: &str| {
        let entries = file::parse(&installation.text()).unwrap();
        entries.into_iter().find(|entry| &*entry.caller.key_id == id).unwrap().expires
    };
    let soon = end("old").unwrap();
    installation.run("rotate old --overlap 48h");
    assert_eq!(end("old"), Some(soon), "it does not get longer by that");
    assert_eq!(end("new"), None);
}

#[test]
fn what_is_listed_has_no_secret_in_it() {
    let installation = Installation::new();
    let made = [
        installation.run("add --client bank --id a --permissions match,faces:read --requests-per-second 7 --burst 9"),
        installation.run("add --client bank --id b --kind basic --user alice --permissions match --requests-per-month 1000"),
        installation.run("add --client shop --id c --kind bws --bws-client x --permissions match --expires-in 90days"),
        installation.run("rotate a --id d --overlap 0s"),
    ];
    let listed = installation.run("list");
    let lines: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(lines[0], ["CLIENT", "KEY", "KIND", "RATE", "QUOTA", "CREATED", "EXPIRES", "PERMISSIONS"]);
    assert_eq!(lines[1][..5], ["bank", "a", "api-key", "7/s, 9 at once", "-"]);
    assert!(lines[1][6].ends_with("Z (over)") && lines[1][7] == "match,faces:read", "{listed}");
    assert_eq!(lines[2][..5], ["bank", "b", "basic alice", "-", "1000 a month"]);
    assert_eq!((lines[3][1], lines[3][6]), ("d", "-"));
    assert_eq!(lines[4][..3], ["shop", "c", "bws x"]);
    assert!(lines[4][5].starts_with("20") && lines[4][6].ends_with('Z'));
    for (output, name) in made.iter().zip(["apikey", "password", "bws key", "apikey"]) {
        let secret = shown(output, name);
        assert!(!listed.contains(&secret) && !installation.text().contains(&secret));
    }
    assert!(!listed.contains("argon2") && lines.len() == 5, "{listed}");
}

#[test]
fn a_revoked_key_is_gone_and_nothing_else_is() {
    let installation = Installation::new();
    let [one, two] = ["one", "two"].map(|id| {
        shown(&installation.run(&format!("add --client bank --id {id} --permissions match")), "apikey")
    });
    installation.run("revoke one");
    let accounts = installation.accounts();
    assert_eq!(by_api_key(&accounts, &one), Err(Fault::Unauthenticated));
    assert_eq!(by_api_key(&accounts, &two), Ok("two".into()));
    let again = installation.refused("revoke one");
    assert!(again.contains("`one`") && again.contains("keys list"), "{again}");
}

#[test]
fn commands_that_meet_lose_nothing_of_each_other() {
    let installation = Installation::new();
    std::thread::scope(|scope| {
        for client in ["a", "b", "c", "d"] {
            let installation = &installation;
            scope.spawn(move || {
                for _ in 0..5 {
                    installation.run(&format!("add --client {client} --permissions match"));
                }
            });
        }
    });
    assert_eq!(file::parse(&installation.text()).unwrap().len(), 20);
}

#[test]
fn commands_say_what_to_do() {
    let installation = Installation::new();
    assert!(installation.refused("list").contains("accounts.toml"));
    assert!(installation.refused("revoke x").contains("keys list"));
    installation.run("add --client bank --id one --permissions match");
    let before = installation.text();
    for (arguments, word) in [
        ("add --client bank --id one --permissions match", "`one` is there twice"),
        ("add --client bank --user alice --permissions match", "--user"),
        ("add --client bank --bws-client x --permissions match", "--bws-client"),
        ("add --client bank --secret-stdin --permissions match", "--secret-stdin"),
        ("add --client bank --kind basic --user a:b --permissions match", "colon"),
        ("add --client bank --kind basic --user a --secret-stdin --permissions match", "8 bytes"),
        ("add --client bank --kind bws --secret-stdin --permissions match", "16 bytes"),
        ("rotate one --user alice", "--user"),
        ("rotate none", "keys list"),
    ] {
        let said = installation.refused(arguments);
        assert!(said.contains(word), "{arguments}: {said}");
        assert_eq!(installation.text(), before, "{arguments}");
    }
    std::fs::write(installation.path(), "[[clients]]\nname = 7\n").unwrap();
    assert!(installation.refused("add --client bank --permissions match").contains("accounts.toml"));
    let mut demo = Installation::new();
    demo.config.accounts.file = None;
    assert!(demo.refused("list").contains("--set accounts.file="));
    let readable =
        std::fs::set_permissions(installation.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644));
    assert!(readable.is_ok());
    let error = installation.run_with("add --client bank --permissions match", "").unwrap_err();
    assert!(!matches!(error, KeysCommandError::File(SecretFileError::Readable(_))));
}

#[test]
fn the_end_of_a_key_is_shown_until_the_key_is_removed() {
    let installation = Installation::new();
    installation.run("add --client bank --id a --permissions match --expires-in 1d");
    installation.run("add --client bank --id b --permissions match");
    let metrics = Metrics::new();
    let accounts = installation.accounts_with(&metrics);
    let shown = || {
        let text = metrics.encode();
        let lines = text.lines().filter(|line| line.starts_with("faceline_account_key_expiry"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = shown();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let end = line.strip_prefix("faceline_account_key_expiry_timestamp_seconds{client=\"bank\",key=\"a\"} ");
    let end: i64 = end.expect(line).parse().unwrap();
    let left = end - time::OffsetDateTime::now_utc().unix_timestamp();
    assert!((86_000..=86_400).contains(&left), "{line}");
    installation.run("revoke a");
    // A change counts when it is found twice.
    (0..2).for_each(|_| accounts.poll());
    assert_eq!(shown(), [""; 0]);
}

#[tokio::test]
async fn a_changed_file_counts_and_a_broken_one_changes_nothing() {
    let installation = Installation::new();
    let added = installation.run("add --client bank --id a --permissions match");
    let key = shown(&added, "apikey");
    let user = installation.run("add --client bank --kind basic --user alice --permissions match");
    let metrics = Metrics::new();
    let accounts = installation.accounts_with(&metrics);
    // A change counts when it is found twice.
    let poll = || (0..2).for_each(|_| accounts.poll());
    let counted = |outcome: &str, times: u32, current: u8| {
        let text = metrics.encode();
        let reloads = format!("faceline_accounts_reloads_total{{outcome=\"{outcome}\"}} {times}\n");
        assert!(text.contains(&reloads), "{text}");
        assert!(text.contains(&format!("faceline_accounts_current {current}\n")), "{text}");
    };
    poll();
    assert!(!metrics.encode().contains("faceline_accounts_reloads_total{"));

    let good = installation.text();
    for broken in ["clients = 7", "", "[[clients]]\nname = 'half"] {
        if broken.is_empty() {
            std::fs::remove_file(installation.path()).unwrap();
        } else {
            std::fs::write(installation.path(), broken).unwrap();
        }
        poll();
        assert_eq!(by_api_key(&accounts, &key), Ok("a".into()));
    }
    counted("refused", 3, 0);
    std::fs::write(installation.path(), &good).unwrap();
    poll();
    counted("taken", 1, 1);

    let password = shown(&user, "password");
    assert_eq!(by_password(&accounts, "alice", &password, from(1)).await, Ok("bank".into()));
    installation.run("revoke a");
    poll();
    assert_eq!(by_api_key(&accounts, &key), Err(Fault::Unauthenticated));
    counted("taken", 2, 1);
    // The cache of passwords was dropped with the old accounts.
    let table = accounts.table();
    let digest = table.password_cache().digest(password.as_bytes());
    assert_eq!(table.candidate("alice").unwrap().cached(&digest), None);
    assert_eq!(by_password(&accounts, "alice", &password, from(1)).await, Ok("bank".into()));
    assert!(table.candidate("alice").unwrap().cached(&digest).is_some());
}
