//! Recognising the format of a file by its content.

use image::ImageFormat;

use super::PictureFault;

/// Footer of a TGA file of version 2.
const TGA_FOOTER: &[u8] = b"TRUEVISION-XFILE.\0";

/// Recognises the format of a picture by its first bytes; TGA has no signature, and is recognised by its whole header.
///
/// # Errors
/// [`PictureFault::Unsupported`] with the name of a known other kind of file, [`PictureFault::NotAPicture`] for
/// anything else.
pub(super) fn detect(bytes: &[u8]) -> Result<ImageFormat, PictureFault> {
    const SIGNATURES: [(&[u8], ImageFormat); 9] = [
        (b"\xff\xd8\xff", ImageFormat::Jpeg),
        (b"\x89PNG\r\n\x1a\n", ImageFormat::Png),
        (b"GIF87a", ImageFormat::Gif),
        (b"GIF89a", ImageFormat::Gif),
        (b"II*\0", ImageFormat::Tiff),
        (b"MM\0*", ImageFormat::Tiff),
        (b"II+\0", ImageFormat::Tiff),
        (b"MM\0+", ImageFormat::Tiff),
        (b"BM", ImageFormat::Bmp),
    ];
    if let Some((_, format)) = SIGNATURES.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return Ok(*format);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Ok(ImageFormat::WebP);
    }
    if let [b'P', b'1'..=b'7', white, ..] = bytes
        && white.is_ascii_whitespace()
    {
        return Ok(ImageFormat::Pnm);
    }
    if let Some(name) = name_unsupported(bytes) {
        return Err(PictureFault::Unsupported(name));
    }
    if is_tga(bytes) { Ok(ImageFormat::Tga) } else { Err(PictureFault::NotAPicture) }
}

/// Names kinds of files that callers send by mistake.
fn name_unsupported(bytes: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(&[u8], &str); 19] = [
        (b"\0\0\0\x0cjP  \r\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n", "JPEG XL"),
        (b"\xff\x0a", "JPEG XL"),
        (b"%PDF", "PDF"),
        (b"8BPS", "Photoshop"),
        (b"\0\0\x01\0", "ICO"),
        (b"DDS ", "DDS"),
        (b"qoif", "QOI"),
        (b"farbfeld", "farbfeld"),
        (b"\x76\x2f\x31\x01", "OpenEXR"),
        (b"#?RADIANCE", "Radiance HDR"),
        (b"\x1a\x45\xdf\xa3", "WebM video"),
        (b"OggS", "Ogg"),
        (b"\0\0\x01\xba", "MPEG video"),
        (b"\0\0\x01\xb3", "MPEG video"),
        (b"gimp xcf", "XCF"),
        (b"PK\x03\x04", "ZIP"),
        (b"#EXTM3U", "a playlist"),
    ];
    if let Some((_, name)) = SIGNATURES.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return Some(name);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"AVI ") {
        return Some("AVI video");
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(name_iso_media(bytes));
    }
    let text = bytes.get(..bytes.len().min(1024)).unwrap_or_default();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    if text.starts_with(b"<") && memchr::memmem::find(text, b"<svg").is_some() {
        return Some("SVG");
    }
    None
}

/// Names a file of the ISO base media format by its brands: the major one, then the compatible ones.
fn name_iso_media(bytes: &[u8]) -> &'static str {
    let length = bytes.first_chunk().map_or(0, |length| u32::from_be_bytes(*length)) as usize;
    let brands = bytes.get(8..length.min(bytes.len())).unwrap_or_default();
    brands
        .chunks_exact(4)
        .find_map(|brand| match brand {
            b"avif" | b"avis" => Some("AVIF"),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"hevm" | b"hevs" => Some("HEIC"),
            b"qt  " => Some("QuickTime video"),
            b"crx " => Some("CR3"),
            _ => None,
        })
        .unwrap_or(if brands.starts_with(b"mif1") || brands.starts_with(b"msf1") {
            "HEIF"
        } else {
            "MP4 video"
        })
}

/// Whether the file can be a TGA: the footer of version 2, or a header whose every field makes sense.
fn is_tga(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<18>() else { return false };
    let [id_length, map_type, image_type, ..] = *header;
    let depth = header[16];
    let mapped = matches!(image_type, 1 | 9);
    let plausible = match image_type {
        1 | 9 => map_type == 1 && matches!(depth, 8 | 16),
        2 | 10 => map_type <= 1 && matches!(depth, 15 | 16 | 24 | 32),
        3 | 11 => map_type <= 1 && matches!(depth, 8 | 16),
        _ => false,
    };
    if !plausible {
        return false;
    }
    if bytes.ends_with(TGA_FOOTER) {
        return true;
    }
    let number = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let (map_length, map_depth) = (number(5), header[7]);
    let (width, height) = (number(12), number(14));
    let map_fits =
        if mapped { map_length > 0 && matches!(map_depth, 15 | 16 | 24 | 32) } else { map_type == 0 };
    // The two highest bits of the descriptor are reserved, the four lowest count bits of alpha.
    let descriptor_fits = header[17] & 0xc0 == 0 && matches!(header[17] & 0x0f, 0 | 1 | 8);
    let start = header.len() + usize::from(id_length) + map_length * usize::from(map_depth.div_ceil(8));
    let run_length = image_type >= 9;
    let pixels = width * height;
    // A run-length packet has at most 128 pixels, and at least one byte.
    let min_bytes = if run_length { pixels / 128 } else { 1 };
    width > 0 && height > 0 && map_fits && descriptor_fits && bytes.len() >= start + min_bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_kinds_are_named() {
        let cases: [(&[u8], &str); 9] = [
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x14ftypmif1\0\0\0\0mif1", "HEIF"),
            (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "AVIF"),
            (b"\0\0\0\x20ftypisom\0\0\x02\0isom", "MP4 video"),
            (b"<?xml version=\"1.0\"?>\n<svg xmlns=\"x\"/>", "SVG"),
            (b"\xef\xbb\xbf  <svg>", "SVG"),
            (b"%PDF-1.7", "PDF"),
            (b"RIFF\0\0\0\0AVI LIST", "AVI video"),
        ];
        for (bytes, name) in cases {
            assert_eq!(detect(bytes), Err(PictureFault::Unsupported(name)));
        }
    }

    #[test]
    fn noise_is_not_a_picture() {
        for bytes in
            [b"".as_slice(), b"\xff", b"hello, world", b"{\"image\": 1}", b"\0\0\0\0", &[0; 64], &[7; 64]]
        {
            assert_eq!(detect(bytes), Err(PictureFault::NotAPicture), "{bytes:?}");
        }
    }
}
