//! A service provider that receives callbacks, and answers the first ones with an error.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// A callback: the `webhook-id`, the `traceparent`, and the body.
#[derive(Clone, Debug)]
pub(crate) struct Callback {
    pub(crate) id: String,
    pub(crate) traceparent: Option<String>,
    pub(crate) body: String,
}

/// An HTTP server that answers its first requests with 500, and all others with 200.
pub(crate) struct CallbackReceiver {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Callback>>>,
    _serving: AbortOnDropHandle<()>,
}

impl CallbackReceiver {
    /// A receiver that answers the first `failures` requests with an error.
    pub(crate) async fn failing(failures: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Vec<Callback>>> = Arc::default();
        let log = Arc::clone(&received);
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&log), failures));
            }
        });
        Self { address, received, _serving: AbortOnDropHandle::new(serving) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// Waits for `count` requests, and returns them.
    pub(crate) async fn until(&self, count: usize) -> Vec<Callback> {
        let waited = async {
            loop {
                let received = self.received.lock().unwrap().clone();
                if received.len() >= count {
                    return received;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(2), waited).await.expect("a callback is missing")
    }

    /// Number of different callbacks so far. Those with the same id count once.
    pub(crate) fn distinct(&self) -> usize {
        let received = self.received.lock().unwrap();
        received.iter().map(|callback| &callback.id).collect::<BTreeSet<_>>().len()
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Callback>>>, failures: usize) {
    let mut bytes = Vec::new();
    let callback = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        if let Some(callback) = parse(&bytes) {
            break callback;
        }
    };
    let count = {
        let mut log = log.lock().unwrap();
        log.push(callback);
        log.len()
    };
    let status = if count > failures { "200 OK" } else { "500 Failed" };
    // The caller may have left.
    let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
}

/// Parses a callback. `None` while it is incomplete.
fn parse(bytes: &[u8]) -> Option<Callback> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    let length: usize = header("content-length")?.parse().ok()?;
    let callback = || {
        Some(Callback {
            id: header("webhook-id")?,
            traceparent: header("traceparent"),
            body: body.to_owned(),
        })
    };
    if body.len() >= length { callback() } else { None }
}
