//! Reads a file piece by piece.

use std::fs::File;
use std::io::Read as _;

use bytes::Bytes;
use futures_util::stream::{self, Stream};

use super::run::blocking;
use crate::object::error::ObjectError;

/// Bytes of a piece.
const PIECE_BYTES: u64 = 1 << 20;

/// The rest of a file in pieces. An object that is replaced or deleted meanwhile is read to its end, because the file stays as
/// long as it is open.
pub(super) fn pieces(file: File) -> impl Stream<Item = Result<Bytes, ObjectError>> + Send {
    stream::try_unfold(file, |file| async {
        let read = blocking(move || {
            let mut piece = Vec::new();
            (&file).take(PIECE_BYTES).read_to_end(&mut piece)?;
            Ok((Bytes::from(piece), file))
        });
        let (piece, file) = read.await?;
        Ok((!piece.is_empty()).then_some((piece, file)))
    })
}
