//! A closed loop: callers of `POST /v2/faces` and of `POST /api/v1/livenessdetection` that send the next request once they have an answer.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64_simd::STANDARD;
use bytes::Bytes;
use faceline_shared::testkit::demo_token;
use futures_util::future::try_join_all;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode, header};
use serde_json::json;

const BOUNDARY: &str = "faceline-loadtest";
/// Longer than any benchmark takes.
const TOKEN_SECONDS: i64 = 3600;

/// A request that is built once and sent many times.
#[derive(Clone)]
pub(crate) struct Request {
    client: Client,
    url: String,
    headers: HeaderMap,
    body: Bytes,
}

/// The service's answer to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ServiceAnswer {
    Done,
    /// 429, with the time of `Retry-After`.
    Refused(Duration),
}

/// The totals of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadTotals {
    pub(crate) jobs: usize,
    pub(crate) elapsed: Duration,
}

impl LoadTotals {
    pub(crate) fn per_second(&self) -> f64 {
        self.jobs as f64 / self.elapsed.as_secs_f64()
    }
}

impl Request {
    /// A request to the service at `url` to describe the face in `picture`.
    pub(crate) fn new(url: &str, picture: &Bytes) -> anyhow::Result<Self> {
        let url = format!("{url}/bioserver-app/v2/faces");
        let media_type = format!("multipart/form-data; boundary={BOUNDARY}").parse()?;
        let headers = [
            (HeaderName::from_static("apikey"), HeaderValue::from_static("demo")),
            (header::CONTENT_TYPE, media_type),
        ];
        Ok(Self { client: Client::new(), url, headers: HeaderMap::from_iter(headers), body: body(picture) })
    }

    /// A request to the service at `url` to judge the liveness of one picture or two.
    pub(crate) fn liveness(url: &str, pictures: &[&Bytes]) -> anyhow::Result<Self> {
        let url = format!("{url}/api/v1/livenessdetection");
        let headers = [
            (header::AUTHORIZATION, format!("Bearer {}", demo_token(TOKEN_SECONDS)).parse()?),
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ];
        let image = |picture: &&Bytes| json!({ "image": STANDARD.encode_to_string(picture) });
        let images: Vec<_> = pictures.iter().map(image).collect();
        let body = serde_json::to_vec(&json!({ "liveImages": images }))?.into();
        Ok(Self { client: Client::new(), url, headers: HeaderMap::from_iter(headers), body })
    }

    /// A request that has a picture as its body, and no credential.
    pub(crate) fn plain(url: &str, picture: &Bytes) -> Self {
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"))];
        let headers = HeaderMap::from_iter(headers);
        Self { client: Client::new(), url: url.to_owned(), headers, body: picture.clone() }
    }

    /// The same request with connections of its own.
    pub(crate) fn of_another_caller(&self) -> Self {
        Self { client: Client::new(), ..self.clone() }
    }

    /// Sends the request. A status other than 200 and 429 is an error.
    pub(crate) async fn send(&self) -> anyhow::Result<ServiceAnswer> {
        let (status, text, retry_after) = self.exchange().await?;
        if status == StatusCode::OK {
            return Ok(ServiceAnswer::Done);
        }
        anyhow::ensure!(status == StatusCode::TOO_MANY_REQUESTS, "{status}: {text}");
        let seconds = retry_after.as_ref().and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(ServiceAnswer::Refused(Duration::from_secs(seconds.context("a refusal without Retry-After")?)))
    }

    /// Sends the request and returns status, body and `Retry-After` of the answer.
    async fn exchange(&self) -> anyhow::Result<(StatusCode, String, Option<HeaderValue>)> {
        let answer =
            self.client.post(&self.url).headers(self.headers.clone()).body(self.body.clone()).send().await?;
        let status = answer.status();
        let retry_after = answer.headers().get(header::RETRY_AFTER).cloned();
        let text = answer.text().await.context("the answer breaks off")?;
        Ok((status, text, retry_after))
    }
}

/// The body of the answer. A refusal is an error.
pub(crate) async fn answer(request: &Request) -> anyhow::Result<String> {
    let (status, text, _) = request.exchange().await?;
    anyhow::ensure!(status == StatusCode::OK, "{status}: {text}");
    Ok(text)
}

/// A closed loop: `callers` at a time send the next request as soon as they have an answer, `jobs` requests in all.
pub(crate) async fn closed(request: &Request, callers: usize, jobs: usize) -> anyhow::Result<LoadTotals> {
    let started = Instant::now();
    let caller = async || {
        for _ in 0..jobs / callers {
            let answer = request.send().await?;
            anyhow::ensure!(answer == ServiceAnswer::Done, "a caller was refused");
        }
        Ok(())
    };
    try_join_all((0..callers).map(|_| caller())).await?;
    Ok(LoadTotals { jobs: jobs / callers * callers, elapsed: started.elapsed() })
}

/// The request's body.
fn body(picture: &Bytes) -> Bytes {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"imageType\"\r\n\r\nSELFIE\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"face.jpg\"\r\n\
         Content-Type: image/jpeg\r\n\r\n"
    );
    [head.as_bytes(), picture, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat().into()
}
