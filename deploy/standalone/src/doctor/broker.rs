//! Checks of the broker: its nodes, its queues, a message to itself and back, and the keys of the processes that use
//! it.

use std::collections::HashMap;
use std::time::Duration;

use faceline_shared::broker::rabbitmq::{Inspection, QueueState, RoundTrip};
use faceline_shared::broker::{BrokerError, Queue};
use faceline_shared::key_agreement::{AnnouncedKeys, Role};
use faceline_shared::keys::Keys;
use faceline_shared::settings::TopologyMode;

use super::finding::Finding;
use super::limit::{SERVER_TIMEOUT, limited};
use super::subject::Subject;
use crate::management::Management;

/// The oldest RabbitMQ with the features that the queues need.
const OLDEST_VERSION: (u32, u32) = (3, 10);

/// Time limit for processes to announce their keys. They answer a request within a quarter of a second.
const ANNOUNCEMENT_TIME: Duration = Duration::from_secs(2);

const UNREACHABLE: &str = "start the broker, or correct host and port in broker.url; a firewall or NetworkPolicy may drop the connection";

pub(super) async fn check(subject: Subject) -> Vec<Finding> {
    let settings = &subject.settings.broker;
    if settings.url.is_embedded() {
        return vec![Finding::ok("broker", "the broker is embedded in the program")];
    }
    let nodes = match Inspection::of_all_nodes(settings).await {
        Ok(nodes) => nodes,
        Err(error) => return vec![Finding::error("broker", &error, "correct broker.url")],
    };
    let is_one_up = nodes.iter().any(|(_, node)| node.is_ok());
    let mut findings = Vec::new();
    let mut first = None;
    for (address, node) in nodes {
        match node {
            Ok(inspection) => {
                findings.push(version(&address, &inspection));
                first = first.or(Some(inspection));
            }
            Err(error) => {
                let finding = Finding::error("broker", &at(&address, &error), UNREACHABLE);
                findings.push(if is_one_up { finding.into_warning() } else { finding });
            }
        }
    }
    let management = limited("broker.management", SERVER_TIMEOUT, alarms(&subject));
    let Some(inspection) = first else {
        findings.extend(management.await);
        return findings;
    };
    let (queues, messages, keys, management) = tokio::join!(
        limited("broker.queues", SERVER_TIMEOUT, queues(&inspection, settings.topology)),
        limited("broker.messages", SERVER_TIMEOUT, messages(&inspection)),
        limited("keys.agreement", SERVER_TIMEOUT, keys(&inspection, &subject)),
        management,
    );
    [findings, queues, messages, keys, management].concat()
}

/// The error with the node's address in front.
fn at(address: &str, error: &BrokerError) -> String {
    format!("{address}: {error}")
}

fn version(address: &str, inspection: &Inspection) -> Finding {
    let Some(version) = inspection.version() else {
        return Finding::ok("broker", format!("{address} takes the user; it does not tell its version"));
    };
    let mut numbers = version.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
    let at_least = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST_VERSION;
    let found = format!("{address}, virtual host {}: RabbitMQ {version}", inspection.virtual_host());
    if at_least {
        Finding::ok("broker", found)
    } else {
        Finding::problem(
            "broker",
            found,
            "install RabbitMQ 3.10 or later, whose quorum queues expire messages",
        )
    }
}

async fn queues(inspection: &Inspection, mode: TopologyMode) -> Vec<Finding> {
    const CHECK: &str = "broker.queues";
    let mut findings = Vec::new();
    let (mut present, mut missing) = (Vec::new(), Vec::new());
    for queue in Queue::DURABLE {
        let name = inspection.name_of(&queue);
        match inspection.queue(&queue).await {
            Ok(QueueState::Present(depth)) => present.push(format!("{name} {}", depth.ready)),
            Ok(QueueState::Missing) => missing.push(name),
            Ok(QueueState::Differs(_, error)) if queue == Queue::DeadLetters => findings.push(Finding::warning(
                CHECK,
                format!("{name} has other arguments than these settings ask for, and is used as it is: {error}"),
                "bound it by a policy, or delete it and restart a program (docs/operations.md, Dead letters)",
            )),
            Ok(QueueState::Differs(_, error)) | Err(error) => {
                findings.push(Finding::error(CHECK, &error, "see the broker's log"));
            }
        }
    }
    if !present.is_empty() {
        findings.push(Finding::ok(CHECK, format!("messages that wait: {}", present.join(", "))));
    }
    if !missing.is_empty() {
        let names = missing.join(", ");
        findings.push(match mode {
            TopologyMode::Declare => {
                Finding::ok(CHECK, format!("{names}: not there yet; the first gateway or worker declares them"))
            }
            TopologyMode::Passive => Finding::problem(
                CHECK,
                format!("{names}: not there, and broker.topology is `passive`, so no gateway or worker declares them"),
                "declare them (deploy/rabbitmq), or set broker.topology to `declare`",
            ),
        });
    }
    findings
}

