//! A host that serves pictures, correctly or incorrectly as scripted.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// The reply on a connection.
pub(crate) enum Reply {
    /// Sends these bytes and closes the connection.
    Bytes(Vec<u8>),
    /// Sends these bytes, then the same chunk again and again until the client disconnects.
    Endless(Vec<u8>, Vec<u8>),
    /// Sends these bytes, then one byte every few milliseconds until the client disconnects.
    Trickle(Vec<u8>),
    /// Sends no byte until the client disconnects.
    Silence,
}

#[derive(Default)]
struct Seen {
    heads: Mutex<Vec<String>>,
    arrived: Notify,
    left: Notify,
}

pub(crate) struct Pictures {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    _serving: AbortOnDropHandle<()>,
}

impl Pictures {
    pub(crate) async fn start(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(None, script).await
    }

    pub(crate) async fn with(
        tls: Option<TlsAcceptor>,
        script: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Seen::default()));
        let (kept, script) = (Arc::clone(&seen), Arc::new(script));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, script, tls) = (Arc::clone(&kept), Arc::clone(&script), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &seen, &*script).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &seen, &*script).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, _serving: AbortOnDropHandle::new(serving) }
    }

    /// A host that answers every request with these bytes.
    pub(crate) async fn fixed(answer: Vec<u8>) -> Self {
        Self::start(move |_| Reply::Bytes(answer.clone())).await
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.heads.lock().unwrap().clone()
    }

    /// Waits for a request.
    pub(crate) async fn arrived(&self) {
        self.seen.arrived.notified().await;
    }

    /// Waits until a client disconnects before the end of the reply.
    pub(crate) async fn left(&self) {
        tokio::time::timeout(Duration::from_secs(30), self.seen.left.notified()).await.unwrap();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Seen,
    script: &(impl Fn(&str) -> Reply + ?Sized),
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8(head).unwrap();
    seen.heads.lock().unwrap().push(head.clone());
    seen.arrived.notify_one();
    match script(&head) {
        Reply::Bytes(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Reply::Endless(start, piece) => {
            let mut is_there = stream.write_all(&start).await.is_ok();
            while is_there {
                is_there = stream.write_all(&piece).await.is_ok();
            }
            seen.left.notify_one();
        }
        Reply::Trickle(start) => {
            let mut is_there = stream.write_all(&start).await.is_ok();
            let mut beat = tokio::time::interval(Duration::from_millis(5));
            while is_there {
                beat.tick().await;
                is_there = stream.write_all(b"x").await.is_ok();
            }
            seen.left.notify_one();
        }
        Reply::Silence => {
            let mut rest = [0; 16];
            while stream.read(&mut rest).await.unwrap_or(0) != 0 {}
            seen.left.notify_one();
        }
    }
}

/// An answer with a body and its `Content-Length`.
pub(crate) fn answer(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// An answer with the content type of a JPEG.
pub(crate) fn jpeg(body: &[u8]) -> Vec<u8> {
    answer("200 OK", &["Content-Type: image/jpeg"], body)
}

/// A redirection to `to`.
pub(crate) fn redirection(to: &str) -> Vec<u8> {
    answer("302 Found", &[&format!("Location: {to}")], b"")
}
