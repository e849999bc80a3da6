//! `faceline queue list`.

use std::collections::HashMap;
use std::io::Write;

use faceline_shared::broker::Queue;
use faceline_shared::broker::rabbitmq::{Inspection, QueueState};
use faceline_shared::settings::Settings;
use serde::Serialize;

use super::error::QueueError;
use crate::management::{Management, QueueStatistics};

/// Start of the names of reply queues, after the prefix.
const REPLY: &str = "faceline.reply.";

/// The arguments of the command.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ListArguments {
    /// Print JSON; unknown values are null
    #[arg(long)]
    json: bool,
}

/// A queue in the list.
#[derive(Debug, Serialize)]
struct Row {
    queue: String,
    /// `None` if the queue does not exist.
    ready: Option<u64>,
    unacknowledged: Option<u64>,
    consumers: Option<u64>,
    bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct List {
    queues: Vec<Row>,
    /// `None` without the management API.
    reply_queues: Option<Vec<Row>>,
}

pub(super) async fn run(
    arguments: &ListArguments,
    inspection: &Inspection,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), QueueError> {
    let statistics = match &settings.broker.management_url {
        Some(url) => {
            let management = Management::new(url, settings.broker.tls.ca.as_deref())?;
            Some(management.queues(&inspection.virtual_host()).await?)
        }
        None => None,
    };
    let by_name: HashMap<&str, &QueueStatistics> =
        statistics.iter().flatten().map(|queue| (queue.name.as_str(), queue)).collect();
    let mut queues = Vec::new();
    for queue in Queue::DURABLE {
        let name = inspection.name_of(&queue);
        let measured = by_name.get(name.as_str());
        // The broker's own count is current; that of the API is up to five seconds old.
        let depth = match inspection.queue(&queue).await? {
            QueueState::Present(depth) | QueueState::Differs(depth, _) => Some(depth),
            QueueState::Missing => None,
        };
        queues.push(Row {
            ready: depth.map(|depth| depth.ready),
            consumers: depth.map(|depth| depth.consumers),
            unacknowledged: measured.and_then(|queue| queue.messages_unacknowledged),
            bytes: measured.and_then(|queue| queue.message_bytes),
            queue: name,
        });
    }
    let reply = format!("{}{REPLY}", inspection.prefix());
    let reply_queues = statistics.as_ref().map(|all| {
        let replies = all.iter().filter(|queue| queue.name.starts_with(&reply));
        let row = |queue: &QueueStatistics| Row {
            queue: queue.name.clone(),
            ready: queue.messages_ready,
            unacknowledged: queue.messages_unacknowledged,
            consumers: queue.consumers,
            bytes: queue.message_bytes,
        };
        replies.map(row).collect()
    });
    let list = List { queues, reply_queues };
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &list)?;
        return Ok(writeln!(out)?);
    }
    print(&list, out)
}

fn print(list: &List, out: &mut impl Write) -> Result<(), QueueError> {
    writeln!(
        out,
        "{:<60} {:>8} {:>15} {:>10} {:>12}",
        "queue", "ready", "unacknowledged", "consumers", "bytes"
    )?;
    for row in list.queues.iter().chain(list.reply_queues.iter().flatten()) {
        let Row { queue, ready, unacknowledged, consumers, bytes } = row;
        if ready.is_none() && consumers.is_none() {
            writeln!(out, "{queue:<60} does not exist")?;
            continue;
        }
        let [ready, unacknowledged, consumers, bytes] = [ready, unacknowledged, consumers, bytes]
            .map(|count| count.map_or_else(|| "unknown".into(), |count| count.to_string()));
        writeln!(out, "{queue:<60} {ready:>8} {unacknowledged:>15} {consumers:>10} {bytes:>12}")?;
    }
    if list.reply_queues.is_none() {
        writeln!(
            out,
            "Unacknowledged messages, bytes and reply queues are unknown: set broker.management_url to that of RabbitMQ's management API."
        )?;
    }
    Ok(())
}
