//! A closed loop: callers of one operation that send the next request once they have an answer.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64_simd::STANDARD;
use bytes::Bytes;
use faceline_shared::testkit::demo_token;
use futures_util::future::try_join_all;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode, header};
use serde_json::{Value, json};

const BOUNDARY: &str = "faceline-loadtest";
/// Lifetime of BWS tokens: longer than any benchmark takes.
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
    /// 429 or 503, with the time of `Retry-After`.
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
        Self::form(format!("{url}/bioserver-app/v2/faces"), &[("image", "imageType", picture)])
    }

    /// A request to the service at `url` to compare the faces in two pictures.
    pub(crate) fn match_images(url: &str, [reference, candidate]: [&Bytes; 2]) -> anyhow::Result<Self> {
        let pictures = [
            ("referenceImage", "referenceImageType", reference),
            ("candidateImage", "candidateImageType", candidate),
        ];
        Self::form(format!("{url}/bioserver-app/v2/match/images"), &pictures)
    }

    /// A request to the service at `url` to judge the liveness of one picture or two.
    pub(crate) fn liveness(url: &str, pictures: &[&Bytes]) -> anyhow::Result<Self> {
        let images: Vec<_> = pictures.iter().map(|picture| json!({ "image": base64(picture) })).collect();
        Self::json(format!("{url}/api/v1/livenessdetection"), &bearer(), &json!({ "liveImages": images }))
    }

    /// A request to the service at `url` to compare a live picture with a photo, without liveness detection.
    pub(crate) fn photo_verify(url: &str, [live, photo]: [&Bytes; 2]) -> anyhow::Result<Self> {
        let body = json!({
            "liveImages": [{ "image": base64(live) }],
            "photo": base64(photo),
            "disableLivenessDetection": true,
        });
        Self::json(format!("{url}/api/v1/photoverify"), &bearer(), &body)
    }

    /// A request to the service at `url` to score the liveness of a picture by Face Liveness.
    pub(crate) fn face_liveness(url: &str, picture: &Bytes) -> anyhow::Result<Self> {
        let credential = format!("Basic {}", STANDARD.encode_to_string("demo:demo"));
        let body = json!({ "faceImageBase": base64(picture), "sessionId": "bench" });
        Self::json(format!("{url}/api/v1/face/liveness"), &credential, &body)
    }

    /// A request that has a picture as its body, and no credential.
    pub(crate) fn plain(url: &str, picture: &Bytes) -> Self {
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"))];
        Self::with(url.to_owned(), headers, picture.clone())
    }

    /// A form of Biometric Services: pictures, each with the names of its field and of that for its type.
    fn form(url: String, pictures: &[(&str, &str, &Bytes)]) -> anyhow::Result<Self> {
        let media_type = format!("multipart/form-data; boundary={BOUNDARY}").parse()?;
        let headers = [
            (HeaderName::from_static("apikey"), HeaderValue::from_static("demo")),
            (header::CONTENT_TYPE, media_type),
        ];
        Ok(Self::with(url, headers, form_body(pictures)))
    }

    /// JSON, with a value of `Authorization`.
    fn json(url: String, credential: &str, body: &Value) -> anyhow::Result<Self> {
        let headers = [
            (header::AUTHORIZATION, credential.parse()?),
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ];
        Ok(Self::with(url, headers, serde_json::to_vec(body)?.into()))
    }

    fn with<const N: usize>(url: String, headers: [(HeaderName, HeaderValue); N], body: Bytes) -> Self {
        Self { client: Client::new(), url, headers: HeaderMap::from_iter(headers), body }
    }

    /// The same request with connections of its own.
    pub(crate) fn of_another_caller(&self) -> Self {
        Self { client: Client::new(), ..self.clone() }
    }

    /// Sends the request. An answer that is neither 200 nor a refusal with `Retry-After` is an error.
    pub(crate) async fn send(&self) -> anyhow::Result<ServiceAnswer> {
        let (status, text, retry_after) = self.exchange().await?;
        ServiceAnswer::read(status, retry_after.as_ref()).with_context(|| format!("{status}: {text}"))
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

impl ServiceAnswer {
    fn read(status: StatusCode, retry_after: Option<&HeaderValue>) -> anyhow::Result<Self> {
        if status == StatusCode::OK {
            return Ok(Self::Done);
        }
        let is_refusal = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
        anyhow::ensure!(is_refusal, "neither an answer nor a refusal");
        let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Self::Refused(Duration::from_secs(seconds.context("a refusal without Retry-After")?)))
    }
}

/// Sends the request and returns the body of the answer. Any status but 200 is an error.
pub(crate) async fn answer(request: &Request) -> anyhow::Result<String> {
    let (status, text, _) = request.exchange().await?;
    anyhow::ensure!(status == StatusCode::OK, "{status}: {text}");
    Ok(text)
}

/// Runs a closed loop: each of `callers` sends the next request as soon as it has an answer, `jobs` requests in all,
/// rounded down to a multiple of `callers`.
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

/// A form's body.
fn form_body(pictures: &[(&str, &str, &Bytes)]) -> Bytes {
    let mut body = Vec::new();
    for (field, type_field, picture) in pictures {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{type_field}\"\r\n\r\nSELFIE\r\n\
             --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"face.jpg\"\r\n\
             Content-Type: image/jpeg\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(picture);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body.into()
}

fn base64(picture: &Bytes) -> String {
    STANDARD.encode_to_string(picture)
}

/// The credential of the demo account's BWS client.
fn bearer() -> String {
    format!("Bearer {}", demo_token(TOKEN_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_429_or_503_and_says_when_to_come_again() {
        let seconds = HeaderValue::from_static("7");
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
            let refused = ServiceAnswer::read(status, Some(&seconds)).unwrap();
            assert_eq!(refused, ServiceAnswer::Refused(Duration::from_secs(7)));
            assert!(ServiceAnswer::read(status, None).is_err());
        }
        assert_eq!(ServiceAnswer::read(StatusCode::OK, None).unwrap(), ServiceAnswer::Done);
        assert!(ServiceAnswer::read(StatusCode::INTERNAL_SERVER_ERROR, Some(&seconds)).is_err());
    }

    #[test]
    fn a_form_has_each_picture_after_its_type() {
        let [first, second] = ["one", "two"].map(Bytes::from);
        let body = form_body(&[("a", "aType", &first), ("b", "bType", &second)]);
        let text = std::str::from_utf8(&body).unwrap();
        let parts: Vec<_> = text.split("--faceline-loadtest").collect();
        assert_eq!(parts.len(), 6, "{text}");
        assert_eq!(parts[1], "\r\nContent-Disposition: form-data; name=\"aType\"\r\n\r\nSELFIE\r\n");
        assert!(
            parts[2].contains("name=\"a\"; filename=\"face.jpg\"") && parts[2].ends_with("\r\n\r\none\r\n")
        );
        assert!(parts[4].contains("name=\"b\"") && parts[4].ends_with("\r\n\r\ntwo\r\n"));
        assert_eq!((parts[0], parts[5]), ("", "--\r\n"));
    }
}
