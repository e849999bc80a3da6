//! All formats except JPEG, decoded by the crate `image`.

use std::error::Error;
use std::io::{self, BufRead, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::time::Instant;

use image::error::LimitErrorKind;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use super::{PictureFault, PictureLimits};

/// Grey level behind transparent pixels: the mean of the models' inputs.
const BACKGROUND_LEVEL: u8 = 127;

/// A picture whose header has been read.
pub(super) type Decoder<'b> = Box<dyn ImageDecoder + 'b>;

/// Reads the header and checks it.
pub(super) fn open<'b>(
    bytes: &'b [u8],
    format: ImageFormat,
    limits: &PictureLimits,
    deadline: Instant,
) -> Result<Decoder<'b>, PictureFault> {
    let reader = DeadlineReader { inner: Cursor::new(bytes), deadline };
    let mut reader = ImageReader::with_format(reader, format);
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(limits.memory());
    reader.limits(allowed);
    let decoder = reader.into_decoder().map_err(|error| fault(&error, limits))?;
    let (width, height) = decoder.dimensions();
    limits.check_pixels(width, height)?;
    if decoder.total_bytes() > limits.memory() {
        return Err(PictureFault::TooMuchMemory);
    }
    Ok(Box::new(decoder))
}

/// The orientation in the metadata; none if it cannot be read.
pub(super) fn orientation(decoder: &mut Decoder<'_>, bytes: &[u8], format: ImageFormat) -> Orientation {
    // Some writers copy the prefix of a JPEG's segment into other containers.
    let of_exif = |exif: &[u8]| Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif));
    let found = match format {
        ImageFormat::Tiff => decoder.orientation().ok(),
        // The decoder knows the chunks before the pixels only; ImageMagick writes EXIF behind them.
        ImageFormat::Png => png_chunk(bytes, *b"eXIf").and_then(of_exif),
        _ => decoder.exif_metadata().ok().flatten().and_then(|exif| of_exif(&exif)),
    };
    found.unwrap_or(Orientation::NoTransforms)
}

/// The content of the first chunk of this type. Checksums are ignored.
fn png_chunk(bytes: &[u8], wanted: [u8; 4]) -> Option<&[u8]> {
    const SIGNATURE_BYTES: usize = 8;
    const CRC_BYTES: usize = 4;
    let mut rest = bytes.get(SIGNATURE_BYTES..)?;
    loop {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (kind, after) = after.split_first_chunk::<4>()?;
        let (content, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        if *kind == wanted {
            return Some(content);
        }
        rest = after.get(CRC_BYTES..)?;
    }
}

/// Decodes to RGB.
pub(super) fn decode(
    decoder: Decoder<'_>,
    format: ImageFormat,
    limits: &PictureLimits,
) -> Result<Vec<u8>, PictureFault> {
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| fault(&error, limits))?;
    if !picture.color().has_alpha() {
        return Ok(picture.into_rgb8().into_raw());
    }
    let over = |channel: u8, alpha: u8| {
        let alpha = u32::from(alpha);
        ((u32::from(channel) * alpha + u32::from(BACKGROUND_LEVEL) * (255 - alpha) + 127) / 255) as u8
    };
    let translucent = picture.into_rgba8();
    let (pixels, _) = translucent.as_chunks::<4>();
    // Many writers of BMP and TGA leave the fourth byte of a pixel unused, that is, at 0.
    let may_lack_alpha = matches!(format, ImageFormat::Bmp | ImageFormat::Tga);
    if may_lack_alpha && pixels.iter().all(|&[.., alpha]| alpha == 0) {
        return Ok(pixels.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect());
    }
    Ok(pixels.iter().flat_map(|&[r, g, b, a]| [over(r, a), over(g, a), over(b, a)]).collect())
}

fn fault(error: &ImageError, limits: &PictureLimits) -> PictureFault {
    // `source` of an I/O error skips the error itself, so it is added to the causes.
    let outer =
        if let ImageError::IoError(error) = error { Some(error as &(dyn Error + 'static)) } else { None };
    let causes = std::iter::successors(outer.or(error.source()), |&cause| cause.source());
    for kind in causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind) {
        match kind {
            ErrorKind::UnexpectedEof => return PictureFault::Truncated,
            ErrorKind::TimedOut => return PictureFault::TooSlow(limits.time),
            _ => {}
        }
    }
    match error {
        ImageError::Limits(limit) if matches!(limit.kind(), LimitErrorKind::InsufficientMemory) => {
            PictureFault::TooMuchMemory
        }
        ImageError::Unsupported(_) => PictureFault::Unsupported("this variant of its format"),
        _ => PictureFault::Corrupt,
    }
}

/// A reader that fails after its deadline. Decoders read while they decode, so the deadline is checked often.
struct DeadlineReader<'b> {
    inner: Cursor<&'b [u8]>,
    deadline: Instant,
}

/// Maximum number of bytes between two checks of the deadline.
const CHECK_INTERVAL_BYTES: usize = 16 << 10;

impl Read for DeadlineReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.len().min(buffer.len());
        self.inner.read(&mut buffer[..length])
    }
}

impl BufRead for DeadlineReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if Instant::now() > self.deadline {
            return Err(ErrorKind::TimedOut.into());
        }
        let rest = self.inner.fill_buf()?;
        Ok(&rest[..rest.len().min(CHECK_INTERVAL_BYTES)])
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
    }
}

impl Seek for DeadlineReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
