//! Picture files: their headers, and their decoders within small limits.

use std::io::Cursor;
use std::time::Duration;

use faceline_worker::picture::{PictureLimits, compress};
use image::{DynamicImage, GenericImageView as _, ImageFormat, Rgb, RgbImage};

use crate::{MIB, Target};

pub(crate) const TARGET: Target = Target {
    name: "picture",
    run: picture,
    seeds,
    words: &[
        b"\xff\xd8\xff",
        b"\xff\xd9",
        b"\xff\xda",
        b"\xff\xe1",
        b"\xff\xc0",
        b"\xff\xc2",
        b"\xff\xc4",
        b"\xff\xdb",
        b"Exif\0\0",
        b"MM\0*",
        b"II*\0",
        b"\x89PNG\r\n\x1a\n",
        b"IHDR",
        b"eXIf",
        b"IDAT",
        b"IEND",
        b"GIF89a",
        b"RIFF",
        b"WEBP",
        b"VP8X",
        b"P6\n",
        b"BM",
        b"TRUEVISION-XFILE.\0",
        b"JFIF\0",
        b"Adobe",
        b"\xff\xff\xff\xff",
    ],
    is_dotted_base64: false,
    // The service's limit is 8 bytes for each allowed pixel (`PictureLimits::memory`). The decoder of TIFF reads tags,
    // under limits of its own, before that limit is set.
    max_allocated_bytes: 256 * MIB,
};

/// Limits under which a file of 64 Ki pixels is decoded in milliseconds.
const LIMITS: PictureLimits = PictureLimits { bytes: 1 << 20, pixels: 1 << 16, time: Duration::from_secs(5) };

/// Converts a file to JPEG, as the operation `compress` does: header, limits, decoder, orientation.
///
/// # Panics
/// The JPEG has more pixels than allowed, or does not decode to its own size.
pub fn picture(data: &[u8]) {
    let Ok(jpeg) = compress(data, &LIMITS) else { return };
    let size = |jpeg: &[u8]| image::load_from_memory(jpeg).expect("the JPEG decodes").dimensions();
    let (width, height) = size(&jpeg);
    assert!(u64::from(width) * u64::from(height) <= LIMITS.pixels, "{width} x {height}");
    let again =
        compress(&jpeg, &PictureLimits { bytes: usize::MAX, ..LIMITS }).expect("our JPEG is a picture");
    assert_eq!(size(&again), (width, height));
}

fn seeds() -> Vec<Vec<u8>> {
    let scene = RgbImage::from_fn(23, 17, |x, y| Rgb([(x * 11) as u8, (y * 15) as u8, (x * y) as u8]));
    let scene = DynamicImage::from(scene);
    let formats = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::Tga,
        ImageFormat::WebP,
        ImageFormat::Pnm,
    ];
    let encoded = |picture: &DynamicImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).expect("each of these formats can be written");
        bytes.into_inner()
    };
    let mut seeds: Vec<_> = formats.into_iter().map(|format| encoded(&scene, format)).collect();
    // The tag "orientation" with the value 6.
    let exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    seeds.push([&seeds[0][..2], exif, &seeds[0][2..]].concat());
    seeds.push(encoded(&scene.to_luma8().into(), ImageFormat::Jpeg));
    seeds.push(encoded(&scene.to_rgba16().into(), ImageFormat::Png));
    seeds
}
