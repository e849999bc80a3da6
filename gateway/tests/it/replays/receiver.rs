//! A service provider that receives callbacks.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// A callback as received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// An answer of a receiver.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    Redirect(String),
    /// The receiver does not answer, and keeps the connection open.
    Silence,
}

/// An HTTP server that answers its nth request, from 0, according to a script.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let log = Arc::clone(&received);
        let script: Arc<dyn Fn(usize) -> Reply + Send + Sync> = Arc::new(script);
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&script)));
            }
        });
        Self { address, received, _serving: AbortOnDropHandle::new(serving) }
    }

    /// A receiver that accepts everything.
    pub(crate) async fn able() -> Self {
        Self::start(|_| Reply::Status(200)).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/done?case=1", self.address)
    }

    /// The body of a request for a session that calls this receiver.
    pub(crate) fn session(&self, ttl_seconds: u64) -> String {
        format!(r#"{{"callbackURL":"{}","ttlSeconds":{ttl_seconds},"correlationId":"case 1"}}"#, self.url())
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until `count` requests were received, and returns them.
    pub(crate) async fn until(&self, count: usize) -> Vec<Received> {
        let waited = async {
            while self.received().len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), waited).await;
        assert!(in_time.is_ok(), "{count} callbacks are expected: {:?}", self.received());
        self.received()
    }
}

async fn serve(
    mut stream: TcpStream,
    log: Arc<Mutex<Vec<Received>>>,
    script: Arc<dyn Fn(usize) -> Reply + Send + Sync>,
) {
    let mut bytes = Vec::new();
    let received = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        if let Some(received) = parse(&bytes) {
            break received;
        }
    };
    let count = {
        let mut log = log.lock().unwrap();
        log.push(received);
        log.len() - 1
    };
    let answer = match script(count) {
        Reply::Status(status) => format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok"),
        Reply::Redirect(location) => {
            format!("HTTP/1.1 302 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
        }
        Reply::Silence => return std::future::pending().await,
    };
    // The caller may have disconnected.
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// A request, once it is complete.
fn parse(bytes: &[u8]) -> Option<Received> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let line = lines.next()?.to_owned();
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    (body.len() >= length).then(|| Received { line, headers, body: body.to_owned() })
}
