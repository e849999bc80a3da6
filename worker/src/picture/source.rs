//! A received picture file.

use std::panic::{self, AssertUnwindSafe};
use std::time::Instant;

use image::ImageFormat;
use image::metadata::Orientation;

use super::jpeg_markers::JpegHeader;
use super::{Picture, PictureFault, PictureLimits, format, jpeg, raster};

/// A file whose header was read and is within the limits.
pub(crate) struct Source<'b> {
    bytes: &'b [u8],
    limits: PictureLimits,
    deadline: Instant,
    decoder: SourceDecoder<'b>,
    width: u32,
    height: u32,
    orientation: Orientation,
}

enum SourceDecoder<'b> {
    Jpeg(JpegHeader),
    Raster(ImageFormat, Option<raster::Decoder<'b>>),
}

impl<'b> Source<'b> {
    /// Reads the header and checks it.
    pub(crate) fn open(bytes: &'b [u8], limits: &PictureLimits) -> Result<Self, PictureFault> {
        limits.check_bytes(bytes.len())?;
        let deadline = Instant::now() + limits.time;
        let format = format::detect(bytes)?;
        guarded(|| {
            if format == ImageFormat::Jpeg {
                let header = JpegHeader::read(bytes)?;
                limits.check_pixels(header.width, header.height)?;
                limits.check_scans(header.width, header.height, header.scans)?;
                return Ok(Self {
                    bytes,
                    limits: *limits,
                    deadline,
                    width: header.width,
                    height: header.height,
                    orientation: header.orientation,
                    decoder: SourceDecoder::Jpeg(header),
                });
            }
            let mut raster = raster::open(bytes, format, limits, deadline)?;
            let (width, height) = raster.dimensions();
            let orientation = raster::orientation(&mut raster, bytes, format);
            let decoder = SourceDecoder::Raster(format, Some(raster));
            Ok(Self { bytes, limits: *limits, deadline, decoder, width, height, orientation })
        })
    }

    /// The orientation of the stored pixels.
    pub(super) fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// Decodes at the smallest scale at which the longer side has at least `side` pixels, or at full size. Formats
    /// other than JPEG have full size only, and can be decoded once.
    pub(crate) fn decode(&mut self, side: u32) -> Result<Picture, PictureFault> {
        let received = (self.width, self.height);
        let eighths = eighths(self.width, self.height, side);
        let decoded = guarded(|| match &mut self.decoder {
            SourceDecoder::Jpeg(header) => {
                let (pixels, width, height) = jpeg::decode(self.bytes, header, eighths)?;
                Ok((pixels, (width, height), f32::from(eighths) / 8.0))
            }
            SourceDecoder::Raster(format, decoder) => {
                let decoder = decoder.take().ok_or(PictureFault::Corrupt)?;
                Ok((raster::decode(decoder, *format, &self.limits)?, received, 1.0))
            }
        });
        let (pixels, size, scale) = decoded?;
        if Instant::now() > self.deadline {
            return Err(PictureFault::TooSlow(self.limits.time));
        }
        Ok(Picture::new(pixels, size, received, scale, self.orientation))
    }
}

/// The smallest scale of a JPEG, in eighths, at which its longer side has at least `side` pixels; eight where the
/// picture is smaller than that.
pub(crate) fn eighths(width: u32, height: u32, side: u32) -> u8 {
    (u64::from(side) * 8).div_ceil(u64::from(width.max(height))).clamp(1, 8) as u8
}

