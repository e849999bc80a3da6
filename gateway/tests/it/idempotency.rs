//! `Idempotency-Key`: a repeated request does not create a second resource.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use faceline_gateway::jobs::SubmitError;
use faceline_gateway_store::idempotency::{Claim, ClaimRequest, IdempotencyStore};
use faceline_gateway_store::{ClientBounds, StoreError};
use faceline_shared::job::JobFailure;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

use crate::client::{Answer, form, get, request, send};
use crate::gateway::{Gateway, SESSIONS};
use crate::stores::Stores;
use crate::workers::{Workers, answer};

const REPLAYED: &str = "idempotency-replayed";
const MULTIPART: &str = "multipart/form-data; boundary=b";

async fn create_session(address: SocketAddr, key: &str, body: &str) -> Answer {
    let headers = [("apikey", "demo"), ("Content-Type", "application/json"), ("Idempotency-Key", key)];
    send(address, &format!("POST {SESSIONS}"), &headers, body.as_bytes()).await
}

fn faces(session: Uuid) -> String {
    format!("{SESSIONS}/{session}/faces")
}

async fn create_face(address: SocketAddr, session: Uuid, key: &str, parts: &[(&str, &[u8])]) -> Answer {
    let headers = [("apikey", "demo"), ("Content-Type", MULTIPART), ("Idempotency-Key", key)];
    send(address, &format!("POST {}", faces(session)), &headers, &form(parts)).await
}

fn selfie(picture: &[u8]) -> [(&str, &[u8]); 2] {
    [("imageType", b"SELFIE"), ("image", picture)]
}

async fn count_faces(gateway: &Gateway, session: Uuid) -> usize {
    get(gateway.address, &faces(session)).await.json().as_array().unwrap().len()
}

