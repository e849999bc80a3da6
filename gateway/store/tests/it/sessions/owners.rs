//! The owners of sessions, for requests that name only a session's id.

use std::time::Duration;

use faceline_gateway_store::Stores;
use tokio::time::Instant;
use uuid::Uuid;

use crate::fixture::{Fixture, HOUR, bytes, conformance, until};

conformance!(
    an_owner_is_found_by_the_id_at_every_gateway_and_after_a_restart
    an_owner_is_forgotten_in_time
);

async fn kept(store: &Stores, session: Uuid) -> Option<bytes::Bytes> {
    store.sessions.owner(session).await.unwrap()
}

async fn an_owner_is_found_by_the_id_at_every_gateway_and_after_a_restart<F: Fixture>() {
    let mut fixture = F::start().await;
    let (session, other) = (Uuid::new_v4(), Uuid::new_v4());
    assert_eq!(kept(fixture.store(), session).await, None);
    for owner in ["first", "second"] {
        fixture.store().sessions.keep_owner(session, bytes(owner), HOUR).await.unwrap();
        assert_eq!(kept(fixture.second(), session).await, Some(bytes(owner)));
    }
    assert_eq!(kept(fixture.store(), other).await, None);
    fixture.restart().await;
    assert_eq!(kept(fixture.store(), session).await, Some(bytes("second")));
}

async fn an_owner_is_forgotten_in_time<F: Fixture>() {
    let fixture = F::start().await;
    let (session, later) = (Uuid::new_v4(), Uuid::new_v4());
    let (ttl, kept_at) = (Duration::from_millis(300), Instant::now());
    fixture.store().sessions.keep_owner(session, bytes("owner"), ttl).await.unwrap();
    fixture.store().sessions.keep_owner(later, bytes("owner"), HOUR).await.unwrap();
    until(async || kept(fixture.store(), session).await.is_none().then_some(())).await;
    assert!(kept_at.elapsed() >= ttl - crate::fixture::GRAIN);
    // Another change removes expired owners only.
    fixture.store().sessions.keep_owner(session, bytes("again"), HOUR).await.unwrap();
    assert_eq!(kept(fixture.store(), session).await, Some(bytes("again")));
    assert!(kept(fixture.store(), later).await.is_some());
}
