//! Maps messages to AMQP properties and back.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use uuid::Uuid;

use crate::broker::message::Message;

/// AMQP delivery mode: the broker stores the message on disk.
const PERSISTENT: u8 = 2;

/// Header of Faceline: failed attempts before this message was published.
const EARLIER_ATTEMPTS: &str = "x-faceline-earlier-attempts";

/// The header in which a quorum queue counts returns: rejected messages, lost connections, and before RabbitMQ 4.3 also nacks.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// The AMQP properties of `message`; `None` if `reply_to` exceeds the 255 bytes that AMQP allows.
pub(super) fn properties(message: &Message) -> Option<BasicProperties> {
    let mut headers = FieldTable::default();
    headers.insert(EARLIER_ATTEMPTS.into(), AMQPValue::LongLongInt(message.earlier_attempts.into()));
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/vnd.msgpack".into())
        .with_message_id(message.id.to_string().into())
        .with_headers(headers);
    if let Some(queue) = &message.reply_to {
        properties = properties.with_reply_to(ShortString::try_new(queue.as_str()).ok()?);
    }
    if let Some(wait) = message.expiration {
        properties = properties.with_expiration(wait.as_millis().to_string().into());
    }
    Some(properties)
}

/// Reads a delivery: the message and its failed attempts in this queue; `None` if Faceline did not publish it.
pub(super) fn message(delivery: &mut Delivery) -> Option<(Message, u32)> {
    let properties = &delivery.properties;
    let text = |text: &Option<ShortString>| text.as_ref().map(|text| text.as_str().to_owned());
    let message = Message {
        id: Uuid::try_parse(properties.message_id().as_ref()?.as_str()).ok()?,
        reply_to: text(properties.reply_to()),
        expiration: text(properties.expiration())
            .and_then(|wait| wait.parse().ok())
            .map(Duration::from_millis),
        earlier_attempts: earlier_attempts(properties),
        body: std::mem::take(&mut delivery.data).into(),
    };
    let attempts = returns(&delivery.properties);
    Some((message, attempts))
}

/// Failed attempts before the message was published.
pub(super) fn earlier_attempts(properties: &BasicProperties) -> u32 {
    count(properties, EARLIER_ATTEMPTS).unwrap_or(0)
}

/// Number of times that the message has returned to its queue.
pub(super) fn returns(properties: &BasicProperties) -> u32 {
    // Absent at the first attempt, and in classic queues such as reply queues.
    count(properties, DELIVERY_COUNT).unwrap_or(0)
}

fn count(properties: &BasicProperties, name: &str) -> Option<u32> {
    properties.headers().as_ref().and_then(|headers| headers.inner().get(name)).and_then(unsigned)
}

/// Reads an integer of any width: brokers choose the width by the value.
fn unsigned(value: &AMQPValue) -> Option<u32> {
    let value = match *value {
        AMQPValue::ShortShortInt(value) => value.into(),
        AMQPValue::ShortShortUInt(value) => value.into(),
        AMQPValue::ShortInt(value) => value.into(),
        AMQPValue::ShortUInt(value) => value.into(),
        AMQPValue::LongInt(value) => value.into(),
        AMQPValue::LongUInt(value) => value.into(),
        AMQPValue::LongLongInt(value) => value,
        _ => return None,
    };
    u32::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn deliver(message: &Message, count: Option<AMQPValue>) -> Delivery {
        let mut delivery = Delivery::mock(1, "".into(), "queue".into(), false, message.body.to_vec());
        delivery.properties = properties(message).unwrap();
        let mut headers = delivery.properties.headers().clone().unwrap();
        if let Some(count) = count {
            headers.insert(DELIVERY_COUNT.into(), count);
        }
        delivery.properties = delivery.properties.with_headers(headers);
        delivery
    }

    fn full() -> Message {
        Message {
            id: Uuid::now_v7(),
            reply_to: Some("faceline.reply.g1.7".into()),
            expiration: Some(Duration::from_millis(1500)),
            earlier_attempts: 3,
            body: Bytes::from_static(b"body"),
        }
    }

    #[test]
    fn a_message_comes_back_as_it_was() {
        let empty =
            Message { reply_to: None, expiration: None, earlier_attempts: 0, body: Bytes::new(), ..full() };
        for sent in [full(), empty] {
            assert_eq!(message(&mut deliver(&sent, None)), Some((sent, 0)));
        }
    }

    #[test]
    fn the_delivery_count_is_read_in_every_width() {
        let widths = [AMQPValue::ShortShortInt(2), AMQPValue::LongInt(2), AMQPValue::LongLongInt(2)];
        for count in widths {
            assert_eq!(message(&mut deliver(&full(), Some(count))).unwrap().1, 2);
        }
        assert_eq!(message(&mut deliver(&full(), Some(AMQPValue::LongInt(-1)))).unwrap().1, 0);
    }

    #[test]
    fn what_others_put_into_the_queue_is_not_a_message() {
        let mut foreign = Delivery::mock(1, "".into(), "queue".into(), false, vec![1]);
        assert_eq!(message(&mut foreign), None);
        foreign.properties = BasicProperties::default().with_message_id("7".into());
        assert_eq!(message(&mut foreign), None);
    }

    #[test]
    fn a_name_that_amqp_cannot_carry_is_refused() {
        assert!(properties(&Message { reply_to: Some("x".repeat(256)), ..full() }).is_none());
    }
}
