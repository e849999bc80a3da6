//! Reads the Matroska stream that ffmpeg writes: blocks of raw pictures with their track and time.
//!
//! The stream comes from a process that a hostile video may have taken over, so every size is checked before it is
//! used.

use std::io::{self, Read};

const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1F43_B675;
const CLUSTER_TIME: u32 = 0xE7;
const BLOCK_GROUP: u32 = 0xA0;
const BLOCK: u32 = 0xA1;
const SIMPLE_BLOCK: u32 = 0xA3;

/// The largest element that is skipped, in bytes. ffmpeg's headers, tags and cues are far smaller.
const MAX_SKIPPED: u64 = 4 << 20;

/// Track, time and size of the block whose payload comes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Block {
    /// Number of the track, from 1.
    pub track: u8,
    /// Milliseconds from the start, which is the unit that ffmpeg always declares.
    pub time: i64,
    /// Bytes that follow.
    pub len: u64,
}

/// A stream of blocks.
pub struct Reader<R> {
    inner: R,
    cluster_time: i64,
}

impl<R: Read> Reader<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, cluster_time: 0 }
    }

    /// The next block, or `None` at the end of the stream. The caller must then read its payload.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] for a stream that ffmpeg does not write, and those of the stream itself.
    pub fn next_block(&mut self) -> io::Result<Option<Block>> {
        loop {
            let Some(id) = self.id()? else { return Ok(None) };
            let (size, is_unknown) = self.size()?;
            match id {
                // The elements inside follow as elements of their own.
                SEGMENT | CLUSTER | BLOCK_GROUP => (),
                _ if is_unknown => return Err(io::ErrorKind::InvalidData.into()),
                CLUSTER_TIME if size <= 8 => self.cluster_time = self.integer(size)?,
                SIMPLE_BLOCK | BLOCK if size > 4 => return self.block(size).map(Some),
                _ if size <= MAX_SKIPPED => self.skip(size)?,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Reads the payload of a block into `buffer`, which has the block's length.
    ///
    /// # Errors
    /// The stream ends before, or those of the stream itself.
    pub fn payload(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(buffer)
    }

    fn block(&mut self, size: u64) -> io::Result<Block> {
        let [track, high, low, _flags] = self.bytes::<4>()?;
        // Tracks below 127 are one byte, with its highest bit set.
        if track < 0x81 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let time = self.cluster_time.saturating_add(i16::from_be_bytes([high, low]).into());
        Ok(Block { track: track & 0x7F, time, len: size - 4 })
    }

    /// The id of the next element, or `None` at the end.
    fn id(&mut self) -> io::Result<Option<u32>> {
        let mut first = [0];
        loop {
            match self.inner.read(&mut first) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        let more = first[0].leading_zeros();
        if more > 3 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut id = u32::from(first[0]);
        for _ in 0..more {
            id = id << 8 | u32::from(self.bytes::<1>()?[0]);
        }
        Ok(Some(id))
    }

    /// The size of an element, and whether it is the one that means "unknown".
    fn size(&mut self) -> io::Result<(u64, bool)> {
        let [first] = self.bytes::<1>()?;
        let more = first.leading_zeros();
        if more > 7 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut size = u64::from(first) & ((1 << (7 - more)) - 1);
        for _ in 0..more {
            size = size << 8 | u64::from(self.bytes::<1>()?[0]);
        }
        Ok((size, size == (1 << (7 * (more + 1))) - 1))
    }

    fn integer(&mut self, size: u64) -> io::Result<i64> {
        let mut value = 0_i64;
        for _ in 0..size {
            value = value << 8 | i64::from(self.bytes::<1>()?[0]);
        }
        Ok(value)
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, size: u64) -> io::Result<()> {
        match io::copy(&mut (&mut self.inner).take(size), &mut io::sink())? {
            copied if copied == size => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blocks_come_with_track_and_time() {
        let mut stream = b"\x1A\x45\xDF\xA3\x82ab\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF".to_vec();
        stream.extend(b"\x1F\x43\xB6\x75\xFF\xE7\x82\x03\xE8\xA3\x87\x82\xFF\xFF\x80abc\xA0\x8B\xA1\x86\x81\0\x05\x80de\x9B\x81\x01");
        let mut reader = Reader::new(stream.as_slice());
        assert_eq!(reader.next_block().unwrap(), Some(Block { track: 2, time: 999, len: 3 }));
        let mut payload = [0; 3];
        reader.payload(&mut payload).unwrap();
        assert_eq!(&payload, b"abc");
        assert_eq!(reader.next_block().unwrap(), Some(Block { track: 1, time: 1005, len: 2 }));
        reader.payload(&mut payload[..2]).unwrap();
        assert_eq!(reader.next_block().unwrap(), None);
    }

    #[test]
    fn a_stream_with_an_enormous_element_is_refused() {
        let mut reader = Reader::new(&b"\xEC\x08\x7F\xFF\xFF\xFF\xFF"[..]);
        assert_eq!(reader.next_block().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        #[test]
        fn no_stream_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(bytes.as_slice());
            while let Ok(Some(_)) = reader.next_block() {}
        }
    }
}
