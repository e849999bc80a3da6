//! The markers of a JPEG: size, orientation, number of scans, and irregularities that decoders pass over.

use std::borrow::Cow;

use image::metadata::Orientation;

use super::PictureFault;

/// Maximum number of scans of a progressive picture; encoders write about ten.
pub(super) const MAX_SCANS: usize = 100;

const SOI: [u8; 2] = [0xff, 0xd8];
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP14: u8 = 0xee;

/// The first bytes of an APP0 segment of JFIF. The next byte is the major revision.
const JFIF_PREFIX: &[u8] = b"JFIF\0";
/// The only major revision of JFIF that was ever published.
const JFIF_MAJOR_REVISION: u8 = 1;
/// The first bytes of Adobe's APP14 segment. Six bytes later comes the colour transform: 0, none; 1, YCbCr; 2, YCCK.
const ADOBE_PREFIX: &[u8] = b"Adobe";
const ADOBE_TRANSFORM_AT: usize = 11;
const ADOBE_YCBCR: u8 = 1;
const ADOBE_YCCK: u8 = 2;

/// The content of a JPEG's markers.
#[derive(Clone, Copy, Debug)]
pub(super) struct JpegHeader {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) orientation: Orientation,
    /// Number of scans.
    pub(super) scans: usize,
    /// Whether libjpeg-turbo would warn before the first scan: see [`without_irregularities`].
    is_irregular: bool,
    components: u8,
}

/// A marker with its content, before the first scan.
struct Segment<'b> {
    marker: u8,
    /// Without the two bytes of the length. Empty for markers that have no content, and for [`SOS`].
    content: &'b [u8],
    /// Whether other bytes than fill bytes precede the marker.
    follows_stray_bytes: bool,
    /// Offset of the bytes after the segment; for [`SOS`], of those after the marker.
    end: usize,
}

impl JpegHeader {
    /// Reads the markers up to the end of the picture; files may go on after it, as those of Motion Photos do. Allocates no
    /// memory and decodes nothing.
    ///
    /// # Errors
    ///
    /// [`PictureFault::Truncated`] if the file ends before the picture, [`PictureFault::Unsupported`] for more than 8 bits,
    /// [`PictureFault::Corrupt`] if markers contradict each other or there are more than [`MAX_SCANS`] scans.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, PictureFault> {
        let mut frame = None;
        let mut orientation = None;
        let mut is_irregular = false;
        let mut at = SOI.len();
        loop {
            let segment = Segment::read(bytes, at)?;
            is_irregular |= segment.follows_stray_bytes || regular_content(&segment, 0).is_some();
            match segment.marker {
                // All SOFn; C4, C8 and CC between them are other markers.
                0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                    frame = Some(Self::frame(segment.content)?);
                }
                APP1 if orientation.is_none() => {
                    orientation =
                        segment.content.strip_prefix(b"Exif\0\0").and_then(Orientation::from_exif_chunk);
                }
                SOS => {
                    let scans = count_scans(bytes, segment.end)?;
                    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
                    return frame
                        .map(|frame| Self { orientation, scans, is_irregular, ..frame })
                        .ok_or(PictureFault::Corrupt);
                }
                EOI => return Err(PictureFault::Corrupt),
                _ => {}
            }
            at = segment.end;
        }
    }

    fn frame(content: &[u8]) -> Result<Self, PictureFault> {
        let [precision, y1, y2, x1, x2, components, ..] = *content else {
            return Err(PictureFault::Corrupt);
        };
        if precision != 8 {
            return Err(PictureFault::Unsupported("JPEG of more than 8 bits"));
        }
        Ok(Self {
            width: u16::from_be_bytes([x1, x2]).into(),
            height: u16::from_be_bytes([y1, y2]).into(),
            orientation: Orientation::NoTransforms,
            scans: 0,
            is_irregular: false,
            components,
        })
    }

    /// Whether the picture is in CMYK, which libjpeg-turbo does not convert to RGB.
    pub(super) fn is_cmyk(&self) -> bool {
        self.components > 3
    }

    /// The file as libjpeg-turbo reads it without a warning before the first scan. After such warnings the library
    /// continues with the values that this function inserts; its bindings for Rust treat the warnings as errors.
    pub(super) fn without_irregularities<'b>(&self, bytes: &'b [u8]) -> Result<Cow<'b, [u8]>, PictureFault> {
        if !self.is_irregular {
            return Ok(Cow::Borrowed(bytes));
        }
        let mut regular = Vec::with_capacity(bytes.len());
        regular.extend(SOI);
        let mut at = SOI.len();
        loop {
            let segment = Segment::read(bytes, at)?;
            if segment.marker == SOS {
                regular.extend([0xff, SOS]);
                regular.extend(&bytes[segment.end..]);
                return Ok(Cow::Owned(regular));
            }
            regular.extend([0xff, segment.marker]);
            if !is_without_content(segment.marker) {
                let content = regular_content(&segment, self.components);
                // The content comes from a segment, so its length fits into 16 bits.
                regular.extend((segment.content.len() as u16 + 2).to_be_bytes());
                regular.extend(content.as_deref().unwrap_or(segment.content));
            }
            at = segment.end;
        }
    }
}

