//! Containers of videos, and the stream of frames from the decoder's child process.

use faceline_worker::video::{Container, MemoryFile, Reader};

use crate::{MIB, Target};

pub(crate) const TARGET: Target = Target {
    name: "container",
    run: container,
    seeds,
    words: &[
        b"\x1A\x45\xDF\xA3",
        b"\x42\x82",
        b"webm",
        b"matroska",
        b"\x18\x53\x80\x67",
        b"\x1F\x43\xB6\x75",
        b"\xE7",
        b"\xA3",
        b"\xA0",
        b"\xA1",
        b"ftyp",
        b"isom",
        b"qt  ",
        b"avif",
        b"heic",
        b"moov",
        b"mdat",
        b"wide",
        b"free",
        b"skip",
        b"\0\0\0\x01",
        b"\xFF",
        b"\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    ],
    is_dotted_base64: false,
    max_allocated_bytes: MIB,
};

/// Brands of still pictures and of audio.
const NO_VIDEO: [&[u8]; 4] = [b"avif", b"heic", b"mif1", b"M4A "];

/// First bytes of files that refer to other files.
const PLAYLISTS: [&[u8]; 3] = [b"#EXTM3U", b"ffconcat", b"<?xml"];

/// Detects the container of a file, and reads the bytes as the child's stream.
///
/// # Panics
/// A file that does not begin like a video is accepted as one, or a block of the stream is not part of it.
pub fn container(data: &[u8]) {
    let file = MemoryFile::of(data).expect("the system has memory files");
    if let Some(container) = Container::sniff(&file).expect("a memory file can be read") {
        let is_ebml = data.starts_with(b"\x1A\x45\xDF\xA3");
        assert_eq!(is_ebml, matches!(container, Container::WebM | Container::Matroska), "{container:?}");
        let is_playlist = PLAYLISTS.iter().any(|playlist| data.starts_with(playlist));
        assert!(!is_playlist, "a playlist is no video: it names files that the decoder would open");
        if data.get(4..8) == Some(b"ftyp") {
            assert!(!NO_VIDEO.contains(&&data[8..12]), "{} is no video", data[8..12].escape_ascii());
        }
    }

    let mut reader = Reader::new(data);
    let mut read = 0;
    // The reader must not allocate memory for a payload that the stream does not have.
    let mut payload = [0; 4096];
    while let Ok(Some(block)) = reader.next_block() {
        let mut left = block.len;
        while left > 0 {
            let piece = left.min(payload.len() as u64);
            if reader.payload(&mut payload[..piece as usize]).is_err() {
                return;
            }
            left -= piece;
        }
        read += block.len;
        assert!(read <= data.len() as u64, "blocks of {read} bytes in {} bytes", data.len());
        assert!((1..=127).contains(&block.track), "track {}", block.track);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let seeds: [&[u8]; 9] = [
        b"\x1A\x45\xDF\xA3\x8B\x42\x86\x81\x01\x42\x82\x84webm\x18\x53\x80\x67",
        b"\x1A\x45\xDF\xA3\x01\0\0\0\0\0\0\x0B\x42\x82\x88matroska\x18\x53\x80\x67",
        b"\0\0\0\x10ftypisom\0\0\0\0",
        b"\0\0\0\x10ftypqt  \0\0\0\0",
        b"\0\0\0\x18ftypheic\0\0\0\0",
        b"\0\0\0\x08wide\0\0\0\x20mdat",
        b"\0\0\0\x01free\0\0\0\0\0\0\0\x10\0\0\0\x20moov",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\nfile:///etc/passwd\n",
        // Two blocks of a cluster.
        b"\x1A\x45\xDF\xA3\x82ab\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x1F\x43\xB6\x75\xFF\xE7\x82\x03\xE8\
          \xA3\x87\x82\xFF\xFF\x80abc\xA0\x8B\xA1\x86\x81\0\x05\x80de\x9B\x81\x01",
    ];
    seeds.map(<[u8]>::to_vec).to_vec()
}
