//! RabbitMQ over several URLs and over TLS, and the errors about settings that it refuses.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use faceline_shared::broker::{BrokerError, BrokerSettings, Published, Queue, SharedBroker};
use faceline_shared::settings::ClientTls;
use faceline_shared::testkit::{CutProxy, RabbitMq, TestAuthority};
use futures_util::future::join_all;
use uuid::Uuid;

use super::rabbitmq::{connect, node, settings};
use super::{message, publish_until};
use crate::soon;

/// Settings for the nodes at `urls`, with a prefix that no other test uses.
fn cluster(urls: &[String]) -> BrokerSettings {
    BrokerSettings {
        url: urls.join(",").parse().unwrap(),
        prefix: format!("{}.", Uuid::now_v7()),
        ..BrokerSettings::default()
    }
}

/// The error of the first attempt to connect.
async fn refused(settings: &BrokerSettings) -> BrokerError {
    soon(connect(settings).depth(&Queue::Interactive)).await.unwrap_err()
}

#[tokio::test]
async fn nodes_that_do_not_answer_leave_time_for_the_one_that_does() {
    // The kernel accepts connections for a listener, but no program answers them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let urls = [
        format!("amqp://guest:guest@{}", silent.local_addr().unwrap()),
        format!("amqp://guest:guest@{closed}"),
        node().await.url(),
    ];
    // The order is random, so a single client would prove little.
    let clients: Vec<SharedBroker> = (0..8).map(|_| connect(&cluster(&urls))).collect();
    let started = Instant::now();
    for depth in join_all(clients.iter().map(|client| soon(client.depth(&Queue::Interactive)))).await {
        depth.expect("the first attempt succeeds");
    }
    // The silent node would take all of the 5 s that there are.
    assert!(started.elapsed() < Duration::from_millis(4500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_client_whose_node_is_lost_goes_to_another_one() {
    let address = node().await.address();
    let (one, other) = (CutProxy::start(address).await, CutProxy::start(address).await);
    let urls = [&one, &other].map(|proxy| format!("amqp://guest:guest@{}", proxy.address()));
    let broker = connect(&cluster(&urls));
    publish_until(&*broker, &Queue::Interactive, "first", Published::Accepted).await;
    for (lost, back) in [(&one, &other), (&other, &one)] {
        back.pass();
        lost.refuse();
        publish_until(&*broker, &Queue::Interactive, "next", Published::Accepted).await;
    }
}

#[tokio::test]
async fn a_virtual_host_is_the_default_one_unless_it_is_named() {
    let url = node().await.url();
    for ending in ["", "/", "/%2f", "/?heartbeat=5"] {
        let broker = connect(&settings(format!("{url}{ending}")));
        soon(broker.depth(&Queue::Interactive)).await.unwrap_or_else(|error| panic!("{ending}: {error}"));
    }
}

#[tokio::test]
async fn what_needs_an_operator_says_what_to_do() {
    let node = node().await;
    match refused(&settings(format!("{}/nowhere", node.url()))).await {
        error @ BrokerError::VirtualHost(_) => {
            let said = error.to_string();
            assert!(said.contains("nowhere") && said.contains("add_vhost"), "{said}");
        }
        other => panic!("{other:?}"),
    }
    // A virtual host that exists, but to which the user has no access.
    let vhost = format!("closed-{}", Uuid::now_v7());
    node.control(&["add_vhost", &vhost]).await;
    match refused(&settings(format!("{}/{vhost}", node.url()))).await {
        BrokerError::VirtualHost(reason) => assert!(reason.contains("refused"), "{reason}"),
        other => panic!("{other:?}"),
    }
    // A user who may use queues, but not declare any.
    let user = format!("user-{}", Uuid::now_v7());
    node.control(&["add_user", &user, "secret"]).await;
    node.control(&["set_permissions", "-p", "/", &user, "", ".*", ".*"]).await;
    let url = node.url().replace("guest:guest", &format!("{user}:secret"));
    match refused(&settings(url)).await {
        BrokerError::Topology(reason) => assert!(reason.contains("set_permissions"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let mut wrong = settings(node.url().replace(":guest@", ":wrong@"));
    match refused(&wrong).await {
        error @ BrokerError::Credentials(_) => assert!(error.to_string().contains("password"), "{error}"),
        other => panic!("{other:?}"),
    }
    // A node that is only unavailable may have the right settings, so the client does not wait for an operator.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    wrong = cluster(&[node.url().replace(":guest@", ":wrong@"), format!("amqp://{closed}")]);
    match refused(&wrong).await {
        BrokerError::Unreachable(reason) => {
            assert!(reason.contains("password") && reason.contains("refused"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_problem_that_is_mended_ends() {
    let node = node().await;
    let vhost = format!("later-{}", Uuid::now_v7());
    let broker = connect(&settings(format!("{}/{vhost}", node.url())));
    soon(broker.depth(&Queue::Interactive)).await.unwrap_err();
    let health = broker.health();
    assert!(matches!(health.problem, Some(BrokerError::VirtualHost(_))), "{health:?}");
    assert!(!health.is_connected && health.detail().unwrap().contains("add_vhost"), "{health:?}");

    node.control(&["add_vhost", &vhost]).await;
    node.control(&["set_permissions", "-p", &vhost, "guest", ".*", ".*", ".*"]).await;
    publish_until(&*broker, &Queue::Interactive, "after", Published::Accepted).await;
    // The other connection opens independently.
    let all_is_well = async {
        while broker.health().detail().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(all_is_well).await;
}

#[tokio::test]
async fn dead_letters_are_bounded_in_bytes() {
    let small = BrokerSettings { dead_letter_max_length_bytes: 1000, ..settings(node().await.url()) };
    let broker = connect(&small);
    publish_until(&*broker, &Queue::DeadLetters, &"x".repeat(600), Published::Accepted).await;
    publish_until(&*broker, &Queue::DeadLetters, &"y".repeat(600), Published::Accepted).await;
    let mut dead = broker.consume(&Queue::DeadLetters, 10).await;
    let kept = super::next(&mut dead).await;
    assert!(super::body(&kept).starts_with('y'), "the oldest is dropped");
    kept.settle(faceline_shared::broker::Settlement::Ack).await.unwrap();
    crate::never(dead.next()).await;

    // A queue with other bounds, as earlier versions declared it, is used as it is.
    let other = connect(&BrokerSettings { dead_letter_max_length_bytes: 2000, ..small });
    publish_until(&*other, &Queue::DeadLetters, "z", Published::Accepted).await;
    assert_eq!(super::body(&super::next(&mut dead).await), "z");
}

#[tokio::test]
async fn tls_with_a_private_authority_and_a_client_certificate() {
    let authority = TestAuthority::new();
    let node = RabbitMq::start_tls(&authority).await;
    let client = authority.issue("client");
    let trusted = ClientTls {
        ca: Some(authority.file()),
        certificate: Some(client.certificate),
        key: Some(client.key),
    };
    let with = |tls| BrokerSettings { tls, ..settings(node.tls_url()) };
    let broker = connect(&with(trusted.clone()));
    publish_until(&*broker, &Queue::Interactive, "sealed", Published::Accepted).await;
    let big = message(&"x".repeat(300_000));
    assert_eq!(soon(broker.publish(&Queue::Interactive, &big)).await, Published::Accepted);

    // The server asks for a certificate.
    let anonymous = refused(&with(ClientTls { certificate: None, key: None, ..trusted.clone() })).await;
    assert!(matches!(anonymous, BrokerError::Tls(_)), "{anonymous:?}");
    // It is of another authority.
    let strange = TestAuthority::new();
    let stranger = strange.issue("stranger");
    let tls = ClientTls {
        certificate: Some(stranger.certificate),
        key: Some(stranger.key.clone()),
        ..trusted.clone()
    };
    let error = refused(&with(tls)).await;
    assert!(matches!(error, BrokerError::Tls(_)), "{error:?}");
    // The client does not trust the server.
    let error = refused(&with(ClientTls { ca: Some(strange.file()), ..trusted.clone() })).await;
    assert!(matches!(error, BrokerError::Tls(_)), "{error:?}");
    // The server speaks no TLS at this port.
    let plain = BrokerSettings { tls: trusted.clone(), ..settings(node.url().replace("amqp:", "amqps:")) };
    let error = refused(&plain).await;
    assert!(matches!(error, BrokerError::Tls(_)), "{error:?}");
    // A key that belongs to another certificate is refused before anything connects.
    let tls = ClientTls { key: Some(stranger.key), ..trusted };
    let error = faceline_shared::broker::open(&with(tls)).err().unwrap();
    assert!(matches!(error, BrokerError::Tls(_)), "{error:?}");
}