/// Catches a decoder's panic, which counts as a corrupt picture.
fn guarded<T>(decode: impl FnOnce() -> Result<T, PictureFault>) -> Result<T, PictureFault> {
    panic::catch_unwind(AssertUnwindSafe(decode)).unwrap_or(Err(PictureFault::Corrupt))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use image::{DynamicImage, Rgb, RgbImage, Rgba, RgbaImage};
    use turbojpeg::{Compressor, PixelFormat};

    use super::*;
    use crate::picture::{Affine, Chip, Kernel, Sampler};

    /// A picture in which every point has its own colour.
    fn scene(width: u32, height: u32) -> DynamicImage {
        let shade = |at: u32, of: u32| (at * 200 / of + 20) as u8;
        RgbImage::from_fn(width, height, |x, y| Rgb([shade(x, width), shade(y, height), 90])).into()
    }

    fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn jpeg(picture: &DynamicImage) -> Vec<u8> {
        encode(picture, ImageFormat::Jpeg)
    }

    fn decode(bytes: &[u8]) -> Result<Picture, PictureFault> {
        decode_at(bytes, u32::MAX)
    }

    fn decode_at(bytes: &[u8], side: u32) -> Result<Picture, PictureFault> {
        Source::open(bytes, &PictureLimits::default())?.decode(side)
    }

    /// The upright picture's colours at a few points, given in parts of width and height.
    fn colours(picture: &Picture) -> Vec<[u8; 3]> {
        let (width, height) = picture.size();
        let mut chip = Chip { width: 1, height: 1, pixels: Vec::new() };
        [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.6, 0.8)]
            .map(|(x, y)| {
                let place = Affine::shift(x * width as f32 - 0.5, y * height as f32 - 0.5);
                Sampler::default().cut(picture, &place, 0, Kernel::Linear, &mut chip);
                [chip.pixels[0], chip.pixels[1], chip.pixels[2]]
            })
            .to_vec()
    }

    fn assert_similar(a: &[[u8; 3]], b: &[[u8; 3]], what: &str) {
        // GIF has 256 colours.
        let max_difference = if what == "Gif" { 20 } else { 6 };
        let far = |(p, q): (&[u8; 3], &[u8; 3])| {
            (0..3).any(|channel| p[channel].abs_diff(q[channel]) > max_difference)
        };
        assert!(!a.iter().zip(b).any(far), "{what}: {a:?} {b:?}");
    }

    /// Inserts an EXIF segment before all others.
    fn with_exif(jpeg: &[u8], tiff: &[u8]) -> Vec<u8> {
        let mut bytes = jpeg[..2].to_vec();
        bytes.extend([0xff, 0xe1]);
        bytes.extend((tiff.len() as u16 + 8).to_be_bytes());
        bytes.extend(b"Exif\0\0");
        bytes.extend(tiff);
        bytes.extend(&jpeg[2..]);
        bytes
    }

    fn orientation_tag(value: u8) -> Vec<u8> {
        let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        tiff.extend([value, 0, 0, 0, 0, 0, 0]);
        tiff
    }

    #[test]
    fn every_format_is_told_by_its_content() {
        let picture = scene(60, 40);
        let expected = colours(&decode(&encode(&picture, ImageFormat::Png)).unwrap());
        for format in [
            ImageFormat::Jpeg,
            ImageFormat::WebP,
            ImageFormat::Bmp,
            ImageFormat::Gif,
            ImageFormat::Tiff,
            ImageFormat::Tga,
            ImageFormat::Pnm,
        ] {
            let decoded = decode(&encode(&picture, format)).unwrap();
            assert_eq!(decoded.size(), (60, 40), "{format:?}");
            assert_similar(&colours(&decoded), &expected, &format!("{format:?}"));
        }
    }

    #[test]
    fn grey_deep_and_transparent_pictures_are_converted() {
        let picture = scene(60, 40);
        let expected = colours(&decode(&encode(&picture, ImageFormat::Png)).unwrap());
        let deep = encode(&picture.to_rgb16().into(), ImageFormat::Png);
        assert_similar(&colours(&decode(&deep).unwrap()), &expected, "16 bits");
        let grey = decode(&encode(&picture.to_luma8().into(), ImageFormat::Png)).unwrap();
        assert!(colours(&grey).iter().all(|[r, g, b]| r == g && g == b));
        let clear = RgbaImage::from_pixel(60, 40, Rgba([255, 0, 0, 0]));
        let clear = decode(&encode(&clear.into(), ImageFormat::Png)).unwrap();
        assert_eq!(colours(&clear), [[127; 3]; 4]);
    }

    /// A picture in CMYK whose inks leave the given parts of the light.
    fn cmyk(light: [u8; 4]) -> Vec<u8> {
        let inks = light.repeat(64 * 64);
        let source = turbojpeg::Image {
            pixels: &inks[..],
            width: 64,
            pitch: 256,
            height: 64,
            format: PixelFormat::CMYK,
        };
        Compressor::new().unwrap().compress_to_vec(source).unwrap()
    }

    #[test]
    fn what_an_ink_leaves_is_the_colour() {
        for (light, expected) in
            [([255, 128, 0, 255], [255, 128, 0]), ([255, 128, 0, 128], [128, 64, 0]), ([9, 9, 9, 0], [0; 3])]
        {
            for side in [u32::MAX, 20] {
                let picture = decode_at(&cmyk(light), side).unwrap();
                assert_similar(&colours(&picture), &[expected; 4], "CMYK");
            }
        }
    }

    #[test]
    fn half_a_picture_in_cmyk_is_truncated() {
        let noise: Vec<u8> =
            (0..64 * 64 * 4_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let source = turbojpeg::Image {
            pixels: &noise[..],
            width: 64,
            pitch: 256,
            height: 64,
            format: PixelFormat::CMYK,
        };
        let whole = Compressor::new().unwrap().compress_to_vec(source).unwrap();
        let half = [&whole[..whole.len() / 2], b"\xff\xd9"].concat();
        assert!(decode(&whole).is_ok());
        assert!(matches!(decode(&half), Err(PictureFault::Truncated | PictureFault::Corrupt)));
    }

    #[test]
    fn what_follows_the_end_of_a_jpeg_is_ignored() {
        let picture = jpeg(&scene(60, 40));
        let expected = colours(&decode(&picture).unwrap());
        let motion_photo = [&picture[..], b"\0\0\0\x18ftypmp42", &[0xff, 0xda].repeat(1000)].concat();
        let multi_picture = [&picture[..], &jpeg(&scene(8, 8)), &jpeg(&scene(8, 8))].concat();
        let cut_trailer = [&picture[..], b"\xff"].concat();
        for file in [motion_photo, multi_picture, cut_trailer] {
            assert_similar(&colours(&decode(&file).unwrap()), &expected, "a trailer");
        }
        // The end of a trailer's picture is not that of a truncated one before it.
        let half = [&picture[..picture.len() / 2], &jpeg(&scene(8, 8))].concat();
        assert!(decode(&half).is_err());
    }

    /// Replaces the first segment of a JPEG, which is that of JFIF.
    fn with_first_segment(jpeg: &[u8], segment: &[u8]) -> Vec<u8> {
        assert_eq!(jpeg[2..4], [0xff, 0xe0], "the segment of JFIF");
        let after = 4 + usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]]));
        [&jpeg[..2], segment, &jpeg[after..]].concat()
    }

    #[test]
    fn what_libjpeg_only_warns_of_is_decoded() {
        let plain = jpeg(&scene(60, 40));
        let expected = colours(&decode(&plain).unwrap());
        let tables = memchr::memmem::find(&plain, b"\xff\xdb").unwrap();
        let stray = |bytes: &[u8]| [&plain[..tables], bytes, &plain[tables..]].concat();
        let jfif = |major: u8| {
            let segment = [b"\xff\xe0\0\x10JFIF\0", &[major, 2][..], b"\0\0\x01\0\x01\0\0"].concat();
            with_first_segment(&plain, &segment)
        };
        let adobe = |transform: u8| {
            let segment = [b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0", &[transform][..]].concat();
            with_first_segment(&plain, &segment)
        };
        let files = [stray(b"\0\0"), stray(&[7; 300]), jfif(0), jfif(2), jfif(255), adobe(3), adobe(200)];
        for (index, file) in files.iter().enumerate() {
            for side in [u32::MAX, 30] {
                let picture = decode_at(file, side).unwrap_or_else(|fault| panic!("{index}: {fault}"));
                assert_similar(&colours(&picture), &expected, &format!("file {index}"));
            }
        }
    }

    #[test]
    fn colours_whose_alpha_is_unused_are_seen() {
        let unused = RgbaImage::from_pixel(60, 40, Rgba([200, 100, 50, 0]));
        for format in [ImageFormat::Bmp, ImageFormat::Tga] {
            let picture = decode(&encode(&unused.clone().into(), format)).unwrap();
            assert_eq!(colours(&picture), [[200, 100, 50]; 4], "{format:?}");
            let mut used = unused.clone();
            used.put_pixel(0, 0, Rgba([0, 0, 0, 255]));
            let picture = decode(&encode(&used.into(), format)).unwrap();
            assert_eq!(colours(&picture), [[127; 3]; 4], "{format:?}");
        }
        let clear = decode(&encode(&unused.into(), ImageFormat::Png)).unwrap();
        assert_eq!(colours(&clear), [[127; 3]; 4]);
    }

    #[test]
    fn exif_of_a_png_is_found_before_and_behind_its_pixels() {
        let upright = scene(160, 96);
        let expected = colours(&decode(&jpeg(&upright)).unwrap());
        let mut stored = upright;
        stored.apply_orientation(Orientation::Rotate270);
        let png = encode(&stored, ImageFormat::Png);
        let mut chunk = b"eXIf".to_vec();
        chunk.extend(orientation_tag(6));
        let length = (chunk.len() as u32 - 4).to_be_bytes();
        let chunk = [&length[..], &chunk, &crc32fast::hash(&chunk).to_be_bytes()].concat();
        let [pixels, end] = [b"IDAT", b"IEND"].map(|kind| memchr::memmem::rfind(&png, kind).unwrap() - 4);
        for at in [pixels, end] {
            let picture = decode(&[&png[..at], &chunk, &png[at..]].concat()).unwrap();
            assert_eq!(picture.size(), (160, 96));
            assert_similar(&colours(&picture), &expected, "PNG");
        }
    }

    #[test]
    fn telephones_with_50_megapixels_are_within_the_usual_limit() {
        let limits = PictureLimits::default();
        assert_eq!(limits.check_pixels(8192, 6144), Ok(()));
        assert!(limits.check_pixels(8200, 6300).is_err());
        let settings = faceline_shared::settings::LimitSettings::default();
        assert_eq!(settings.picture_pixels, limits.pixels);
    }

    /// Files made after reports of callers, on the machines that have them.
    #[test]
    fn reported_files_are_what_they_were_found_to_be() {
        let Some(folder) = crate::test_data::folder("reports") else { return };
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let decoded = decode(&std::fs::read(entry.path()).unwrap());
            match (name.ends_with(".json"), name.contains("truncated")) {
                (true, _) => assert!(matches!(decoded, Err(PictureFault::NotAPicture)), "{name}"),
                (_, true) => assert!(matches!(decoded, Err(PictureFault::Truncated)), "{name}"),
                _ => assert!(decoded.is_ok(), "{name}: {:?}", decoded.err()),
            }
        }
    }

    #[test]
    fn all_orientations_show_the_same() {
        let upright = scene(160, 96);
        let expected = colours(&decode(&jpeg(&upright)).unwrap());
        for exif in 1..=8 {
            let orientation = Orientation::from_exif(exif).unwrap();
            // The orientation that this one undoes: the rotations by 90 and 270 degrees swap, the others undo
            // themselves.
            let undone = Orientation::from_exif([1, 2, 3, 4, 5, 8, 7, 6][usize::from(exif) - 1]).unwrap();
            let mut stored = upright.clone();
            stored.apply_orientation(undone);
            let bytes = with_exif(&jpeg(&stored), &orientation_tag(exif));
            for side in [u32::MAX, 40] {
                let decoded = decode_at(&bytes, side).unwrap();
                assert_eq!(decoded.size(), (160, 96), "{orientation:?}");
                assert_similar(&colours(&decoded), &expected, &format!("{orientation:?} at {side}"));
            }
        }
    }

    #[test]
    fn unreadable_exif_is_none() {
        let picture = scene(48, 32);
        // A directory whose entry and successor point at itself, an impossible orientation, and garbage.
        let circle = b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0";
        for tiff in [circle.as_slice(), &orientation_tag(99), b"MM", b"", &[0xff; 40]] {
            assert_eq!(decode(&with_exif(&jpeg(&picture), tiff)).unwrap().size(), (48, 32));
        }
    }

    #[test]
    fn reduced_pictures_have_the_same_coordinates() {
        let bytes = jpeg(&scene(1203, 901));
        let full = decode(&bytes).unwrap();
        for side in [1000, 500, 250, 100] {
            let reduced = decode_at(&bytes, side).unwrap();
            assert!(reduced.scale() < 1.0 && reduced.scale() * 1203.0 >= side as f32);
            assert_eq!(reduced.size(), full.size());
            assert_similar(&colours(&reduced), &colours(&full), &format!("{side}"));
        }
    }

    #[test]
    fn limits_hold_before_memory_is_taken() {
        let limits = PictureLimits { bytes: 10_000, pixels: 1000, ..PictureLimits::default() };
        let open = |bytes: &[u8]| Source::open(bytes, &limits).map(|_| ());
        for format in
            [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::Tga]
        {
            let fault = open(&encode(&scene(50, 40), format)).unwrap_err();
            assert_eq!(fault, PictureFault::TooManyPixels { pixels: 2000, limit: 1000 }, "{format:?}");
        }
        let fault = open(&[0xff; 10_001]).unwrap_err();
        assert_eq!(fault, PictureFault::TooManyBytes { bytes: 10_001, limit: 10_000 });
        // 65,500 x 65,500 in 50 bytes.
        let mut huge = jpeg(&scene(8, 8));
        let frame = memchr::memmem::find(&huge, b"\xff\xc0").unwrap();
        huge[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
        assert!(matches!(decode(&huge), Err(PictureFault::TooManyPixels { .. })));
    }

    #[test]
    fn time_is_limited() {
        let limits = PictureLimits { time: Duration::ZERO, ..PictureLimits::default() };
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let bytes = encode(&scene(400, 300), format);
            let fault =
                Source::open(&bytes, &limits).and_then(|mut source| source.decode(u32::MAX)).unwrap_err();
            assert_eq!(fault, PictureFault::TooSlow(Duration::ZERO), "{format:?}");
        }
        let mut scans = jpeg(&scene(64, 64));
        let end = scans.len() - 2;
        scans.splice(end..end, [0xff, 0xda].repeat(200));
        assert_eq!(decode(&scans).unwrap_err(), PictureFault::Corrupt);
    }

    #[test]
    fn pictures_of_one_endless_line_are_refused() {
        let grey = |width: u32, height: u32| {
            let mut bytes = format!("P5 {width} {height} 255\n").into_bytes();
            bytes.resize(bytes.len() + (width * height) as usize, 0);
            bytes
        };
        for (width, height) in [(65_536, 1), (1, 65_536)] {
            let fault = decode(&grey(width, height)).unwrap_err();
            assert_eq!(fault, PictureFault::SideTooLong { side: 65_536, limit: 65_535 });
            assert!(decode(&grey(width.min(65_535), height.min(65_535))).is_ok());
        }
    }

    #[test]
    fn scans_count_by_the_pixels_that_they_pass() {
        let mut scans = jpeg(&scene(64, 64));
        let end = scans.len() - 2;
        // Scans without content. libjpeg-turbo would refuse them as well, but the count comes first.
        scans.splice(end..end, [0xff, 0xda].repeat(19));
        let open = |pixels| {
            let limits = PictureLimits { pixels, ..PictureLimits::default() };
            Source::open(&scans, &limits).map(|_| ())
        };
        assert_eq!(open(64 * 64), Err(PictureFault::TooSlow(PictureLimits::default().time)));
        assert_eq!(open(64 * 64 * 20 / 16), Ok(()));
    }

    #[test]
    fn truncated_and_corrupt_files_are_told_from_pictures() {
        let picture = scene(200, 150);
        for format in
            [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Pnm]
        {
            let bytes = encode(&picture, format);
            for part in [bytes.len() / 2, bytes.len() * 9 / 10] {
                let fault = decode(&bytes[..part]).unwrap_err();
                assert!(
                    matches!(fault, PictureFault::Truncated | PictureFault::Corrupt),
                    "{format:?}, {part} of {}: {fault}",
                    bytes.len()
                );
            }
        }
        assert_eq!(decode(&jpeg(&picture)[..900]).unwrap_err(), PictureFault::Truncated);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_do_harm(start in 0_usize..7, noise: Vec<u8>, at in 0_usize..2000, value: u8) {
            let starts: [&[u8]; 7] =
                [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM", b"P6 9 9 255\n", b""];
            let _ = decode(&[starts[start], &noise].concat());
            let mut bytes = jpeg(&scene(40, 30));
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = decode(&bytes);
        }
    }
}