impl<'b> Segment<'b> {
    /// Reads the next segment from `at` on.
    fn read(bytes: &'b [u8], at: usize) -> Result<Self, PictureFault> {
        let (marker, start) = next_marker(bytes, at)?;
        let follows_stray_bytes = bytes[at..start - 1].iter().any(|&byte| byte != 0xff);
        let (content, end) = if is_without_content(marker) || matches!(marker, SOS | EOI) {
            (&[][..], start)
        } else {
            let end = start + segment_length(bytes, start)?;
            (bytes.get(start + 2..end).ok_or(PictureFault::Truncated)?, end)
        };
        Ok(Self { marker, content, follows_stray_bytes, end })
    }
}

/// The content with which a segment would be regular, if it is not. `components` is the number of the picture's colours.
fn regular_content(segment: &Segment<'_>, components: u8) -> Option<Vec<u8>> {
    let content = segment.content;
    let (at, value) = match segment.marker {
        APP0 if content.starts_with(JFIF_PREFIX)
            && content.get(JFIF_PREFIX.len()).is_some_and(|&major| major != JFIF_MAJOR_REVISION) =>
        {
            (JFIF_PREFIX.len(), JFIF_MAJOR_REVISION)
        }
        APP14
            if content.starts_with(ADOBE_PREFIX)
                && content.get(ADOBE_TRANSFORM_AT).is_some_and(|&transform| transform > ADOBE_YCCK) =>
        {
            (ADOBE_TRANSFORM_AT, if components > 3 { ADOBE_YCCK } else { ADOBE_YCBCR })
        }
        _ => return None,
    };
    let mut regular = content.to_vec();
    regular[at] = value;
    Some(regular)
}

/// Restart markers and TEM.
fn is_without_content(marker: u8) -> bool {
    matches!(marker, 0x01 | 0xd0..=0xd7)
}

/// The length of a segment whose marker ends at `start`, with the two bytes of the length itself.
fn segment_length(bytes: &[u8], start: usize) -> Result<usize, PictureFault> {
    let length = bytes.get(start..start + 2).ok_or(PictureFault::Truncated)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    if length < 2 { Err(PictureFault::Corrupt) } else { Ok(length) }
}

/// Finds the next marker from `at` on. Skips fill bytes and, as decoders do, stray bytes and coded data, in which 0xff
/// is escaped. Returns the marker and the offset of the bytes after it.
fn next_marker(bytes: &[u8], at: usize) -> Result<(u8, usize), PictureFault> {
    let rest = bytes.get(at..).ok_or(PictureFault::Truncated)?;
    let mut from = 0;
    while let Some(found) = memchr::memchr(0xff, &rest[from..]) {
        from += found + 1;
        match rest.get(from) {
            Some(0x00 | 0xff) => {}
            Some(&marker) => return Ok((marker, at + from + 1)),
            None => break,
        }
    }
    Err(PictureFault::Truncated)
}

/// Counts the scans up to the end of the picture. `at` is after the marker of the first scan.
fn count_scans(bytes: &[u8], mut at: usize) -> Result<usize, PictureFault> {
    let mut scans = 1;
    loop {
        // Decoders fill a missing end with grey. Such a picture must be refused, so a file that ends here is truncated.
        let (marker, start) = next_marker(bytes, at)?;
        at = match marker {
            EOI => return Ok(scans),
            SOS if scans == MAX_SCANS => return Err(PictureFault::Corrupt),
            SOS => {
                scans += 1;
                start
            }
            // Tables, application data and comments between scans may contain anything.
            0xc4 | 0xcc | 0xdb | 0xdd | 0xe0..=0xef | 0xfe => start + segment_length(bytes, start)?,
            _ => start,
        };
    }
}
