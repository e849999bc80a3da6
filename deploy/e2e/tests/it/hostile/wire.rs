//! Sends arbitrary bytes to a server and reads its answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Time limit for an answer, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) const FACES: &str = "/bioserver-app/v2/faces";
/// A small legal picture.
pub(super) const DOT: &[u8] = b"P5 2 2 255\n\x7f\x7f\x7f\x7f";

/// The bytes that the server sent until it closed the connection.
#[derive(Debug)]
pub(super) struct WireAnswer {
    /// Status of the first answer, 0 if there was none.
    pub(super) status: u16,
    /// Body of the first answer.
    pub(super) body: String,
    /// Number of answers on this connection.
    pub(super) count: usize,
    pub(super) elapsed: Duration,
}

/// The address of the public listener.
#[derive(Clone, Copy)]
pub(super) struct ServerAddress(pub(super) SocketAddr);

impl ServerAddress {
    pub(super) fn new(url: &str) -> Self {
        Self(url.strip_prefix("http://").unwrap().parse().unwrap())
    }

    pub(super) async fn connect(self) -> TcpStream {
        timeout(TIMEOUT, TcpStream::connect(self.0)).await.unwrap().unwrap()
    }

    /// Sends as many of the bytes as the server accepts, and reads until the server closes the connection.
    pub(super) async fn exchange(self, bytes: &[u8]) -> WireAnswer {
        let started = Instant::now();
        let stream = self.connect().await;
        let (mut reader, mut writer) = stream.into_split();
        // The server may close the connection before all bytes are sent.
        let send = async { drop(writer.write_all(bytes).await) };
        let mut received = Vec::new();
        let receive = async { drop(reader.read_to_end(&mut received).await) };
        let both = async {
            tokio::select! {
                () = receive => {}
                () = async { send.await; std::future::pending().await } => {}
            }
        };
        timeout(TIMEOUT, both).await.unwrap_or_else(|_| panic!("no end: {}", shown(bytes)));
        parse(&received, started.elapsed())
    }
}

fn parse(received: &[u8], elapsed: Duration) -> WireAnswer {
    let text = String::from_utf8_lossy(received);
    let (head, rest) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let header = |name: &str| {
        let lower = head.to_ascii_lowercase();
        lower.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<usize>().ok())
    };
    WireAnswer {
        status: head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0),
        body: rest.get(..header("content-length:").unwrap_or(0)).unwrap_or(rest).to_owned(),
        count: text.matches("HTTP/1.").count(),
        elapsed,
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned()
}

/// A request to describe a face, with the necessary headers, `headers` and `body`. `Content-Length` is added if
/// `headers` has no length.
pub(super) fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let content_type = "Content-Type: multipart/form-data; boundary=b\r\n";
    let headers = if headers.to_ascii_lowercase().contains("content-type:") {
        headers.to_owned()
    } else {
        format!("{content_type}{headers}")
    };
    request(&format!("POST {FACES} HTTP/1.1"), &headers, body)
}

/// A request with the demo key on a connection of its own.
pub(super) fn request(line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let lower = headers.to_ascii_lowercase();
    let length = if lower.contains("content-length:") || lower.contains("transfer-encoding:") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let head = format!("{line}\r\nHost: x\r\nConnection: close\r\napikey: demo\r\n{length}{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// One part of a body under the boundary `b`.
pub(super) fn part(headers: &str, content: &[u8]) -> Vec<u8> {
    [b"--b\r\n", headers.as_bytes(), b"\r\n\r\n", content, b"\r\n"].concat()
}

/// One part with a name.
pub(super) fn named(name: &str, content: &[u8]) -> Vec<u8> {
    part(&format!("Content-Disposition: form-data; name=\"{name}\""), content)
}

/// The body of a request to describe the face in a picture.
pub(super) fn face(picture: &[u8]) -> Vec<u8> {
    [named("imageType", b"SELFIE"), named("image", picture), b"--b--\r\n".to_vec()].concat()
}

/// A valid request.
pub(super) fn good() -> Vec<u8> {
    post("", &face(DOT))
}
