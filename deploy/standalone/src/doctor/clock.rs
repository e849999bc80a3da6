//! Checks that this machine's clock agrees with those of the servers.
//!
//! Gateways and workers compare their clocks by the times in jobs. This check cannot read the clocks of the other
//! machines, so it uses the servers' clocks instead.

use std::time::{Duration, Instant, SystemTime};

use faceline_shared::object::ObjectPlace;
use faceline_shared::redis::RedisServer;
use faceline_shared::settings::{ObjectsUrl, StoreUrl};
use faceline_worker::jobs::CLOCK_TOLERANCE;

use super::finding::Finding;
use super::subject::Subject;
use crate::management::{self, Management};

/// Largest difference without a warning. Clocks that NTP synchronises differ far less.
const MAX_USUAL: Duration = Duration::from_secs(1);
/// Resolution of the header `Date`, which has whole seconds.
const DATE_RESOLUTION: Duration = Duration::from_secs(1);
/// Time limit for a server's answer.
const TIMEOUT: Duration = Duration::from_secs(4);

/// The time of a server.
struct Reading {
    server: &'static str,
    time: SystemTime,
    /// This machine's time halfway between request and answer.
    here: SystemTime,
    /// Uncertainty of the reading.
    error: Duration,
}

pub(super) async fn check(subject: Subject) -> Vec<Finding> {
    let (redis, broker, objects) = tokio::join!(redis(&subject), broker(&subject), objects(&subject));
    [redis, broker, objects].into_iter().flatten().map(|reading| judge(&reading)).collect()
}

fn judge(reading: &Reading) -> Finding {
    const CHECK: &str = "clock";
    let Reading { server, time, here, error } = reading;
    let (apart, word) = match time.duration_since(*here) {
        Ok(apart) => (apart, "behind"),
        Err(past) => (past.duration(), "ahead of"),
    };
    let apart = apart.saturating_sub(*error);
    let found = format!("this machine's clock is {:.1} s {word} that of {server}", apart.as_secs_f32());
    let remedy = format!(
        "synchronise the clocks of all machines (chrony, systemd-timesyncd): beyond {} s workers refuse jobs before their deadline or run them \
         after it, and valid tokens and certificates may be refused",
        CLOCK_TOLERANCE.as_secs()
    );
    if apart > CLOCK_TOLERANCE {
        Finding::problem(CHECK, found, remedy)
    } else if apart > MAX_USUAL {
        Finding::warning(CHECK, found, remedy)
    } else {
        Finding::ok(CHECK, format!("this machine's clock agrees with that of {server}"))
    }
}

async fn redis(subject: &Subject) -> Option<Reading> {
    let settings = &subject.settings;
    let (url, tls) = match (&settings.store.url, settings.blobs_url()) {
        (StoreUrl::Redis(url), _) if subject.has_gateway() => (url, &settings.store.tls),
        (_, StoreUrl::Redis(url)) => (url, settings.blobs_tls()),
        _ => return None,
    };
    let facts = RedisServer::new(url, tls).ok()?.facts().await.ok()?;
    let here = facts.asked + facts.round_trip / 2;
    Some(Reading { server: "Redis", time: facts.time, here, error: facts.round_trip / 2 })
}

async fn broker(subject: &Subject) -> Option<Reading> {
    let settings = &subject.settings.broker;
    let management = Management::new(settings.management_url.as_ref()?, settings.tls.ca.as_deref()).ok()?;
    let (asked, started) = (SystemTime::now(), Instant::now());
    let (_, time) = management.has_no_alarm().await.ok()?;
    let half = started.elapsed() / 2;
    Some(Reading { server: "RabbitMQ", time: time?, here: asked + half, error: half + DATE_RESOLUTION })
}

/// Reads the clock of an S3 server. Each of its answers has the time, even the refusal of an unsigned request.
async fn objects(subject: &Subject) -> Option<Reading> {
    let settings = &subject.settings.objects;
    let Some(ObjectsUrl::S3(_)) = &settings.url else { return None };
    let address = settings.endpoint.as_deref().map_or_else(
        || {
            let region = ObjectPlace::new(settings, &subject.settings.data_dir).region;
            format!("https://s3.{region}.amazonaws.com")
        },
        str::to_owned,
    );
    faceline_shared::tls::install_provider();
    let client = reqwest::Client::builder().timeout(TIMEOUT).build().ok()?;
    let (asked, started) = (SystemTime::now(), Instant::now());
    let response = client.head(address).send().await.ok()?;
    let half = started.elapsed() / 2;
    let time = management::date(&response)?;
    Some(Reading { server: "the object store", time, here: asked + half, error: half + DATE_RESOLUTION })
}
