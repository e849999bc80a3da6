//! The media type of a picture's file, detected by its first bytes. Callers get the file back with that type.

/// The media type of JPEG.
pub(crate) const JPEG: &str = "image/jpeg";

/// First bytes and media types of the formats that workers decode.
const SIGNATURES: [(&[u8], &str); 8] = [
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),
    (b"MM\0+", "image/tiff"),
];

/// The media type of a picture's file.
pub(crate) fn of(file: &[u8]) -> &'static str {
    if let [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] = file {
        return "image/webp";
    }
    if let [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n', ..] = file {
        return "image/x-portable-anymap";
    }
    let found = SIGNATURES.iter().find(|(start, _)| file.starts_with(start));
    // A TGA file has no signature.
    found.map_or("application/octet-stream", |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_first_bytes() {
        assert_eq!(of(b"\xff\xd8\xff\xe0"), "image/jpeg");
        assert_eq!(of(b"\x89PNG\r\n\x1a\n...."), "image/png");
        assert_eq!(of(b"RIFF\x10\0\0\0WEBPVP8 "), "image/webp");
        assert_eq!(of(b"RIFF\x10\0\0\0WAVEfmt "), "application/octet-stream");
        assert_eq!(of(b"P6\n1 1\n"), "image/x-portable-anymap");
        assert_eq!(of(b"MM\0*"), "image/tiff");
        assert_eq!(of(b""), "application/octet-stream");
    }
}
