//! Stores, blobs and rates through failovers of Redis while their connections stay open.

use std::time::Duration;

use bytes::Bytes;
use faceline_gateway_store::outbox::Lane;
use faceline_gateway_store::rate::redis::RedisRates;
use faceline_gateway_store::rate::{Rate, RateLimiter as _, Terms};
use faceline_gateway_store::redis::RedisStore;
use faceline_gateway_store::sessions::{Deletion, Insertion, ReplayChange, ReplayLookup, ReplayOutcome};
use faceline_gateway_store::{ClientBounds, StoreError, Stores};
use faceline_shared::blob::redis::RedisBlobs;
use faceline_shared::blob::{BlobError, BlobStore as _};
use faceline_shared::settings::ClientTls;
use faceline_shared::testkit::{CutProxy, Redis, Sentinel, free_port};
use tokio::time::Instant;
use uuid::Uuid;

use crate::fixture::{HOUR, MINUTE, add, bytes, created, later, name, replay, row, until};

/// The clients that a gateway has of one Redis installation.
struct Users {
    store: Stores,
    blobs: RedisBlobs,
    rates: RedisRates,
}

impl Users {
    fn of(url: &str) -> Self {
        let tls = ClientTls::default();
        Self {
            store: Stores::of(RedisStore::new(url, &tls).unwrap()),
            blobs: RedisBlobs::new(url, &tls).unwrap(),
            rates: RedisRates::new(url, &tls, Duration::from_secs(3)).unwrap(),
        }
    }

    /// Makes a change through each of them.
    async fn change(&self) -> Result<(), String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        self.store
            .sessions
            .create(&name(), bytes("x"), HOUR, later(), &ClientBounds::NONE)
            .await
            .map_err(|error| said(&error))?;
        let key = Uuid::new_v4().to_string();
        self.blobs.put(&key, Bytes::from_static(b"x"), MINUTE).await.map_err(|error| said(&error))?;
        assert_eq!(self.blobs.get(&key).await.map_err(|error| said(&error))?.unwrap(), "x");
        let terms = Terms { rate: Rate { requests_per_second: 1000, burst: 1000 }, quota: None };
        let verdict = self.rates.check(&key, &terms).await.map_err(|error| said(&error))?;
        assert_eq!(verdict.refusal, None);
        self.rates.heartbeat().await.map_err(|error| said(&error))?;
        Ok(())
    }
}

/// A master and its replica, which has all data.
async fn pair(options: &[&str]) -> (Redis, Redis) {
    let (master, replica) = tokio::join!(Redis::start_with(options), Redis::start_with(options));
    replica.replicate(&master).await;
    (master, replica)
}

#[tokio::test]
async fn no_change_fails_once_the_name_leads_to_the_new_master() {
    let (one, two) = pair(&[]).await;
    let name = CutProxy::start(one.address()).await;
    let users = Users::of(&one.url_at(name.address()));
    users.change().await.unwrap();
    let session = created(&users.store).await;
    name.redirect(two.address());
    one.hand_over_to(&two).await;
    // The connections are open, and lead to a server that is now a replica.
    users.change().await.unwrap();
    add(&users.store, &session, "a face").await;
    users.store.health.check().await.unwrap();
    users.blobs.check().await.unwrap();
    let sessions = two.control(&["KEYS", "*:session:*"]).await;
    assert_eq!(sessions.lines().count(), 3, "{sessions}");
}

#[tokio::test]
async fn a_change_that_the_old_master_made_is_not_made_again_by_the_new_one() {
    let (one, two) = pair(&[]).await;
    let name = CutProxy::start(one.address()).await;
    let store = Users::of(&one.url_at(name.address())).store;
    let session = created(&store).await;
    // This makes the server load the script.
    add(&store, &session, "a face").await;
    let face = Uuid::new_v4();
    // The old master makes the change and replicates it, its answer is lost, and the change is sent to the new
    // master.
    name.mute();
    let adding = store.sessions.add_face(&session, face, bytes("x"), 2, &ClientBounds::NONE);
    let failover = async {
        until(async || two.control(&["KEYS", "*answer*"]).await.lines().nth(2).map(drop)).await;
        name.redirect(two.address());
        one.hand_over_to(&two).await;
        name.cut();
        name.pass();
    };
    let (added, ()) = tokio::join!(adding, failover);
    // The session could not have taken another face.
    assert_eq!(added.unwrap(), Insertion::Added);
}

