//! BWS over gRPC and REST.

mod admitted;
mod grpc;
mod headers;
mod health;
mod permissions;
mod rest;
mod tokens;
mod video;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use faceline_gateway::jobs::SubmitResult;
use faceline_gateway::proto::ImageData;
use faceline_gateway::proto::v1::bio_id_web_service_client::BioIdWebServiceClient;
use faceline_gateway::proto::v1::{LivenessDetectionRequest, PhotoVerifyRequest};
use faceline_shared::job::JobResult;
use faceline_shared::job::Task;
use faceline_shared::job::examination::{Check, Examined, Finding};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

pub(crate) use self::permissions::{try_grpc, try_rest};
use crate::client::{Answer, send};
use crate::gateway::Gateway;
use crate::workers::{Workers, living};

/// Paths of the REST operations.
const DETECT: &str = "/api/v1/livenessdetection";
const VERIFY: &str = "/api/v1/photoverify";
const DETECT_VIDEO: &str = "/api/v1/videolivenessdetection";
/// Paths of the gRPC calls.
const CALL_DETECT: &str = "/bioid.services.v1.BioIDWebService/LivenessDetection";
const CALL_VERIFY: &str = "/bioid.services.v1.BioIDWebService/PhotoVerify";
const CALL_DETECT_VIDEO: &str = "/bioid.services.v1.BioIDWebService/VideoLivenessDetection";

/// The BWS key of the demo account.
const DEMO_KEY: &[u8] = b"faceline-demo-key-for-loopback-only-faceline-demo-key-for-loopba";

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token with these claims.
fn signed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode_to_string(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode_to_string(mac))
}

/// A valid token of a client.
pub(crate) fn token(client: &str, key: &[u8]) -> String {
    let claims = json!({"sub": client, "iss": client, "aud": "BWS", "exp": now() + 600});
    signed(&json!({"alg": "HS512", "typ": "JWT"}), &claims, key)
}

/// The `Authorization` value of the demo account.
fn authorization() -> String {
    format!("Bearer {}", token("demo", DEMO_KEY))
}

/// A client of the demo account.
async fn client(
    gateway: &Gateway,
) -> BioIdWebServiceClient<
    tonic::service::interceptor::InterceptedService<
        Channel,
        impl FnMut(tonic::Request<()>) -> Result<tonic::Request<()>, Status> + Clone + use<>,
    >,
> {
    let authorization = authorization();
    BioIdWebServiceClient::with_interceptor(channel(gateway).await, move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", authorization.parse().unwrap());
        Ok(request)
    })
}

async fn channel(gateway: &Gateway) -> Channel {
    Endpoint::from_shared(format!("http://{}", gateway.address)).unwrap().connect().await.unwrap()
}

/// A live picture with these tags.
fn image(content: &'static str, tags: &[&str]) -> ImageData {
    ImageData { image: content.into(), tags: tags.iter().map(|tag| (*tag).to_owned()).collect() }
}

fn detection(images: &[&'static str]) -> LivenessDetectionRequest {
    LivenessDetectionRequest { live_images: images.iter().map(|content| image(content, &[])).collect() }
}

fn verification(images: &[&'static str]) -> PhotoVerifyRequest {
    let live_images = images.iter().map(|content| image(content, &[])).collect();
    PhotoVerifyRequest { live_images, photo: "the photo".into(), disable_liveness_detection: false }
}

/// The same request as JSON.
fn json_of(images: &[&str]) -> Value {
    let image = |content: &&str| json!({"image": STANDARD.encode_to_string(content)});
    json!({"liveImages": images.iter().map(image).collect::<Vec<_>>(), "photo": "cGhvdG8=", "video": "dmlkZW8="})
}

/// POSTs JSON as the demo account.
async fn post(gateway: &Gateway, path: &str, body: &Value) -> Answer {
    let headers =
        [("Authorization", authorization()), ("Content-Type", "application/json; charset=utf-8".into())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    send(gateway.address, &format!("POST {path}"), &headers, body.to_string().as_bytes()).await
}

/// Status, code and message of an error over REST.
fn refused(answer: &Answer) -> (u16, u64, String) {
    let object = answer.json();
    assert_eq!(object.as_object().unwrap().keys().collect::<Vec<_>>(), ["code", "details", "message"]);
    assert_eq!(object["details"], json!([]));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(answer.header("retry-after").is_some(), matches!(answer.status, 429 | 503), "{answer:?}");
    assert_eq!(answer.header("www-authenticate"), (answer.status == 401).then_some("bearer"), "{answer:?}");
    (answer.status, object["code"].as_u64().unwrap(), object["message"].as_str().unwrap().to_owned())
}

/// An answer over HTTP/2.
struct RawAnswer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    trailers: HeaderMap,
}

impl RawAnswer {
    /// The gRPC status of the answer.
    fn grpc(&self) -> Status {
        let status =
            Status::from_header_map(&self.trailers).or_else(|| Status::from_header_map(&self.headers));
        let status = status.unwrap();
        let is_to_come_again = matches!(status.code(), Code::ResourceExhausted | Code::Unavailable);
        let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
        assert!(!is_to_come_again || delay.is_some_and(|delay| delay.as_secs() >= 1), "{status:?}");
        status
    }
}

/// Sends one request over HTTP/2.
async fn call<B>(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: B) -> RawAnswer
where
    B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driving = tokio::spawn(connection);
    let mut request = Request::post(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    driving.abort();
    RawAnswer { status: parts.status.as_u16(), headers: parts.headers, body: collected.to_bytes(), trailers }
}

/// A message with its gRPC length prefix.
fn framed(message: &impl prost::Message) -> Bytes {
    let bytes = message.encode_to_vec();
    [&[0][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes(), &bytes].concat().into()
}

/// Calls as the demo account; `headers` replace the default ones.
async fn call_as_demo(
    gateway: &Gateway,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> RawAnswer {
    let authorization = authorization();
    let mut all = HashMap::from([
        ("authorization", authorization.as_str()),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]);
    all.extend(headers.iter().copied());
    let all: Vec<_> = all.into_iter().collect();
    call(gateway.address, path, &all, Full::new(body.into())).await
}

/// Workers that find a living person, with the findings changed by `change`.
fn finding(change: impl Fn(&mut Examined) + Send + Sync + 'static) -> std::sync::Arc<Workers> {
    Workers::new(move |job| -> SubmitResult {
        let Task::Examine(examination) = &job.task else { panic!("{job:?}") };
        let mut examined = living(examination);
        change(&mut examined);
        Ok(JobResult::Examined(Box::new(examined)))
    })
}

/// In a picture that was examined.
fn reject(examined: &mut Examined, at: usize, check: Check) {
    let picture = &mut examined.live[at];
    picture.findings.push(Finding { check, score: 0.125 });
    picture.faces[0].liveness = None;
    examined.motion = None;
}

fn counted(gateway: &Gateway, line: &str) {
    let metrics = gateway.metrics.encode();
    assert!(metrics.contains(line), "{line} is not in\n{metrics}");
}
