//! A caller that sends a request in pieces, at the times that a test chooses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Time limit for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);
const BEFORE: &str = "--b\r\nContent-Disposition: form-data; name=\"imageType\"\r\n\r\nSELFIE\r\n\
     --b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"x\"\r\n\r\n";
const AFTER: &str = "\r\n--b--\r\n";

/// The announcement of a body's length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    /// `Content-Length`
    Length,
    /// `Transfer-Encoding: chunked`
    Chunks,
}

/// The answer to an upload.
#[derive(Debug)]
pub(crate) struct UploadAnswer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Value,
}

/// One `POST /faces` on a connection of its own, which is closed when this is dropped.
pub(crate) struct Upload {
    reader: OwnedReadHalf,
    body: Body,
}

struct Body {
    writer: OwnedWriteHalf,
    framing: Framing,
}

impl Upload {
    /// Connects and sends the request up to the picture, which has `length` bytes.
    pub(crate) async fn begin(address: SocketAddr, length: usize, framing: Framing) -> Self {
        let (reader, writer) = TcpStream::connect(address).await.unwrap().into_split();
        let framing_header = match framing {
            Framing::Length => format!("Content-Length: {}", BEFORE.len() + length + AFTER.len()),
            Framing::Chunks => "Transfer-Encoding: chunked".to_owned(),
        };
        let head = format!(
            "POST /bioserver-app/v2/faces HTTP/1.1\r\nHost: x\r\napikey: demo\r\nConnection: close\r\n\
             Content-Type: multipart/form-data; boundary=b\r\n{framing_header}\r\n\r\n"
        );
        let mut body = Body { writer, framing };
        body.writer.write_all(head.as_bytes()).await.unwrap();
        body.piece(BEFORE.as_bytes()).await.unwrap();
        Self { reader, body }
    }

    /// Sends the picture and reads the answer, which may arrive before the picture is sent.
    pub(crate) async fn send(self, picture: &[u8]) -> UploadAnswer {
        let Self { mut reader, mut body } = self;
        let mut answer = Vec::new();
        let sending = async {
            // A server that refuses the request does not read all of it.
            let _ = body.rest(picture).await;
            std::future::pending::<()>().await;
        };
        let reading = tokio::time::timeout(TIMEOUT, reader.read_to_end(&mut answer));
        tokio::select! {
            read = reading => { read.expect("there is no answer").unwrap(); }
            () = sending => {}
        }
        UploadAnswer::parse(&answer)
    }
}

impl Body {
    async fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.framing == Framing::Length {
            return self.writer.write_all(bytes).await;
        }
        self.writer.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
        self.writer.write_all(bytes).await?;
        self.writer.write_all(b"\r\n").await
    }

    async fn rest(&mut self, picture: &[u8]) -> io::Result<()> {
        for piece in picture.chunks(256 << 10) {
            self.piece(piece).await?;
        }
        self.piece(AFTER.as_bytes()).await?;
        if self.framing == Framing::Chunks {
            self.writer.write_all(b"0\r\n\r\n").await?;
        }
        Ok(())
    }
}

impl UploadAnswer {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let retry_after = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))
            .map(|(_, seconds)| seconds.parse().unwrap());
        Self { status, retry_after, body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }

    /// Asserts that the answer is a refusal of Biometric Services with `Retry-After`.
    pub(crate) fn assert_refused(&self, status: u16) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert!(self.retry_after.is_some_and(|seconds| (1..=30).contains(&seconds)), "{self:?}");
        assert!(self.body["id"].as_str().unwrap().parse::<uuid::Uuid>().is_ok(), "{self:?}");
        assert!(self.body["message"].is_string() && self.body.as_object().unwrap().len() == 2, "{self:?}");
    }
}
