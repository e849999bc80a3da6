//! The container of a video, by its first bytes. ffmpeg never guesses it: its guesses include playlists that open other files.

use std::io;

use super::MemoryFile;

/// Maximum number of bytes of an EBML header that are read.
const MAX_EBML_HEADER: usize = 4096;

/// Maximum number of boxes of a QuickTime file that are read in search of one that identifies the format.
const MAX_BOXES: usize = 16;

/// Brands of still pictures and sound in the container of MP4.
const OTHER_BRANDS: [&[u8; 4]; 14] = [
    b"avif", b"avis", b"crx ", b"heic", b"heif", b"heim", b"heis", b"heix", b"hevc", b"hevx", b"jpeg",
    b"mif1", b"msf1", b"M4A ",
];

/// Container format of a video file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Container {
    /// WebM.
    WebM,
    /// Matroska.
    Matroska,
    /// MP4 and its relatives (ISO/IEC 14496-12).
    Mp4,
    /// QuickTime.
    QuickTime,
}

impl Container {
    /// The container that the first bytes identify, or `None` for everything else.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sniff(file: &MemoryFile) -> io::Result<Option<Self>> {
        let mut head = [0; MAX_EBML_HEADER];
        let count = file.read_at(0, &mut head)?;
        let head = &head[..count];
        if head.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]) {
            return Ok(ebml_document_type(&head[4..]));
        }
        iso_container(file)
    }

    /// ffmpeg's name of the demuxer.
    pub(super) fn demuxer(self) -> &'static str {
        match self {
            Self::WebM | Self::Matroska => "matroska",
            Self::Mp4 | Self::QuickTime => "mov",
        }
    }

    /// Options of that demuxer.
    pub(super) fn options(self) -> &'static [&'static str] {
        match self {
            Self::WebM | Self::Matroska => &[],
            // A data reference could name another file.
            Self::Mp4 | Self::QuickTime => &["-enable_drefs", "0", "-use_absolute_path", "0"],
        }
    }
}

/// Reads the elements of an EBML header (RFC 8794, 11.2), which begins with its size.
fn ebml_document_type(bytes: &[u8]) -> Option<Container> {
    let (size, length) = variable_integer(bytes, true)?;
    let mut rest = bytes.get(length..)?;
    rest = rest.get(..usize::try_from(size).ok()?).unwrap_or(rest);
    while !rest.is_empty() {
        let (id, id_length) = variable_integer(rest, false)?;
        let (size, size_length) = variable_integer(rest.get(id_length..)?, true)?;
        let body = rest.get(id_length + size_length..)?;
        let size = usize::try_from(size).ok()?;
        if id == 0x4282 {
            let name = body.get(..size)?;
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            return match &name[..end] {
                b"webm" => Some(Container::WebM),
                b"matroska" => Some(Container::Matroska),
                _ => None,
            };
        }
        rest = body.get(size..)?;
    }
    None
}

/// A variable-size integer and its length in bytes (RFC 8794, 4). An id keeps its marker bit.
fn variable_integer(bytes: &[u8], drop_marker: bool) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    let body = bytes.get(..length)?;
    let value = body.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
    Some((if drop_marker { value & !(1_u64.checked_shl(7 * length as u32)?) } else { value }, length))
}

/// Walks the boxes of the file until one identifies the format. Old QuickTime files have no box `ftyp`.
fn iso_container(file: &MemoryFile) -> io::Result<Option<Container>> {
    let mut offset = 0;
    for _ in 0..MAX_BOXES {
        let mut header = [0; 16];
        let count = file.read_at(offset, &mut header)?;
        if count < 8 {
            return Ok(None);
        }
        let kind = &header[4..8];
        match kind {
            b"ftyp" if count >= 12 => return Ok(of_brand(&header[8..12])),
            b"moov" | b"mdat" => return Ok(Some(Container::QuickTime)),
            b"wide" | b"free" | b"skip" | b"pnot" => (),
            _ => return Ok(None),
        }
        let size = match u32::from_be_bytes([header[0], header[1], header[2], header[3]]) {
            1 if count == 16 => u64::from_be_bytes(header[8..16].try_into().unwrap_or_default()),
            size => size.into(),
        };
        // A size of 0 means that the box reaches to the end.
        if size < 8 {
            return Ok(None);
        }
        offset = offset.saturating_add(size);
        if offset >= file.len() {
            return Ok(None);
        }
    }
    Ok(None)
}

fn of_brand(brand: &[u8]) -> Option<Container> {
    if OTHER_BRANDS.iter().any(|other| other.as_slice() == brand) {
        return None;
    }
    Some(if brand == b"qt  " { Container::QuickTime } else { Container::Mp4 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sniff(bytes: &[u8]) -> Option<Container> {
        Container::sniff(&MemoryFile::of(bytes).unwrap()).unwrap()
    }

    #[test]
    fn the_first_bytes_tell_the_container() {
        let webm = b"\x1A\x45\xDF\xA3\x8B\x42\x86\x81\x01\x42\x82\x84webm\x18\x53\x80\x67";
        let mkv = b"\x1A\x45\xDF\xA3\x01\0\0\0\0\0\0\x0B\x42\x82\x88matroska\x18\x53\x80\x67";
        assert_eq!(sniff(webm), Some(Container::WebM));
        assert_eq!(sniff(mkv), Some(Container::Matroska));
        assert_eq!(sniff(b"\0\0\0\x10ftypisom\0\0\0\0"), Some(Container::Mp4));
        assert_eq!(sniff(b"\0\0\0\x10ftypqt  \0\0\0\0"), Some(Container::QuickTime));
        assert_eq!(sniff(b"\0\0\0\x08wide\0\0\0\x20mdat"), Some(Container::QuickTime));
        assert_eq!(sniff(b"\0\0\0\x01free\0\0\0\0\0\0\0\x10\0\0\0\x20moov"), Some(Container::QuickTime));
    }

    #[test]
    fn everything_else_is_none() {
        let others: [&[u8]; 15] = [
            b"",
            b"\x1A\x45\xDF\xA3",
            b"\x1A\x45\xDF\xA3\x8B\x42\x82\x84midi",
            b"\x1A\x45\xDF\xA3\xFF\x42\x82\xFFwebm",
            b"#EXTM3U\n#EXT-X-TARGETDURATION:10\nfile:///etc/passwd\n",
            b"ffconcat version 1.0\nfile /etc/passwd\n",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"GIF89a\x01\0\x01\0",
            b"RIFF\x24\0\0\0AVI LIST",
            b"\xFF\xD8\xFF\xE0\0\x10JFIF",
            b"\x47\x40\x11\x10\0\x42\xF0\x25",
            b"\0\0\0\x18ftypheic\0\0\0\0",
            b"\0\0\0\x18ftypavif\0\0\0\0",
            b"\0\0\0\0free\0\0\0\x08moov",
            b"\0\0\0\x08free\0\0\0\x08free",
        ];
        for bytes in others {
            assert_eq!(sniff(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
