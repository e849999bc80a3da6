//! The box of a face, in pictures of every orientation and size.

use faceline_shared::face::{ImageType, PixelBox};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageEncoder as _, ImageFormat, RgbImage, imageops};

use super::{CodedFace, CodingOptions};
use crate::pipeline::tests::{decode, encode, free_picture, pipeline};

/// Codes a face, whose box must lie inside a picture of this size and around the eyes.
fn face(picture: &[u8], (width, height): (u32, u32), rotate: bool) -> CodedFace {
    let options = CodingOptions { image_type: ImageType::IdDocument, rotate };
    let face = pipeline().code(picture, options).unwrap().face.expect("somebody is there");
    let PixelBox { x, y, width: wide, height: high } = face.face_box;
    assert!(wide > 0 && high > 0 && x + wide <= width && y + high <= height, "{:?}", face.face_box);
    let [left, top, right, bottom] = [x, y, x + wide, y + high].map(|side| side as f32);
    let eyes = face.eyes;
    for [eye_x, eye_y] in [[eyes.x1, eyes.y1], [eyes.x2, eyes.y2]] {
        assert!((left..right).contains(&eye_x) && (top..bottom).contains(&eye_y), "{face:?}");
    }
    face
}

fn png(picture: &RgbImage) -> Vec<u8> {
    encode(picture, ImageFormat::Png)
}

/// A picture stored such that readers turn it upright by its EXIF orientation.
fn with_exif(upright: &RgbImage, exif: u8) -> Vec<u8> {
    let undone = match exif {
        6 => Orientation::Rotate270,
        8 => Orientation::Rotate90,
        other => Orientation::from_exif(other).unwrap(),
    };
    let mut stored = DynamicImage::from(upright.clone());
    stored.apply_orientation(undone);
    let block = [&b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..], &[exif], b"\0\0\0\0\0\0"].concat();
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    encoder.set_exif_metadata(block).unwrap();
    encoder.encode_image(&stored.into_rgb8()).unwrap();
    bytes
}

/// Asserts that a box is at the expected place, within a twentieth of its width.
fn assert_near(found: PixelBox, [x, y, width, height]: [f32; 4], how: &str) {
    let near = width.max(height) / 20.0;
    for (found, expected) in
        [(found.x, x), (found.y, y), (found.x + found.width, x + width), (found.y + found.height, y + height)]
    {
        assert!((found as f32 - expected).abs() <= near, "{how}: {found:?}, not {expected}");
    }
}

#[test]
fn a_box_lies_around_the_eyes_however_the_picture_is_stored() {
    for name in ["obama.jpg", "biden.jpg", "astronaut.png"] {
        let upright = decode(&free_picture(name));
        let (width, height) = upright.dimensions();
        let at = face(&free_picture(name), (width, height), false).face_box;
        let [x, y, wide, high] = [at.x, at.y, at.width, at.height].map(|side| side as f32);
        let [w, h] = [width, height].map(|side| side as f32);

        // Turned pictures: the box stays where the face is in the picture as it was sent.
        for (turned, expected) in [
            (imageops::rotate90(&upright), [h - y - high, x, high, wide]),
            (imageops::rotate180(&upright), [w - x - wide, h - y - high, wide, high]),
            (imageops::rotate270(&upright), [y, w - x - wide, high, wide]),
        ] {
            let found = face(&png(&turned), turned.dimensions(), true).face_box;
            assert_near(found, expected, name);
        }
        // The EXIF orientation is applied before.
        for exif in [1, 3, 6, 8] {
            let found = face(&with_exif(&upright, exif), (width, height), false).face_box;
            assert_near(found, [x, y, wide, high], name);
        }
        // Large JPEGs are searched at a reduced scale.
        let scale = 3000.0 / w;
        let large = imageops::resize(&upright, 3000, (h * scale) as u32, FilterType::CatmullRom);
        let mut bytes = Vec::new();
        large.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 95)).unwrap();
        let found = face(&bytes, large.dimensions(), false).face_box;
        assert_near(found, [x, y, wide, high].map(|side| side * scale), name);
    }
}

#[test]
fn a_box_ends_where_the_picture_ends() {
    let upright = decode(&free_picture("obama.jpg"));
    let whole = face(&free_picture("obama.jpg"), upright.dimensions(), false);
    let PixelBox { x, y, width, height } = whole.face_box;
    // The picture ends a tenth of the face's size inside its box, on each side.
    let (left, top) = (x + width / 10, y + height / 10);
    let (wide, high) = (width * 8 / 10, height * 8 / 10);
    let cut = imageops::crop_imm(&upright, left, top, wide, high).to_image();
    let found = face(&png(&cut), cut.dimensions(), false);
    let area = found.bounding_box;
    assert!(
        area.x < 0.0
            || area.y < 0.0
            || area.x + area.width > wide as f32
            || area.y + area.height > high as f32,
        "nothing was clipped: {area:?}"
    );
    assert!(found.face_box.width * 10 > wide * 7, "{:?}", found.face_box);
}
