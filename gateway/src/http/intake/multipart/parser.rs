//! The parts of a multipart body (RFC 2046, 5.1.1) as they arrive. It holds no more of a body than the headers of one
//! part, or one chunk.

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use memchr::memmem::{self, Finder};
use tokio::task::consume_budget;

use super::part_headers::PartHeaders;
use crate::fault::Fault;

/// Bytes of the line of a boundary and the headers behind it.
const MAX_PART_HEADER_BYTES: usize = 16 << 10;
const LINE_END: &[u8] = b"\r\n";
const EMPTY_LINE: &[u8] = b"\r\n\r\n";

/// A body that is read part by part.
pub(in crate::http::intake) struct Parser<S> {
    body: S,
    /// What was received and not handed on.
    buffer: BytesMut,
    /// The line end before a boundary belongs to the boundary.
    delimiter: Finder<'static>,
    state: State,
}

/// What the buffer begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// What stands before the first boundary. It means nothing.
    Preamble,
    Content,
    /// What follows a boundary on its line.
    BehindBoundary,
    /// The last boundary is behind.
    Ended,
}

impl<S: Stream<Item = Result<Bytes, Fault>> + Unpin> Parser<S> {
    pub(in crate::http::intake) fn new(body: S, boundary: &str) -> Self {
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        // The first boundary has a line end before it, too, only that it may not be written.
        let buffer = BytesMut::from(LINE_END);
        Self { body, buffer, delimiter: Finder::new(&delimiter).into_owned(), state: State::Preamble }
    }

    /// The headers of the next part. Drops what was not read of the part before. `None` behind the last boundary.
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
                // The first line is the rest of that of the boundary.
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
    /// As [`Self::next_part`].
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

    /// Adds what arrives next to the buffer. Returns `false` at the end of the body.
    async fn receive(&mut self) -> Result<bool, Fault> {
        // A body whose next bytes are always there must not hold up the other requests of this thread.
        consume_budget().await;
        match self.body.next().await.transpose()? {
            Some(bytes) => self.buffer.extend_from_slice(&bytes),
            None => return Ok(false),
        }
        Ok(true)
    }
}

/// Whether what follows a boundary may be the rest of its line: white space, then the line's end; or the beginning of
/// that, or of the mark of the last boundary.
fn is_boundary_line(rest: &[u8]) -> bool {
    let padding = rest.iter().take_while(|byte| b" \t".contains(byte)).count();
    let line_end = &rest[padding..];
    rest == b"-" || line_end.starts_with(LINE_END) || LINE_END.starts_with(line_end)
}

fn malformed(reason: &str) -> Fault {
    Fault::Invalid(format!("malformed multipart body: {reason}"))
}
