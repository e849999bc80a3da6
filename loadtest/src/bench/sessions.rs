//! The cost of reading a session with fifty faces.

use std::io::Write as _;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use reqwest::{Client, RequestBuilder, StatusCode, header};

use super::Sample;
use crate::closed_loop::{self, Request};
use crate::site::{Setup, Site, listed, ms_per_job};

/// Faces of the session.
const FACES: usize = 50;

pub(super) async fn run(sample: &Sample, callers: usize) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    for (setup, name) in [(Setup::Distributed, "RabbitMQ and Redis"), (Setup::Standalone, "standalone")] {
        let site = Site::start(setup).await?;
        let session = Session::create(&site.url, sample).await?;
        writeln!(out, "a session with {FACES} faces ({name}), CPU time of a call in milliseconds:")?;
        let face = session.face.clone();
        for (what, path, calls) in [
            ("the session", String::new(), 4000),
            ("a face", face.clone(), 4000),
            ("all faces", "/faces".to_owned(), 2000),
            ("matches", format!("{face}/matches"), 400),
        ] {
            // The first calls cost more, so they are not measured.
            session.get(&path, callers, calls / 10).await?;
            let before = site.cpu_seconds()?;
            let calls = session.get(&path, callers, calls).await?;
            let used = ms_per_job(&before, &site.cpu_seconds()?, calls);
            writeln!(out, "  GET {what}: {}", listed(&used))?;
        }
    }
    Ok(())
}

/// A session and its first face.
struct Session {
    client: Client,
    url: String,
    /// The path of a face, relative to the session.
    face: String,
}

impl Session {
    async fn create(service: &str, sample: &Sample) -> anyhow::Result<Self> {
        let client = Client::new();
        let application = format!("{service}/bioserver-app");
        let location = created(client.post(format!("{application}/v2/bio-sessions"))).await?;
        let url = format!("{application}{location}");
        // The first face is made from a picture, all others from its description.
        let request = Request::new(service, &sample.bytes)?;
        let face = closed_loop::answer(&request).await?;
        let mut first = None;
        for _ in 0..FACES {
            let request =
                client.post(format!("{url}/faces")).header(header::CONTENT_TYPE, "application/json");
            let below = created(request.body(face.clone())).await?;
            let below = below.strip_prefix(&location).context("a face of another session")?.to_owned();
            first.get_or_insert(below);
        }
        Ok(Self { client, url, face: first.context("no face")? })
    }

    /// GETs `path` below the session, `callers` at a time, about `calls` times in all. Returns the number of calls.
    async fn get(&self, path: &str, callers: usize, calls: usize) -> anyhow::Result<usize> {
        let caller = async || {
            for _ in 0..calls / callers {
                let request = self.client.get(format!("{}{path}", self.url)).header("apikey", "demo");
                let answer = request.send().await?;
                let status = answer.status();
                let text = answer.text().await?;
                anyhow::ensure!(status == StatusCode::OK, "{status}: {text}");
            }
            Ok(())
        };
        try_join_all((0..callers).map(|_| caller())).await?;
        Ok(calls / callers * callers)
    }
}

/// Sends a request that creates something, and returns its `Location`.
pub(crate) async fn created(request: RequestBuilder) -> anyhow::Result<String> {
    let answer = request.header("apikey", "demo").send().await?;
    let location = answer.headers().get(header::LOCATION).cloned();
    let (status, text) = (answer.status(), answer.text().await?);
    let location = location.with_context(|| format!("{status}: {text}"))?;
    Ok(location.to_str()?.to_owned())
}