#[tokio::test]
async fn a_session_is_created_once_whichever_gateway_is_asked() {
    let stores = Stores::new();
    let one = Gateway::over(stores.clone(), Workers::able(), |_| ()).await;
    let two = Gateway::over(stores, Workers::able(), |_| ()).await;
    let first = create_session(one.address, "a", r#"{"correlationId":"c"}"#).await;
    let again = create_session(two.address, "a", r#"{"correlationId":"c"}"#).await;
    assert_eq!([first.status, again.status], [201, 201]);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!([&first, &again].map(|answer| answer.header(REPLAYED)), [None, Some("true")]);
    assert!(two.metrics.encode().contains("faceline_sessions_created_total 0"));

    let other = create_session(two.address, "b", r#"{"correlationId":"c"}"#).await;
    assert_eq!(other.status, 201);
    assert_ne!(other.header("location"), first.header("location"));
}

#[tokio::test]
async fn a_face_is_added_once() {
    let gateway = Gateway::start(Workers::able()).await;
    let session = gateway.session(r#"{"imageStorageEnabled":true}"#).await;
    let first = create_face(gateway.address, session, "a", &selfie(b"x")).await;
    // The same values are in another order, with another boundary.
    let body = b"--c\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx\r\n\
                 --c\r\nContent-Disposition: form-data; name=\"imageType\"\r\n\r\n\"SELFIE\"\r\n--c--\r\n";
    let headers =
        [("apikey", "demo"), ("Content-Type", "multipart/mixed; boundary=c"), ("Idempotency-Key", "a")];
    let again = send(gateway.address, &format!("POST {}", faces(session)), &headers, body).await;
    assert_eq!([first.status, again.status], [201, 201]);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(count_faces(&gateway, session).await, 1);
    assert_eq!(gateway.stores.pictures().len(), 1);
    assert_eq!(gateway.workers.jobs.lock().unwrap().len(), 1);

    let face = get(gateway.address, &format!("/bioserver-app{}", first.header("location").unwrap())).await;
    let headers = [("apikey", "demo"), ("Content-Type", "application/json"), ("Idempotency-Key", "json")];
    let copy = async || {
        send(gateway.address, &format!("POST {}", faces(session)), &headers, face.body.as_bytes()).await
    };
    let (first, again) = (copy().await, copy().await);
    assert_eq!([first.status, again.status], [201, 201], "{first:?}");
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(count_faces(&gateway, session).await, 2);
}

#[tokio::test]
async fn a_key_is_for_one_request_only() {
    let gateway = Gateway::start(Workers::able()).await;
    create_session(gateway.address, "a", "").await;
    let other = create_session(gateway.address, "a", r#"{"correlationId":"c"}"#).await;
    assert_eq!(other.error(), (422, "this key was used for another request".into()));

    let (session, elsewhere) = (gateway.session("").await, gateway.session("").await);
    // The keys of different operations are independent.
    assert_eq!(create_face(gateway.address, session, "a", &selfie(b"x")).await.status, 201);
    assert_eq!(create_face(gateway.address, session, "a", &selfie(b"y")).await.status, 422);
    assert_eq!(create_face(gateway.address, elsewhere, "a", &selfie(b"x")).await.status, 422);
    assert_eq!(count_faces(&gateway, elsewhere).await, 0);
}

#[tokio::test]
async fn a_key_is_visible_and_there_once() {
    let gateway = Gateway::start(Workers::able()).await;
    for wrong in ["", &"k".repeat(256), "\u{e4}"] {
        let refused = create_session(gateway.address, wrong, "").await;
        assert_eq!(refused.status, 400, "{wrong}");
        assert!(refused.error().1.starts_with("Idempotency-Key"), "{refused:?}");
    }
    // Authentication precedes the check of the key.
    let headers = [("apikey", "wrong"), ("Idempotency-Key", "")];
    assert_eq!(send(gateway.address, &format!("POST {SESSIONS}"), &headers, b"").await.status, 401);
}

#[tokio::test]
async fn whoever_asks_while_the_first_is_under_way_comes_again() {
    let gateway = Gateway::start(Workers::held()).await;
    let session = gateway.session("").await;
    let address = gateway.address;
    let first = tokio::spawn(async move { create_face(address, session, "a", &selfie(b"x")).await });
    gateway.workers.arrived.notified().await;
    let second = create_face(address, session, "a", &selfie(b"x")).await;
    assert_eq!((second.status, second.header("retry-after")), (409, Some("1")));
    assert_eq!(create_face(address, session, "a", &selfie(b"y")).await.status, 422);
    gateway.workers.permits.add_permits(1);
    let first = first.await.unwrap();
    assert_eq!(first.status, 201);
    let third = create_face(address, session, "a", &selfie(b"x")).await;
    assert_eq!(third.header("location"), first.header("location"));
}

#[tokio::test]
async fn a_refusal_is_kept_and_what_is_worth_trying_again_is_not() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let workers = Workers::new(move |job| match counted.fetch_add(1, Ordering::Relaxed) {
        0 => Err(SubmitError::Failed(JobFailure::Internal)),
        _ => Ok(answer(job)),
    });
    let gateway = Gateway::start(workers).await;
    let session = gateway.session("").await;
    let failed = create_face(gateway.address, session, "a", &selfie(b"x")).await;
    assert_eq!(failed.status, 500);
    let added = create_face(gateway.address, session, "a", &selfie(b"x")).await;
    assert_eq!((added.status, added.header(REPLAYED)), (201, None));

    let no_type: [(&str, &[u8]); 1] = [("image", b"x")];
    let refused = create_face(gateway.address, session, "b", &no_type).await;
    let again = create_face(gateway.address, session, "b", &no_type).await;
    assert_eq!((refused.status, again.status), (400, 400));
    assert_eq!((refused.json(), refused.header(REPLAYED)), (again.json(), None));
    assert_eq!(again.header("content-type"), Some("application/json"));
    let counted = r#"faceline_http_refusals_total{cause="repeated",operation="create_session_face"} 1"#;
    assert!(gateway.metrics.encode().contains(counted));
    assert_eq!(tries.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_caller_who_left_leaves_the_claim_to_the_next() {
    let gateway = Gateway::start(Workers::held()).await;
    let session = gateway.session("").await;
    let headers = [("apikey", "demo"), ("Content-Type", MULTIPART), ("Idempotency-Key", "a")];
    let bytes = request(&format!("POST {}", faces(session)), &headers, &form(&selfie(b"x")));
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    gateway.workers.arrived.notified().await;
    drop(stream);
    gateway.workers.given_up.notified().await;
    gateway.workers.permits.add_permits(1);
    let added = std::sync::Mutex::new(None);
    gateway
        .until(async || {
            let answer = create_face(gateway.address, session, "a", &selfie(b"x")).await;
            let is_over = answer.status != 409;
            *added.lock().unwrap() = Some(answer);
            is_over
        })
        .await;
    assert_eq!(added.into_inner().unwrap().unwrap().status, 201);
    assert_eq!(count_faces(&gateway, session).await, 1);
}

/// Idempotency records that delay one kind of call.
struct LateRecords {
    records: Arc<dyn IdempotencyStore>,
    late: Late,
    /// Notified when a delayed call waits.
    waits: Notify,
    /// Each delayed call takes a permit.
    permits: Semaphore,
}

/// The kind of call that is delayed.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Late {
    /// The answer to a claim that was already made.
    ClaimAnswer,
    /// The completion of a claim.
    Completion,
}

impl LateRecords {
    async fn wait_if(&self, late: Late) {
        if self.late == late {
            self.waits.notify_one();
            self.permits.acquire().await.unwrap().forget();
        }
    }
}

#[async_trait]
impl IdempotencyStore for LateRecords {
    async fn claim(&self, request: &ClaimRequest, bounds: &ClientBounds) -> Result<Claim<Bytes>, StoreError> {
        let claimed = self.records.claim(request, bounds).await;
        self.wait_if(Late::ClaimAnswer).await;
        claimed
    }

    async fn complete(&self, request: &ClaimRequest, answer: Bytes) -> Result<bool, StoreError> {
        self.wait_if(Late::Completion).await;
        self.records.complete(request, answer).await
    }

    async fn release(&self, request: &ClaimRequest) -> Result<bool, StoreError> {
        self.records.release(request).await
    }
}

/// Disconnects from a request while its records are delayed, sends the request again, and returns the second answer.
async fn answer_after_leaving(late: Late) -> Answer {
    let mut stores = Stores::new();
    let records = Arc::new(LateRecords {
        records: Arc::clone(&stores.store.idempotency),
        late,
        waits: Notify::new(),
        permits: Semaphore::new(0),
    });
    stores.store.idempotency = records.clone();
    let gateway = Gateway::over(stores, Workers::able(), |_| ()).await;
    let headers = [("apikey", "demo"), ("Content-Type", "application/json"), ("Idempotency-Key", "a")];
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(&request(&format!("POST {SESSIONS}"), &headers, b"")).await.unwrap();
    records.waits.notified().await;
    drop(stream);
    let left = r#"faceline_http_requests_total{operation="create_session",status="499"} 1"#;
    gateway.until(async || gateway.metrics.encode().contains(left)).await;

    records.permits.add_permits(10_000);
    let last = std::sync::Mutex::new(None);
    // This is long before the end of the first request's lease.
    gateway
        .until(async || {
            let answer = create_session(gateway.address, "a", "").await;
            let is_over = answer.status != 409;
            *last.lock().unwrap() = Some(answer);
            is_over
        })
        .await;
    last.into_inner().unwrap().unwrap()
}

#[tokio::test]
async fn a_claim_whose_answer_finds_nobody_is_given_back() {
    let created = answer_after_leaving(Late::ClaimAnswer).await;
    assert_eq!((created.status, created.header(REPLAYED)), (201, None));
}

#[tokio::test]
async fn an_answer_is_kept_though_its_caller_leaves_meanwhile() {
    let kept = answer_after_leaving(Late::Completion).await;
    assert_eq!((kept.status, kept.header(REPLAYED)), (201, Some("true")));
}

#[tokio::test]
async fn nothing_of_a_kept_answer_is_readable_where_it_lies() {
    let gateway = Gateway::start(Workers::able()).await;
    let created = create_session(gateway.address, "a-key-to-look-for", r#"{"correlationId":"c"}"#).await;
    let refused = create_session(gateway.address, "another", r#"{"ttlSeconds":0}"#).await;
    let error: Value = refused.json();
    let raw = gateway.stores.raw();
    for secret in ["a-key-to-look-for", created.header("location").unwrap(), error["id"].as_str().unwrap()] {
        assert!(!raw.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
}
