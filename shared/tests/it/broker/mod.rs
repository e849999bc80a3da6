//! Tests of the broker port.

mod alarm;
mod cluster;
mod embedded;
mod inspection;
mod rabbitmq;
mod suite;

use std::time::Duration;

use bytes::Bytes;
use faceline_shared::broker::{Broker, Deliveries, Delivery, Message, Published, Queue, Replies, ReplyEvent};
use uuid::Uuid;

use crate::soon;

fn message(body: &str) -> Message {
    Message {
        id: Uuid::now_v7(),
        reply_to: None,
        expiration: None,
        earlier_attempts: 0,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

async fn publish(broker: &dyn Broker, queue: &Queue, bodies: &[&str]) {
    for body in bodies {
        assert_eq!(soon(broker.publish(queue, &message(body))).await, Published::Accepted, "{body}");
    }
}

async fn next(deliveries: &mut Box<dyn Deliveries>) -> Delivery {
    soon(deliveries.next()).await.expect("the stream goes on")
}

fn body(delivery: &Delivery) -> &str {
    text(&delivery.message)
}

fn text(message: &Message) -> &str {
    std::str::from_utf8(&message.body).expect("bodies here are text")
}

/// Waits for the next reply queue to open.
async fn opened(replies: &mut Box<dyn Replies>) -> Queue {
    match soon(replies.next()).await {
        Some(ReplyEvent::Opened { queue }) => Queue::Reply(queue),
        other => panic!("not a new queue but {other:?}"),
    }
}

async fn reply(replies: &mut Box<dyn Replies>) -> Message {
    match soon(replies.next()).await {
        Some(ReplyEvent::Reply(message)) => message,
        other => panic!("not a reply but {other:?}"),
    }
}

/// Publishes repeatedly until the outcome is `outcome`.
async fn publish_until(broker: &dyn Broker, queue: &Queue, body: &str, outcome: Published) {
    let until = async {
        while broker.publish(queue, &message(body)).await != outcome {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(until).await;
}
