//! Makes pictures that no ordinary encoder makes.

use std::io::{Cursor, Write as _};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// A picture with a pattern.
pub(super) fn scene(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 3) as u8, (y * 5) as u8, (x * y) as u8])).into()
}

pub(super) fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// `count` zeros, deflated.
pub(super) fn zeros(mut count: usize) -> Vec<u8> {
    let block = vec![0; 1 << 20];
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    while count > 0 {
        let length = count.min(block.len());
        encoder.write_all(&block[..length]).unwrap();
        count -= length;
    }
    encoder.finish().unwrap()
}

pub(super) fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let named = [name, content].concat();
    let mut crc = Crc::new();
    crc.update(&named);
    [&(content.len() as u32).to_be_bytes(), named.as_slice(), &crc.sum().to_be_bytes()].concat()
}

/// A grey PNG with the data `deflated` and with chunks before it.
pub(super) fn png(width: u32, height: u32, before: &[u8], deflated: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let chunks = [&chunk(b"IHDR", &header), before, &chunk(b"IDAT", deflated), &chunk(b"IEND", b"")];
    [b"\x89PNG\r\n\x1a\n".as_slice(), &chunks.concat()].concat()
}

/// A complete black PNG.
pub(super) fn black_png(width: u32, height: u32, before: &[u8]) -> Vec<u8> {
    png(width, height, before, &zeros((width as usize + 1) * height as usize))
}

/// A TIFF with one directory of entries (tag, type, count, value) and the offset of the next directory.
pub(super) fn tiff(entries: &[(u16, u16, u32, u32)], next: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(next.to_le_bytes());
    bytes.extend(data);
    bytes
}

/// A GIF whose screen and frames claim a size, while each frame has one pixel.
pub(super) fn gif(screen: (u16, u16), frame: (u16, u16), frames: usize) -> Vec<u8> {
    let size = |(width, height): (u16, u16)| [width.to_le_bytes(), height.to_le_bytes()].concat();
    let head = [b"GIF89a".as_slice(), &size(screen), b"\x80\0\0\0\0\0\xff\xff\xff"].concat();
    let one = [b"\x2c\0\0\0\0".as_slice(), &size(frame), b"\0\x02\x02\x4c\x01\0"].concat();
    [head, one.repeat(frames), b";".to_vec()].concat()
}

/// An animated WebP whose frames all are `still`.
pub(super) fn animated_webp(still: &[u8], side: u8, frames: usize) -> Vec<u8> {
    let riff = |name: &[u8; 4], content: &[u8]| {
        let length = (content.len() as u32).to_le_bytes();
        [name, &length[..], content, &[0][..content.len() % 2]].concat()
    };
    let size = [side - 1, 0, 0, side - 1, 0, 0];
    let frame = riff(b"ANMF", &[&[0; 6][..], &size, &[1, 0, 0, 0], &still[12..]].concat());
    let canvas = riff(b"VP8X", &[&[2, 0, 0, 0][..], &size].concat());
    let all = [b"WEBP".as_slice(), &canvas, &riff(b"ANIM", &[0; 6]), &frame.repeat(frames)].concat();
    riff(b"RIFF", &all)
}

/// Inserts segments after a JPEG's start marker.
pub(super) fn with_segments(jpeg: &[u8], marker: u8, content: &[u8], count: usize) -> Vec<u8> {
    let length = (content.len() as u16 + 2).to_be_bytes();
    let segment = [&[0xff, marker], &length[..], content].concat();
    [&jpeg[..2], &segment.repeat(count), &jpeg[2..]].concat()
}

/// Changes the size in a JPEG's header.
pub(super) fn with_size(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let mut bytes = jpeg.to_vec();
    let frame = bytes.windows(2).position(|marker| marker == b"\xff\xc0").unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}
