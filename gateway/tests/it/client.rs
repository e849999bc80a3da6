//! An HTTP client that sends the exact bytes of a request.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head in lower case.
    head: String,
    /// The head as received.
    raw_head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Self {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_ascii_lowercase(),
            raw_head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// The values of a header that may occur several times.
    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The value of a header in its original case.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let headers = self.raw_head.lines().filter_map(|line| line.split_once(": "));
        headers.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body with `…` in place of ids, times, templates and signatures.
    pub(crate) fn scrubbed(&self) -> String {
        let mut text = self.body.clone();
        for member in ["id", "created", "expires", "template", "signature"] {
            let start = format!("\"{member}\":\"");
            let mut from = 0;
            while let Some(at) = text[from..].find(&start) {
                let value = from + at + start.len();
                let end = value + text[value..].find('"').unwrap();
                text.replace_range(value..end, "…");
                from = value;
            }
        }
        text
    }

    /// Status and message of an error of Biometric Services. Checks its form and `Retry-After`.
    pub(crate) fn error(&self) -> (u16, String) {
        let object = self.json();
        assert!(object["id"].as_str().unwrap().parse::<uuid::Uuid>().is_ok(), "{self:?}");
        assert_eq!(object.as_object().unwrap().len(), 2, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert!(self.header("x-request-id").is_some());
        let wants_retry = matches!(self.status, 429 | 503);
        let seconds: Option<u64> = self.header("retry-after").map(|text| text.parse().unwrap());
        assert_eq!(seconds.is_some(), wants_retry, "{self:?}");
        assert!(seconds.is_none_or(|seconds| (1..=30).contains(&seconds)), "{self:?}");
        (self.status, object["message"].as_str().unwrap().to_owned())
    }
}

impl Answer {
    /// Status and code of an error of Face Liveness. Checks its form and `Retry-After`.
    pub(crate) fn liveness_error(&self) -> (u16, String) {
        let object = self.json();
        let mut members: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
        members.retain(|member| *member != "sessionId");
        members.sort_unstable();
        assert_eq!(members, ["error", "hasError"], "{self:?}");
        assert_eq!(object["hasError"], true, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert!(self.header("x-request-id").is_some());
        let seconds: Option<u64> = self.header("retry-after").map(|text| text.parse().unwrap());
        assert_eq!(seconds.is_some(), matches!(self.status, 429 | 503), "{self:?}");
        assert_eq!(self.header("www-authenticate").is_some(), self.status == 401, "{self:?}");
        (self.status, object["error"].as_str().unwrap().to_owned())
    }
}

/// Sends bytes, and reads until the server closes the connection.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    Answer::parse(&answer)
}

/// Reads one answer with `Content-Length`, and leaves the connection open.
pub(crate) async fn read_one(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "closed");
        let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let answer = Answer::parse(&bytes);
        let length: usize = answer.header("content-length").unwrap().parse().unwrap();
        if bytes.len() >= head + 4 + length {
            return answer;
        }
    }
}

/// The bytes of a request.
pub(crate) fn request(line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head.push_str("Host: x\r\n");
    }
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    if !body.is_empty() {
        write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// A multipart body with the boundary `b`. Each part is the rest of its `Content-Disposition`, further headers, and its content.
pub(crate) fn multipart(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut body = String::new();
    for (disposition, content) in parts {
        write!(body, "--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n").unwrap();
    }
    body.push_str("--b--\r\n");
    body.into_bytes()
}

/// A multipart body with the boundary `b` and parts by name.
pub(crate) fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in parts {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    body
}

/// POSTs a form of parts by name with the demo key.
pub(crate) async fn post(address: SocketAddr, path: &str, parts: &[(&str, &str)]) -> Answer {
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, content)| (*name, content.as_bytes())).collect();
    post_bytes(address, path, &parts).await
}

/// POSTs a form of parts by name with the demo key.
pub(crate) async fn post_bytes(address: SocketAddr, path: &str, parts: &[(&str, &[u8])]) -> Answer {
    post_body(address, path, &form(parts)).await
}

/// POSTs JSON with the demo key.
pub(crate) async fn post_json(address: SocketAddr, path: &str, body: &str) -> Answer {
    let headers = [("apikey", "demo"), ("Content-Type", "application/json; charset=utf-8")];
    send(address, &format!("POST {path}"), &headers, body.as_bytes()).await
}

/// Sends one request on a connection of its own.
pub(crate) async fn send(address: SocketAddr, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    exchange(address, &request(line, headers, body)).await
}

/// Sends DELETE with the demo key.
pub(crate) async fn delete(address: SocketAddr, path: &str) -> Answer {
    send(address, &format!("DELETE {path}"), &[("apikey", "demo")], b"").await
}

/// POSTs a multipart body with the demo key.
pub(crate) async fn post_body(address: SocketAddr, path: &str, body: &[u8]) -> Answer {
    let headers = [("apikey", "demo"), ("Content-Type", "multipart/form-data; boundary=b")];
    exchange(address, &request(&format!("POST {path}"), &headers, body)).await
}

/// GETs with the demo key.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    exchange(address, &request(&format!("GET {path}"), &[("apikey", "demo")], b"")).await
}