#[tokio::test]
async fn a_change_of_a_replay_that_the_old_master_made_is_answered_by_the_new_one() {
    let (one, two) = pair(&[]).await;
    let name = CutProxy::start(one.address()).await;
    let store = Users::of(&one.url_at(name.address())).store;
    let session = created(&store).await;
    // This makes the server load the script.
    let begun = ReplayChange { lease: HOUR, upload_within: Some(HOUR), ..replay(0) };
    store.sessions.change_replay(&session, begun, &ClientBounds::NONE).await.unwrap();
    name.mute();
    let submitted = ReplayChange {
        in_progress: true,
        rows: vec![(Lane::Replays, later()), (Lane::Callbacks, later())],
        ..replay(1)
    };
    let changing = store.sessions.change_replay(&session, submitted, &ClientBounds::NONE);
    let failover = async {
        until(async || two.control(&["KEYS", "*answer*"]).await.lines().nth(2).map(drop)).await;
        name.redirect(two.address());
        one.hand_over_to(&two).await;
        name.cut();
        name.pass();
    };
    let (changed, ()) = tokio::join!(changing, failover);
    assert_eq!(changed.unwrap(), ReplayOutcome::Changed { revision: 2 });
    let ReplayLookup::Found(found) = store.sessions.replay(&session).await.unwrap() else {
        panic!("no replay")
    };
    assert_eq!((found.revision, found.lease_left), (2, Duration::ZERO));
    assert!(found.upload_left > HOUR - MINUTE);
    for lane in [Lane::Replays, Lane::Callbacks] {
        assert_eq!(store.outbox.depth(lane).await.unwrap(), 1);
    }
    assert_eq!(store.sessions.delete(&session, later()).await.unwrap(), Deletion::ReplayInProgress);
}

