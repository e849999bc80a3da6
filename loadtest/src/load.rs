//! Callers that ask again as soon as they have an answer.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::future::try_join_all;
use reqwest::{Client, StatusCode};

const BOUNDARY: &str = "faceline-loadtest";

/// What a load has done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) jobs: usize,
    pub(crate) elapsed: Duration,
}

impl Done {
    pub(crate) fn per_second(&self) -> f64 {
        self.jobs as f64 / self.elapsed.as_secs_f64()
    }
}

/// Sends `picture` to `POST /v2/faces` by `callers` at a time, `jobs` times in all.
pub(crate) async fn faces(url: &str, picture: &Bytes, callers: usize, jobs: usize) -> anyhow::Result<Done> {
    let client = Client::builder().pool_max_idle_per_host(callers).build()?;
    let url = format!("{url}/bioserver-app/v2/faces");
    let body = body(picture);
    let started = Instant::now();
    let caller = async || {
        for _ in 0..jobs / callers {
            let answer = client
                .post(&url)
                .header("apikey", "demo")
                .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
                .body(body.clone())
                .send()
                .await?;
            let status = answer.status();
            let text = answer.text().await.context("the answer breaks off")?;
            anyhow::ensure!(status == StatusCode::OK, "{status}: {text}");
        }
        Ok(())
    };
    try_join_all((0..callers).map(|_| caller())).await?;
    Ok(Done { jobs: jobs / callers * callers, elapsed: started.elapsed() })
}

/// The request's body, made once.
fn body(picture: &Bytes) -> Bytes {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"imageType\"\r\n\r\nSELFIE\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"face.jpg\"\r\n\
         Content-Type: image/jpeg\r\n\r\n"
    );
    [head.as_bytes(), picture, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat().into()
}