async fn messages(inspection: &Inspection) -> Vec<Finding> {
    const CHECK: &str = "broker.messages";
    vec![match inspection.round_trip().await {
        Ok(RoundTrip::Arrived) => {
            Finding::ok(CHECK, "a message to a temporary queue is confirmed and delivered")
        }
        Ok(RoundTrip::Blocked(reason)) => Finding::problem(
            CHECK,
            format!("an alarm of the broker blocks publishing: {reason}"),
            "free memory or disk of the RabbitMQ node that has the alarm (rabbitmq-diagnostics alarms); gateways refuse jobs until then",
        ),
        Err(error) => Finding::error(
            CHECK,
            &error,
            "give the user of broker.url the permissions to configure, write and read (rabbitmqctl set_permissions), and see the broker's log",
        ),
    }]
}

/// Compares the keys of this process's file with those that the running processes announce.
async fn keys(inspection: &Inspection, subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "keys.agreement";
    // Another check reports missing keys.
    let Ok(keys) = Keys::find(&subject.settings) else { return vec![] };
    let announced = match inspection.announcements(AnnouncedKeys::request(), ANNOUNCEMENT_TIME).await {
        Ok(announced) => announced,
        Err(error) => {
            let found = format!("no process announces its keys: {error}");
            return vec![Finding::ok(CHECK, found.split("; ").next().unwrap_or_default())];
        }
    };
    let read = announced.iter().filter_map(|body| AnnouncedKeys::read(body, &keys.data));
    let processes: HashMap<_, _> = read.map(|keys| (keys.process, keys)).collect();
    let (agreeing, others): (Vec<&AnnouncedKeys>, Vec<&AnnouncedKeys>) =
        processes.values().partition(|keys| keys.agrees);
    let count = |role| agreeing.iter().filter(|keys| keys.role == role).count();
    let mut findings: Vec<_> = others.iter().map(|other| different(other, &keys)).collect();
    if others.is_empty() && agreeing.is_empty() {
        findings.push(without_announcements(inspection).await);
    } else if others.is_empty() {
        let (gateways, workers) = (count(Role::Gateway), count(Role::Worker));
        let found = format!("{gateways} running gateways and {workers} running workers have the same keys");
        findings.push(Finding::ok(CHECK, found));
    }
    findings
}

fn different(other: &AnnouncedKeys, keys: &Keys) -> Finding {
    let role = match other.role {
        Role::Gateway => "gateway",
        Role::Worker => "worker",
    };
    let (ours, theirs) = (keys.data.fingerprint(), other.active);
    Finding::problem(
        "keys.agreement",
        format!(
            "a running {role} seals with the key {theirs}, the key file here with {ours}: they do not open each other's messages"
        ),
        "give all gateways and workers the same key file (keys.file; `faceline sealing list` shows fingerprints); when you rotate, add a \
         key to all of them before you activate it",
    )
}

/// The finding if no process announces keys. If a queue has consumers, processes are running that do not answer.
async fn without_announcements(inspection: &Inspection) -> Finding {
    const CHECK: &str = "keys.agreement";
    let consumers = match inspection.queue(&Queue::Interactive).await {
        Ok(QueueState::Present(depth) | QueueState::Differs(depth, _)) => depth.consumers,
        Ok(QueueState::Missing) | Err(_) => 0,
    };
    if consumers == 0 {
        return Finding::ok(CHECK, "no gateway and no worker runs, so there are no keys to compare");
    }
    Finding::warning(
        CHECK,
        format!("{consumers} workers consume jobs, and none has announced its keys"),
        "compare `faceline sealing list` on both machines; workers of an earlier release do not announce their keys",
    )
}

/// The alarms of all nodes. A process that does not publish does not see them.
async fn alarms(subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "broker.management";
    let settings = &subject.settings.broker;
    let Some(url) = &settings.management_url else { return vec![] };
    let asked = async { Management::new(url, settings.tls.ca.as_deref())?.has_no_alarm().await };
    vec![match asked.await {
        Ok((true, _)) => Finding::ok(CHECK, "the management API answers, and no node has an alarm"),
        Ok((false, _)) => Finding::problem(
            CHECK,
            "a node has an alarm: its memory or disk is low, so the cluster reads nothing from publishers",
            "free memory or disk of the node (rabbitmq-diagnostics alarms)",
        ),
        Err(error) => Finding::warning(
            CHECK,
            error.to_string(),
            "enable the plugin (rabbitmq-plugins enable rabbitmq_management), give the user the tag `monitoring`, or correct \
             broker.management_url; gateways and workers do not need it",
        ),
    }]
}
