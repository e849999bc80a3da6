//! A service provider that receives callbacks, and may fail some of them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// A delivery of a callback.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// `webhook-id`, which is the same in all deliveries of one callback.
    pub webhook_id: String,
    /// The session that the body names.
    pub session_id: String,
    /// Time of receipt.
    pub at: Instant,
    /// Whether it was answered with 200.
    pub is_acknowledged: bool,
}

/// An HTTP server on this machine that keeps what it receives.
#[derive(Debug)]
pub struct CallbackReceiver {
    address: SocketAddr,
    state: Arc<State>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    received: Mutex<Vec<Delivered>>,
    count: AtomicUsize,
    fail_every: AtomicUsize,
    is_failing: AtomicBool,
}

impl CallbackReceiver {
    /// Starts a receiver on a free port of 127.0.0.1. It answers every `fail_every`-th delivery with 500 (0: none).
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start(fail_every: usize) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State { fail_every: AtomicUsize::new(fail_every), ..State::default() });
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            // An error of `accept` concerns one connection.
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| receive(Arc::clone(&state), request));
                    // The sender may have disconnected.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self { address, state, _serving: AbortOnDropHandle::new(serving) })
    }

    /// The URL for `callbackURL`. The service must allow 127.0.0.0/8 (`callbacks.allowed_networks`).
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// Makes every later delivery fail with 500, or returns to the rule of [`CallbackReceiver::start`].
    pub fn set_failing(&self, is_failing: bool) {
        self.state.is_failing.store(is_failing, Ordering::Relaxed);
    }

    /// All deliveries so far.
    #[must_use]
    pub fn received(&self) -> Vec<Delivered> {
        self.state.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The deliveries so far by session and by `webhook-id`.
    pub(super) fn by_session(&self) -> BTreeMap<String, BTreeMap<String, Vec<Delivered>>> {
        let mut sessions: BTreeMap<String, BTreeMap<String, Vec<Delivered>>> = BTreeMap::new();
        for delivered in self.received() {
            let callbacks = sessions.entry(delivered.session_id.clone()).or_default();
            callbacks.entry(delivered.webhook_id.clone()).or_default().push(delivered);
        }
        sessions
    }
}

async fn receive(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let webhook_id = request.headers().get("webhook-id").and_then(|value| value.to_str().ok());
    let webhook_id = webhook_id.unwrap_or_default().to_owned();
    let mut response = Response::new(Empty::new());
    let Ok(body) = request.into_body().collect().await else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    let session_id = body["sessionId"].as_str().unwrap_or_default().to_owned();
    let count = state.count.fetch_add(1, Ordering::Relaxed) + 1;
    let fail_every = state.fail_every.load(Ordering::Relaxed);
    let fails =
        state.is_failing.load(Ordering::Relaxed) || (fail_every > 0 && count.is_multiple_of(fail_every));
    if fails {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    let delivered = Delivered { webhook_id, session_id, at: Instant::now(), is_acknowledged: !fails };
    state.received.lock().unwrap_or_else(PoisonError::into_inner).push(delivered);
    Ok(response)
}
