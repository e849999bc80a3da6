//! The suite of the idempotency port, which both adapters pass.

use std::time::Duration;

use bytes::Bytes;
use faceline_gateway_store::ClientBounds;
use faceline_gateway_store::Stores;
use faceline_gateway_store::idempotency::{Claim, ClaimRequest};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::fixture::{Fixture, HOUR, MINUTE, bytes, conformance};

conformance! {
    the_first_attempt_acquires_the_claim_and_its_answer_is_kept
    another_request_under_the_same_key_is_a_mismatch
    a_claim_that_is_released_goes_to_the_next_attempt
    a_claim_whose_lease_ran_out_is_taken_over
    an_answer_is_forgotten_in_time
    of_many_attempts_one_acquires_the_claim
    an_answer_survives_a_restart
}

fn request() -> ClaimRequest {
    let digest = || [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat().try_into().unwrap();
    ClaimRequest {
        client: "client".into(),
        key: digest(),
        fingerprint: digest(),
        resource: Uuid::new_v4(),
        holder: Uuid::new_v4(),
        lease: MINUTE,
        retention: HOUR,
    }
}

/// A repetition of the same request.
fn again(request: &ClaimRequest) -> ClaimRequest {
    ClaimRequest { resource: Uuid::new_v4(), holder: Uuid::new_v4(), ..request.clone() }
}

async fn claim(store: &Stores, request: &ClaimRequest) -> Claim<Bytes> {
    store.idempotency.claim(request, &ClientBounds::NONE).await.unwrap()
}

/// The result of an attempt that claims the key first, and creates its own resource.
fn acquired(request: &ClaimRequest) -> Claim<Bytes> {
    Claim::Acquired { resource: request.resource }
}

async fn the_first_attempt_acquires_the_claim_and_its_answer_is_kept<F: Fixture>() {
    let fixture = F::start().await;
    let first = request();
    assert_eq!(claim(fixture.store(), &first).await, acquired(&first));
    let Claim::InProgress(left) = claim(fixture.second(), &again(&first)).await else {
        panic!("two hold the claim")
    };
    assert!(left <= MINUTE && left > MINUTE / 2, "{left:?}");
    assert!(!fixture.second().idempotency.complete(&again(&first), bytes("not its own")).await.unwrap());
    assert!(fixture.store().idempotency.complete(&first, bytes("answer")).await.unwrap());
    assert_eq!(claim(fixture.second(), &again(&first)).await, Claim::Completed(bytes("answer")));
    let other = request();
    assert_eq!(claim(fixture.store(), &other).await, acquired(&other), "another key is not concerned");
}

async fn another_request_under_the_same_key_is_a_mismatch<F: Fixture>() {
    let fixture = F::start().await;
    let first = request();
    let different = ClaimRequest { key: first.key, ..request() };
    claim(fixture.store(), &first).await;
    assert_eq!(claim(fixture.second(), &different).await, Claim::Mismatch);
    fixture.store().idempotency.complete(&first, bytes("answer")).await.unwrap();
    assert_eq!(claim(fixture.second(), &different).await, Claim::Mismatch);
}

async fn a_claim_that_is_released_goes_to_the_next_attempt<F: Fixture>() {
    let fixture = F::start().await;
    let first = request();
    claim(fixture.store(), &first).await;
    assert!(fixture.store().idempotency.release(&first).await.unwrap());
    let second = again(&first);
    // If the first attempt created the resource, the second one creates it again under the same id.
    assert_eq!(claim(fixture.second(), &second).await, acquired(&first));
    assert!(!fixture.store().idempotency.complete(&first, bytes("late")).await.unwrap());
    assert!(fixture.second().idempotency.complete(&second, bytes("answer")).await.unwrap());
    assert_eq!(claim(fixture.store(), &again(&first)).await, Claim::Completed(bytes("answer")));
}

async fn a_claim_whose_lease_ran_out_is_taken_over<F: Fixture>() {
    let fixture = F::start().await;
    let first = ClaimRequest { lease: Duration::from_millis(50), ..request() };
    claim(fixture.store(), &first).await;
    let second = again(&first);
    loop {
        match claim(fixture.second(), &second).await {
            Claim::InProgress(left) => {
                assert!(left <= first.lease, "{left:?}");
                tokio::time::sleep(left).await;
            }
            result => break assert_eq!(result, acquired(&first)),
        }
    }
    assert!(!fixture.store().idempotency.release(&first).await.unwrap());
}

async fn an_answer_is_forgotten_in_time<F: Fixture>() {
    let fixture = F::start().await;
    let first = ClaimRequest { retention: Duration::from_millis(100), ..request() };
    claim(fixture.store(), &first).await;
    fixture.store().idempotency.complete(&first, bytes("answer")).await.unwrap();
    let next = again(&first);
    let result = loop {
        match claim(fixture.second(), &next).await {
            Claim::Completed(answer) => assert_eq!(answer, bytes("answer")),
            result => break result,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(result, acquired(&next), "it is a new request");
}

async fn of_many_attempts_one_acquires_the_claim<F: Fixture>() {
    let fixture = F::start().await;
    let first = request();
    let attempts: Vec<ClaimRequest> = (0..20).map(|_| again(&first)).collect();
    let claims = attempts.iter().enumerate().map(|(index, attempt)| {
        claim(if index % 2 == 0 { fixture.store() } else { fixture.second() }, attempt)
    });
    let results = join_all(claims).await;
    let acquired = results.iter().filter(|result| matches!(result, Claim::Acquired { .. })).count();
    let in_progress = results.iter().filter(|result| matches!(result, Claim::InProgress(_))).count();
    assert_eq!((acquired, in_progress), (1, 19), "{results:?}");
}

async fn an_answer_survives_a_restart<F: Fixture>() {
    let mut fixture = F::start().await;
    let (done, running) = (request(), request());
    claim(fixture.store(), &done).await;
    claim(fixture.store(), &running).await;
    fixture.store().idempotency.complete(&done, bytes("answer")).await.unwrap();
    fixture.restart().await;
    assert_eq!(claim(fixture.store(), &again(&done)).await, Claim::Completed(bytes("answer")));
    assert!(matches!(claim(fixture.store(), &again(&running)).await, Claim::InProgress(_)));
}
