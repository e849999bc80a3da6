//! Checks of the session store and of the blob store.

use faceline_gateway_store as gateway_store;
use faceline_shared::redis::{RedisFacts, RedisServer};
use faceline_shared::settings::{ClientTls, StoreUrl};
use faceline_shared::{blob, redis};

use super::finding::Finding;
use super::subject::Subject;

/// Redis is nearly full above this share of its `maxmemory`, in percent.
const NEARLY_FULL: u64 = 80;

const REDIS: &str = "start Redis or correct the address; the address must lead to the master, whose maxmemory-policy must be noeviction \
                     (docs/operations.md, Redis)";

/// Checks the store of sessions, outbox and rates.
pub(super) async fn store(subject: Subject) -> Vec<Finding> {
    const CHECK: &str = "store";
    let settings = &subject.settings.store;
    let StoreUrl::Redis(url) = &settings.url else {
        let found = "the store is a file in data_dir; it is not opened, since the running program holds it";
        return vec![Finding::ok(CHECK, found)];
    };
    let checked = match gateway_store::open(settings, &subject.settings.data_dir) {
        Ok(stores) => stores.health.check().await,
        Err(error) => Err(error),
    };
    if let Err(error) = checked {
        return vec![of_error(CHECK, &error)];
    }
    let mut findings =
        vec![Finding::ok(CHECK, format!("{url} is a master, takes writes and evicts nothing"))];
    match facts(url, &settings.tls).await {
        Ok(facts) => {
            findings.extend(lasting(&facts));
            findings.push(memory(CHECK, &facts));
        }
        Err(error) => findings.push(hidden(CHECK, &error)),
    }
    findings
}

/// Checks the store of pictures that workers fetch.
pub(super) async fn blobs(subject: Subject) -> Vec<Finding> {
    const CHECK: &str = "blobs";
    let (url, tls) = (subject.settings.blobs_url(), subject.settings.blobs_tls());
    let StoreUrl::Redis(address) = url else {
        return vec![Finding::ok(
            CHECK,
            "pictures on their way to a worker are in the memory of the program",
        )];
    };
    let checked = match blob::open(url, tls) {
        Ok(blobs) => blobs.check().await,
        Err(error) => Err(error),
    };
    if let Err(error) = checked {
        return vec![of_error(CHECK, &error)];
    }
    let mut findings =
        vec![Finding::ok(CHECK, format!("{address} is a master, takes writes and evicts nothing"))];
    if subject.settings.blobs.url.is_some() {
        findings.push(match facts(address, tls).await {
            Ok(facts) => memory(CHECK, &facts),
            Err(error) => hidden(CHECK, &error),
        });
    }
    findings
}

fn of_error(check: &'static str, error: &impl ToString) -> Finding {
    let text = error.to_string();
    let remedy = if text.contains("maxmemory-policy") {
        "set it: CONFIG SET maxmemory-policy noeviction, and the same in redis.conf; with eviction Redis drops sessions and accepted work"
    } else if text.contains("is a replica") {
        "name the master, or a Sentinel that knows it (redis+sentinel://…)"
    } else {
        REDIS
    };
    // The remedy is not taken from the text, because the store's messages contain semicolons that precede no remedy.
    Finding::problem(check, text, remedy)
}

async fn facts(url: &str, tls: &ClientTls) -> Result<RedisFacts, redis::RedisServerError> {
    RedisServer::new(url, tls)?.facts().await
}

fn hidden(check: &'static str, error: &redis::RedisServerError) -> Finding {
    Finding::warning(
        check,
        format!("persistence and memory are not known: {error:?}"),
        "let the user of the address run INFO and TIME (ACL +info +time)",
    )
}

/// Checks that sessions and accepted work survive a restart of the server.
fn lasting(facts: &RedisFacts) -> Vec<Finding> {
    const CHECK: &str = "store";
    let mut findings = vec![match (facts.append_only, facts.snapshots) {
        (true, _) => Finding::ok(CHECK, format!("Redis {} appends each write to a file", facts.version)),
        (false, Some(false)) => Finding::warning(
            CHECK,
            format!(
                "Redis {} keeps everything in memory only: a restart loses sessions and accepted work",
                facts.version
            ),
            "CONFIG SET appendonly yes, and the same in redis.conf",
        ),
        (false, _) => Finding::warning(
            CHECK,
            format!(
                "Redis {} writes snapshots at most: a restart loses what came after the last one",
                facts.version
            ),
            "CONFIG SET appendonly yes, and the same in redis.conf",
        ),
    }];
    if facts.replicas > 0 && facts.replicas_to_write == Some(0) {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "it has {} replicas and takes writes without any of them: a failover may lose more",
                facts.replicas
            ),
            "set min-replicas-to-write 1 and min-replicas-max-lag 10",
        ));
    }
    findings
}

fn memory(check: &'static str, facts: &RedisFacts) -> Finding {
    let mebibytes = |bytes: u64| bytes >> 20;
    let used = mebibytes(facts.used_memory);
    if facts.max_memory == 0 {
        return Finding::ok(
            check,
            format!("Redis uses {used} MiB; its maxmemory is not set, so the machine's memory is its bound"),
        );
    }
    let found = format!("Redis uses {used} of {} MiB", mebibytes(facts.max_memory));
    if facts.used_memory.saturating_mul(100) < facts.max_memory.saturating_mul(NEARLY_FULL) {
        Finding::ok(check, found)
    } else {
        let remedy = "raise maxmemory, or lower limits.client_sessions, limits.client_session_bytes and sessions.max_ttl";
        Finding::warning(check, found, remedy)
    }
}
