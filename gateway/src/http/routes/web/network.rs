//! Endpoints with which pages of the original service measure the network, and the relays that they ask for. They need
//! no credential, so size, time and rate are bounded. A page sends only a few of these requests before a capture.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use faceline_gateway_store::rate::local::LocalRates;
use faceline_gateway_store::rate::{Rate, RateLimiter as _, Terms};
use futures_util::StreamExt as _;
use http::{Extensions, HeaderValue};
use rand::Rng as _;
use serde_json::json;
use tokio::time::timeout;

use super::embedding::for_pages;
use crate::accounts::SourceAddress;
use crate::fault::{BusyCause, Fault};
use crate::http::answer::{self, Answer};
use crate::http::routes::route::Route;
use crate::http::{GatewayState, operations};

/// Maximum bytes of one upload.
const MAX_UPLOAD_BYTES: usize = 8 << 20;
/// Maximum time of one upload. A slower network is too slow for a video in any case.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of the download.
const DOWNLOAD_BYTES: usize = 1 << 20;
/// The rate at which one address may measure its speed: a burst for a few people behind one address, and on average at
/// most 8 MiB a second.
const SPEED: Rate = Rate { requests_per_second: 1, burst: 20 };
/// The rate at which one address may measure its latency.
const LATENCY: Rate = Rate { requests_per_second: 10, burst: 100 };

/// Bytes that no proxy on the way can compress.
static DOWNLOAD: LazyLock<Bytes> = LazyLock::new(|| {
    let mut bytes = vec![0; DOWNLOAD_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    bytes.into()
});

pub(super) fn routes() -> [Route; 4] {
    [
        Route::new(&operations::NETWORK_UPLOAD, upload),
        Route::new(&operations::NETWORK_DOWNLOAD, download),
        Route::new(&operations::NETWORK_LATENCY, latency),
        Route::new(&operations::RELAYS, relays),
    ]
}

/// Reads a body and drops it.
async fn upload(State(state): State<Arc<GatewayState>>, request: Request) -> Answer<Response> {
    check_rate(&state.address_rates, "speed", request.extensions(), SPEED).await?;
    let received = timeout(UPLOAD_TIMEOUT, drain(request.into_body())).await;
    let bytes = received.unwrap_or(Err(Fault::SlowBody))?;
    Ok(for_pages(answer::json(&json!({"bytes": bytes}))?))
}

/// Reads a body, drops it, and returns its length in bytes.
async fn drain(body: Body) -> Result<usize, Fault> {
    let mut chunks = body.into_data_stream();
    let mut bytes = 0;
    while let Some(chunk) = chunks.next().await {
        bytes += chunk.map_err(|_| Fault::Invalid("the body broke off".into()))?.len();
        if bytes > MAX_UPLOAD_BYTES {
            return Err(Fault::TooLarge { limit: MAX_UPLOAD_BYTES, place: String::new() });
        }
    }
    Ok(bytes)
}

async fn download(State(state): State<Arc<GatewayState>>, request: Request) -> Answer<Response> {
    check_rate(&state.address_rates, "speed", request.extensions(), SPEED).await?;
    let media_type = HeaderValue::from_static("application/octet-stream");
    Ok(for_pages(answer::binary(media_type, Body::from(DOWNLOAD.clone()))))
}

async fn latency(State(state): State<Arc<GatewayState>>, request: Request) -> Answer<Response> {
    check_rate(&state.address_rates, "latency", request.extensions(), LATENCY).await?;
    Ok(for_pages(answer::json(&json!({}))?))
}

/// The relays of a peer connection (`RTCConfiguration`): none, since videos are uploaded.
async fn relays() -> Answer<Response> {
    Ok(for_pages(answer::json(&json!({"iceServers": []}))?))
}

/// Counts a request against the rate of the address that it comes from.
pub(super) async fn check_rate(
    rates: &LocalRates,
    what: &str,
    extensions: &Extensions,
    rate: Rate,
) -> Result<(), Fault> {
    let source = extensions.get::<SourceAddress>().copied().unwrap_or_default();
    let key = format!("{what} {}", source.network());
    let verdict = rates.check(&key, &Terms { rate, quota: None }).await.map_err(|error| {
        tracing::error!(%error, "requests of an address cannot be counted");
        Fault::Internal
    })?;
    verdict.refusal.map_or(Ok(()), |refusal| Err(Fault::busy(BusyCause::AddressRate, refusal.wait)))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    fn body(chunks: usize) -> Body {
        let chunk = Bytes::from(vec![0; 1 << 20]);
        Body::from_stream(stream::iter((0..chunks).map(move |_| Ok::<_, Infallible>(chunk.clone()))))
    }

    #[tokio::test]
    async fn a_body_ends_at_its_bound_also_where_it_announces_no_length() {
        assert_eq!(drain(body(8)).await, Ok(8 << 20));
        assert_eq!(
            drain(body(9)).await,
            Err(Fault::TooLarge { limit: MAX_UPLOAD_BYTES, place: String::new() })
        );
    }

    #[test]
    fn the_download_cannot_be_compressed() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut encoder, &DOWNLOAD).unwrap();
        assert!(encoder.finish().unwrap().len() > DOWNLOAD.len());
    }
}