#[tokio::test]
async fn an_address_that_stays_with_the_replica_is_refused_and_says_so_at_once() {
    let (one, two) = pair(&[]).await;
    let users = Users::of(&one.url());
    users.change().await.unwrap();
    let session = created(&users.store).await;
    one.hand_over_to(&two).await;
    for _ in 0..20 {
        let begun = Instant::now();
        let refused =
            users.store.sessions.create(&name(), bytes("x"), HOUR, later(), &ClientBounds::NONE).await;
        assert!(
            matches!(&refused, Err(StoreError::Unreachable(said)) if said.contains("replica")),
            "{refused:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    // A replica may lag behind, so it is not read either.
    let read = users.store.sessions.session(&session).await;
    assert!(matches!(read, Err(StoreError::Unreachable(_))), "{read:?}");
    // In each failover, a name that follows the master leads to the replica for a while, for all instances.
    let error = users.store.health.check().await.unwrap_err();
    assert!(error.to_string().contains("replica") && !error.is_misconfiguration(), "{error}");
    let error = users.blobs.check().await.unwrap_err();
    assert!(error.to_string().contains("replica") && !error.is_misconfiguration(), "{error}");

    two.hand_over_to(&one).await;
    until(async || users.change().await.ok()).await;
    users.store.health.check().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_only_reads_leaves_a_replica_with_the_next_check() {
    let (one, two) = pair(&["--replica-read-only", "no"]).await;
    let users = Users::of(&format!("redis://{},{}", one.address(), two.address()));
    users.store.health.check().await.unwrap();
    let session = created(&users.store).await;
    let id = session.id.to_string();
    let has_session = async || two.control(&["KEYS", "*:session:*"]).await.contains(&id);
    until(async || has_session().await.then_some(())).await;
    two.control(&["REPLICAOF", "NO", "ONE"]).await;
    one.replicate(&two).await;
    // A writable replica accepts writes, and loses them.
    users.store.health.check().await.unwrap();
    users.store.sessions.delete(&session, later()).await.unwrap();
    assert!(!has_session().await, "it was deleted elsewhere");
}

#[tokio::test]
async fn of_several_servers_the_master_is_used_whichever_it_is() {
    let (one, two) = pair(&[]).await;
    // The first address accepts connections and never answers, and no server listens on the second one.
    let silent = CutProxy::start(one.address()).await;
    silent.stall();
    let (away, a, b) = (free_port(), one.address(), two.address());
    let users = Users::of(&format!("redis://{},127.0.0.1:{away},{b},{a}", silent.address()));
    users.change().await.unwrap();
    for (master, replica) in [(&one, &two), (&two, &one), (&one, &two)] {
        master.hand_over_to(replica).await;
        users.change().await.unwrap();
        users.store.health.check().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_unreachable_and_not_set_up_wrong() {
    // The server pauses after each command that it loads, and serves its connections after each 1024 commands.
    let mut server = Redis::start_with(&["--appendonly", "yes", "--key-load-delay", "100"]).await;
    let users = Users::of(&server.url());
    users.change().await.unwrap();
    let fill = "for number = 1, 30000 do redis.call('SET', 'key' .. number, 'x') end";
    server.control(&["EVAL", fill, "0"]).await;
    server.restart_loading().await;
    let is_loading = |refused: String| refused.to_lowercase().contains("loading");
    until(async || users.change().await.err().is_some_and(is_loading).then_some(())).await;
    let error = users.store.health.check().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    until(async || users.change().await.ok()).await;
}

#[tokio::test]
async fn a_full_server_is_seen_by_the_check_before_a_caller_meets_it() {
    let server = Redis::start_with(&["--maxmemory", "8mb"]).await;
    let users = Users::of(&server.url());
    users.store.health.check().await.unwrap();
    server.control(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let error = users.store.health.check().await.unwrap_err();
    assert!(matches!(error, StoreError::Full) && !error.is_misconfiguration(), "{error:?}");
    assert!(matches!(users.blobs.check().await, Err(BlobError::Full)));
    server.control(&["CONFIG", "SET", "maxmemory", "0"]).await;
    users.store.health.check().await.unwrap();
}

#[tokio::test]
async fn wrong_credentials_are_no_outage() {
    let server = Redis::start_with(&["--requirepass", "right"]).await;
    let url = |credentials: &str| format!("redis://{credentials}{}", server.address());
    Users::of(&url(":right@")).change().await.unwrap();
    for credentials in ["", ":wrong@", "nobody:right@"] {
        let error = Users::of(&url(credentials)).store.health.check().await.unwrap_err();
        assert!(matches!(error, StoreError::Unfit(_)), "{credentials}: {error:?}");
        assert!(!error.to_string().contains("right"), "{error}");
    }
}

#[tokio::test]
async fn sentinels_lead_to_the_master_that_they_promote() {
    let options = ["--requirepass", "s3cret", "--masterauth", "s3cret"];
    let (mut one, two) = tokio::join!(Redis::start_with(&options), Redis::start_with(&options));
    let port = one.address().port().to_string();
    two.control(&["-a", "s3cret", "REPLICAOF", "127.0.0.1", &port]).await;
    until(async || {
        let told = two.control(&["-a", "s3cret", "INFO", "replication"]).await;
        told.contains("master_link_status:up").then_some(())
    })
    .await;
    let lines =
        [format!("sentinel auth-pass {} s3cret", Sentinel::MASTER), "requirepass sentin&l".to_owned()];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let sentinel = Sentinel::start(&one, &lines).await;
    // The first sentinel does not answer.
    let silent = CutProxy::start(one.address()).await;
    silent.stall();
    let users = Users::of(&format!(
        "redis+sentinel://:s3cret@{},{}/{}/1?sentinel_password=sentin%26l",
        silent.address(),
        sentinel.host(),
        Sentinel::MASTER
    ));
    users.change().await.unwrap();
    // The data is in the second database.
    assert!(one.control(&["-a", "s3cret", "-n", "1", "DBSIZE"]).await.trim() != "0");
    until(async || {
        let known = ["-a", "sentin&l", "-p", sentinel.host().rsplit_once(':').unwrap().1].map(str::to_owned);
        let known: Vec<&str> =
            known.iter().map(String::as_str).chain(["SENTINEL", "replicas", Sentinel::MASTER]).collect();
        one.control(&known).await.contains("master-link-status").then_some(())
    })
    .await;

    one.kill9().await;
    let error = users.store.health.check().await.unwrap_err();
    assert!(!error.is_misconfiguration(), "a failover is no wrong setting: {error}");
    let (_, ()) = until(async || users.change().await.ok()).await;
    users.store.health.check().await.unwrap();
    assert!(two.control(&["-a", "s3cret", "ROLE"]).await.starts_with("master"));

    // The old master comes back, and the sentinels make it a replica.
    one.restart().await;
    users.change().await.unwrap();
    let unknown = format!("redis+sentinel://:s3cret@{}/other?sentinel_password=sentin%26l", sentinel.host());
    let error = Users::of(&unknown).store.health.check().await.unwrap_err();
    assert!(error.to_string().contains("knows no master `other`"), "{error}");
}

#[tokio::test]
async fn an_outage_costs_few_requests_more_than_a_moment() {
    let server = Redis::start().await;
    let proxy = CutProxy::start(server.address()).await;
    let users = Users::of(&server.url_at(proxy.address()));
    users.change().await.unwrap();
    // From now on the server does not answer, as behind a broken network, and neither do new connections.
    proxy.stall();
    assert!(users.store.outbox.depth(Lane::Sessions).await.is_err());
    let begun = Instant::now();
    let mut slow = 0;
    for _ in 0..1000 {
        let asked = Instant::now();
        assert!(users.store.outbox.enqueue(Lane::Usage, row("x", HOUR)).await.is_err());
        slow += usize::from(asked.elapsed() > Duration::from_millis(100));
    }
    assert!(slow <= 1 + begun.elapsed().as_secs() as usize / 2, "{slow} of 1000 requests waited");
    proxy.cut();
    proxy.pass();
    until(async || users.change().await.ok()).await;
}

#[tokio::test]
async fn a_user_with_the_documented_rights_is_enough() {
    let server = Redis::start().await;
    // Without the last two, the role is not known, and the policy is read elsewhere.
    let rights =
        ["+@read", "+@write", "+@scripting", "+@connection", "+time", "+info", "+role", "+config|get"];
    for count in [rights.len(), rights.len() - 2] {
        let user = ["ACL", "SETUSER", "faceline", "reset", "on", ">s3cret", "~faceline:*"];
        server.control(&[&user[..], &rights[..count]].concat()).await;
        let users = Users::of(&format!("redis://faceline:s3cret@{}", server.address()));
        users.store.health.check().await.unwrap();
        users.blobs.check().await.unwrap();
        users.change().await.unwrap();
        let session = created(&users.store).await;
        users.store.sessions.delete(&session, row("x", Duration::ZERO)).await.unwrap();
        assert_eq!(users.store.outbox.lease(Lane::Sessions, 9, MINUTE).await.unwrap().len(), 1);
    }
}
