//! The parts of a multipart body (RFC 2046, 5.1.1) as they arrive. The parser holds no more of a body than the headers
//! of one part, or one chunk.

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use memchr::memmem::{self, Finder};
use tokio::task::consume_budget;

use super::part_headers::PartHeaders;
use crate::fault::Fault;

/// Maximum bytes of the rest of a boundary's line and the part headers after it.
const MAX_PART_HEADER_BYTES: usize = 16 << 10;
const LINE_END: &[u8] = b"\r\n";
const EMPTY_LINE: &[u8] = b"\r\n\r\n";

/// A body that is read part by part.
pub(in crate::http::intake) struct Parser<S> {
    body: S,
    /// Bytes that were received and not yet returned.
    buffer: BytesMut,
    /// Finds a boundary together with the line end before it, which belongs to the boundary.
    delimiter: Finder<'static>,
    state: State,
}

/// The position in the body at which the buffer begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Before the first boundary. The bytes there are ignored.
    Preamble,
    Content,
    /// After a boundary, on the same line.
    BehindBoundary,
    /// After the last boundary.
    Ended,
}

impl<S: Stream<Item = Result<Bytes, Fault>> + Unpin> Parser<S> {
    pub(in crate::http::intake) fn new(body: S, boundary: &str) -> Self {
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        // The search expects a line end before each boundary. The first boundary need not have one, so it is added.
        let buffer = BytesMut::from(LINE_END);
        Self { body, buffer, delimiter: Finder::new(&delimiter).into_owned(), state: State::Preamble }
    }

    /// Returns the headers of the next part; `None` after the last boundary. Discards the rest of the part before.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a body that is not multipart, or that ends too early, and the fault of the body itself.
    pub(in crate::http::intake) async fn next_part(&mut self) -> Result<Option<PartHeaders>, Fault> {
        while self.chunk().await?.is_some() {}
        if self.state == State::Ended {
            return Ok(None);
        }
        loop {
            if self.buffer.starts_with(b"--") {
                self.state = State::Ended;
                return Ok(None);
            }
            if !is_boundary_line(&self.buffer) {
                return Err(malformed("a boundary is not alone on its line (lines end with CR LF)"));
            }
            if let Some(end) = memmem::find(&self.buffer, EMPTY_LINE)
                && end <= MAX_PART_HEADER_BYTES
            {
                let block = self.buffer.split_to(end);
                self.buffer.advance(EMPTY_LINE.len());
                self.state = State::Content;
                // The first line is the rest of the boundary's line.
                let line_end = memmem::find(&block, LINE_END).unwrap_or(block.len());
                return PartHeaders::parse(&block[line_end..]).map(Some);
            }
            if self.buffer.len() > MAX_PART_HEADER_BYTES {
                let message = format!("the headers of a part have more than {MAX_PART_HEADER_BYTES} bytes");
                return Err(Fault::Invalid(message));
            }
            if !self.receive().await? {
                return Err(malformed("it ends before its last boundary"));
            }
        }
    }

    /// The next bytes of the current part; `None` at its end.
    ///
    /// # Errors
    /// Those of [`Self::next_part`].
    pub(in crate::http::intake) async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        if matches!(self.state, State::BehindBoundary | State::Ended) {
            return Ok(None);
        }
        loop {
            let delimiter = self.delimiter.needle().len();
            if let Some(at) = self.delimiter.find(&self.buffer) {
                let content = self.buffer.split_to(at).freeze();
                if !content.is_empty() {
                    return Ok(Some(content));
                }
                self.buffer.advance(delimiter);
                self.state = State::BehindBoundary;
                return Ok(None);
            }
            // The end of the buffer may be the beginning of a boundary.
            let certain = (self.buffer.len() + 1).saturating_sub(delimiter);
            if certain > 0 {
                return Ok(Some(self.buffer.split_to(certain).freeze()));
            }
            if !self.receive().await? {
                return Err(malformed(match self.state {
                    State::Preamble => "the boundary that Content-Type names is not in it",
                    _ => "it ends before its last boundary",
                }));
            }
        }
    }

    /// Receives the next bytes of the body into the buffer. Returns `false` at the end of the body.
    async fn receive(&mut self) -> Result<bool, Fault> {
        // A body whose next bytes are always available must not block the other requests of this thread.
        consume_budget().await;
        match self.body.next().await.transpose()? {
            Some(bytes) => self.buffer.extend_from_slice(&bytes),
            None => return Ok(false),
        }
        Ok(true)
    }
}

/// Whether the bytes after a boundary may be the rest of its line, which is white space and a line end. A beginning of
/// such a line is accepted, too, and so is the first byte of the `--` that marks the last boundary.
fn is_boundary_line(rest: &[u8]) -> bool {
    let padding = rest.iter().take_while(|byte| b" \t".contains(byte)).count();
    let line_end = &rest[padding..];
    rest == b"-" || line_end.starts_with(LINE_END) || LINE_END.starts_with(line_end)
}

fn malformed(reason: &str) -> Fault {
    Fault::Invalid(format!("malformed multipart body: {reason}"))
}
