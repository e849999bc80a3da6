//! The pipeline on pictures of people, with the installed models.

use std::fs;

use faceline_models::Repository;
use faceline_models::manifest::Profile;
use faceline_shared::face::{Eyes, ImageType};
use faceline_shared::settings;
use faceline_shared::testkit::{Pool, Pooled};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, imageops};

use super::{
    AgedFace, Coded, CodedFace, CodingOptions, Models, Pipeline, PipelineFault, PipelineSettings, Rotation,
};
use crate::inference::{Device, InferenceError, Runtime};
pub(crate) use crate::test_data::folder as data;

const SELFIE: CodingOptions = CodingOptions { image_type: ImageType::Selfie, rotate: false };
const DOCUMENT: CodingOptions = CodingOptions { image_type: ImageType::IdDocument, rotate: false };
const ROTATING: CodingOptions = CodingOptions { image_type: ImageType::Selfie, rotate: true };

pub(crate) fn repository() -> Repository {
    let dir = settings::ModelSettings::default().dir;
    Repository::open(&dir).unwrap_or_else(|error| panic!("{error}: run `make models` before the tests"))
}

pub(crate) fn models() -> Models {
    let repository = repository();
    let runtime = Runtime::load(repository.runtime_library(), repository.runtime_version()).unwrap();
    Models::load(&repository, &runtime, &Device::Cpu, Profile::Default, "").unwrap()
}

/// A pipeline that the test does not share.
pub(crate) fn own_pipeline() -> Pipeline {
    let mut pipeline = Pipeline::new(&models(), PipelineSettings::default()).unwrap();
    pipeline.warm_up().unwrap();
    pipeline
}

/// Loading a pipeline takes longer than most tests do.
static PIPELINES: Pool<Pipeline> = Pool::new(|_| true);

/// A pipeline that goes to the next test when this one drops it.
pub(crate) fn pipeline() -> Pooled<Pipeline> {
    PIPELINES.take().unwrap_or_else(|| PIPELINES.lend(own_pipeline()))
}

fn code(picture: &[u8], options: CodingOptions) -> Result<Coded, PipelineFault> {
    pipeline().code(picture, options)
}

fn face(picture: &[u8], options: CodingOptions) -> CodedFace {
    code(picture, options).unwrap().face.expect("somebody is there")
}

/// One of the free pictures that come with the models.
pub(crate) fn free_picture(name: &str) -> Vec<u8> {
    let path = repository().picture(name).unwrap_or_else(|| panic!("the manifest has no picture {name}"));
    fs::read(path).unwrap()
}

pub(crate) fn encode(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn decode(bytes: &[u8]) -> RgbImage {
    image::load_from_memory(bytes).unwrap().into_rgb8()
}

fn cosine(a: &CodedFace, b: &CodedFace) -> f32 {
    a.embedding.iter().zip(&b.embedding).map(|(x, y)| x * y).sum()
}

/// Largest distance between the eyes of two findings, over the eye distance.
fn eye_shift(a: &CodedFace, b: &CodedFace) -> f32 {
    let one = (a.eyes.x1 - b.eyes.x1).hypot(a.eyes.y1 - b.eyes.y1);
    let other = (a.eyes.x2 - b.eyes.x2).hypot(a.eyes.y2 - b.eyes.y2);
    one.max(other) / b.eyes.distance()
}

/// The astronaut's head and shoulders, small enough to be put somewhere.
pub(crate) fn portrait(width: u32) -> RgbImage {
    let astronaut = decode(&free_picture("astronaut.png"));
    let head = imageops::crop_imm(&astronaut, 120, 0, 220, 220).to_image();
    imageops::resize(&head, width, width, FilterType::CatmullRom)
}

/// A wall of soft stripes, with portraits of these widths at these places.
pub(crate) fn wall(width: u32, height: u32, portraits: &[(u32, u32, u32)]) -> RgbImage {
    let mut wall = RgbImage::from_fn(width, height, |x, y| {
        let light = (x as f32 / 90.0).sin() * 25.0 + (y as f32 / 140.0).cos() * 25.0;
        Rgb([130.0 + light, 125.0 + light, 110.0 + light].map(|channel| channel as u8))
    });
    for &(x, y, size) in portraits {
        imageops::replace(&mut wall, &portrait(size), x.into(), y.into());
    }
    wall
}

#[test]
fn an_astronaut_is_one_face_where_it_is() {
    let face = face(&free_picture("astronaut.png"), SELFIE);
    let eyes = face.eyes;
    assert!((200.0..210.0).contains(&eyes.x1) && (240.0..252.0).contains(&eyes.x2), "{eyes:?}");
    assert!(eyes.y1 > 90.0 && eyes.y1 < 125.0, "{eyes:?}");
    let area = face.bounding_box;
    assert!(area.x < eyes.x1 && area.y < eyes.y1 && area.x + area.width > eyes.x2, "{area:?}");
    assert_eq!(face.embedding.len(), 512);
    assert!((cosine(&face, &face) - 1.0).abs() < 1e-4);
    assert!(face.quality > 100, "{}", face.quality);
}

#[test]
fn one_person_is_alike_and_two_are_not() {
    let [obama, again, biden] =
        ["obama.jpg", "obama2.jpg", "biden.jpg"].map(|name| face(&free_picture(name), SELFIE));
    assert!(cosine(&obama, &again) > 0.65, "{}", cosine(&obama, &again));
    assert!(cosine(&obama, &biden) < 0.2, "{}", cosine(&obama, &biden));
}

#[test]
fn patterns_are_nobody() {
    let checks =
        RgbImage::from_fn(320, 240, |x, y| Rgb([if (x / 20 + y / 20) % 2 == 0 { 230 } else { 20 }; 3]));
    let rings = RgbImage::from_fn(320, 320, |x, y| {
        let radius = (x as f32 - 160.0).hypot(y as f32 - 160.0);
        Rgb([(127.0 + 120.0 * (radius / 6.0).sin()) as u8; 3])
    });
    // Two eyes, a nose and a mouth, drawn.
    let smiley = RgbImage::from_fn(300, 300, |x, y| {
        let (x, y) = (x as f32 - 150.0, y as f32 - 150.0);
        let eyes = (x.abs() - 40.0).hypot(y + 35.0) < 12.0;
        let mouth = (x.hypot(y) - 75.0).abs() < 6.0 && y > 30.0;
        Rgb(if eyes || mouth {
            [30, 20, 20]
        } else if x.hypot(y) < 120.0 {
            [240, 200, 80]
        } else {
            [255; 3]
        })
    });
    for picture in [checks, rings, smiley, wall(640, 480, &[])] {
        for options in [SELFIE, DOCUMENT, ROTATING] {
            assert!(code(&encode(&picture, ImageFormat::Png), options).unwrap().face.is_none());
        }
    }
}

#[test]
fn orientation_changes_neither_face_nor_place() {
    let upright = decode(&free_picture("astronaut.png"));
    let expected = face(&encode(&upright, ImageFormat::Png), SELFIE);
    for exif in 2..=8_u8 {
        let undone = Orientation::from_exif([1, 2, 3, 4, 5, 8, 7, 6][usize::from(exif) - 1]).unwrap();
        let mut stored = DynamicImage::from(upright.clone());
        stored.apply_orientation(undone);
        let png = encode(&stored.into_rgb8(), ImageFormat::Png);
        let found = face(&with_exif(&png, exif), SELFIE);
        assert!(cosine(&found, &expected) > 0.99, "EXIF {exif}: {}", cosine(&found, &expected));
        assert!(eye_shift(&found, &expected) < 0.01, "EXIF {exif}: {:?} {:?}", found.eyes, expected.eyes);
    }
}

/// Puts an `eXIf` chunk behind a PNG's header chunk.
fn with_exif(png: &[u8], orientation: u8) -> Vec<u8> {
    const HEADER_END: usize = 33;
    let mut chunk = b"eXIfMM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    chunk.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let checksum = chunk.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    });
    let mut bytes = png[..HEADER_END].to_vec();
    bytes.extend((chunk.len() as u32 - 4).to_be_bytes());
    bytes.extend(chunk);
    bytes.extend((!checksum).to_be_bytes());
    bytes.extend(&png[HEADER_END..]);
    bytes
}

#[test]
fn a_small_face_in_twelve_megapixels_is_found_at_both_scales() {
    // The astronaut's eyes are 41 of the portrait's 220 pixels apart: 60 pixels here.
    let picture = wall(4000, 3000, &[(2900, 1700, 322)]);
    let reduced = face(&encode(&picture, ImageFormat::Jpeg), SELFIE);
    assert!((52.0..68.0).contains(&reduced.eyes.distance()), "{:?}", reduced.eyes);
    assert!((2900.0..3222.0).contains(&reduced.eyes.x1) && (1700.0..2022.0).contains(&reduced.eyes.y1));
    let full = face(&encode(&picture, ImageFormat::Bmp), SELFIE);
    assert!(eye_shift(&reduced, &full) < 0.01, "{:?} {:?}", reduced.eyes, full.eyes);
    assert!(cosine(&reduced, &full) > 0.97, "{}", cosine(&reduced, &full));
    let original = face(&free_picture("astronaut.png"), SELFIE);
    assert!(cosine(&reduced, &original) > 0.9, "{}", cosine(&reduced, &original));
}

#[test]
fn a_face_that_fills_the_picture_is_found() {
    let astronaut = decode(&free_picture("astronaut.png"));
    let close = imageops::crop_imm(&astronaut, 175, 60, 100, 115).to_image();
    let found = face(&encode(&close, ImageFormat::Png), SELFIE);
    let original = face(&free_picture("astronaut.png"), SELFIE);
    assert!(cosine(&found, &original) > 0.8, "{}", cosine(&found, &original));
}

#[test]
fn long_and_high_pictures_are_searched_in_proportion() {
    for (width, height) in [(2400, 400), (400, 2400)] {
        let picture = encode(&wall(width, height, &[(width / 2, height / 2, 200)]), ImageFormat::Png);
        let eyes = face(&picture, SELFIE).eyes;
        assert!((eyes.distance() - 37.0).abs() < 5.0, "{eyes:?}");
    }
}

#[test]
fn several_faces_are_refused_but_on_documents() {
    let alike = encode(&wall(900, 500, &[(80, 120, 240), (520, 120, 300)]), ImageFormat::Png);
    assert!(matches!(code(&alike, SELFIE), Err(PipelineFault::SeveralFaces)));
    let video = CodingOptions { image_type: ImageType::VideoFrame, ..SELFIE };
    assert!(matches!(code(&alike, video), Err(PipelineFault::SeveralFaces)));
    assert!(face(&alike, DOCUMENT).eyes.x1 > 520.0, "the largest counts");
    let ghost = encode(&wall(900, 500, &[(80, 120, 130), (520, 120, 300)]), ImageFormat::Png);
    assert!(face(&ghost, SELFIE).eyes.x1 > 520.0, "a face of less than 0.65 times the size does not count");
    let central = encode(&wall(900, 500, &[(330, 120, 240), (590, 120, 300)]), ImageFormat::Png);
    let central = pipeline().code_central(&central).unwrap().face.unwrap();
    assert!(central.eyes.x1 < 590.0, "the central one counts");
}

fn aged(picture: &[u8], options: CodingOptions) -> Result<Option<AgedFace>, PipelineFault> {
    pipeline().estimate_age(picture, options)
}

#[test]
fn ages_are_those_that_people_seem_to_have() {
    // Years when the pictures were taken: 51 (official portrait of 2012), 70 (of 2013), 33 to 36.
    for (name, years) in [("obama.jpg", 37.0..65.0), ("biden.jpg", 58.0..85.0), ("astronaut.png", 25.0..50.0)]
    {
        let aged = aged(&free_picture(name), SELFIE).unwrap().unwrap();
        assert_eq!(aged.quality, face(&free_picture(name), SELFIE).quality, "{name}");
        assert!(years.contains(&aged.age.unwrap()), "{name}: {aged:?}");
    }
}

#[test]
fn an_age_changes_little_with_how_the_picture_is_held_or_sized() {
    let upright = decode(&free_picture("obama.jpg"));
    let age = |picture: &RgbImage| {
        aged(&encode(picture, ImageFormat::Png), ROTATING).unwrap().unwrap().age.unwrap()
    };
    let expected = age(&upright);
    for (how, picture) in [
        ("mirrored", imageops::flip_horizontal(&upright)),
        ("on its side", imageops::rotate90(&upright)),
        ("leaning", leaned(&upright, 12.0)),
        ("small", with_eyes_apart("obama.jpg", 90.0)),
    ] {
        let found = age(&picture);
        assert!((found - expected).abs() < 5.0, "{how}: {found}, not {expected}");
    }
    // Large JPEGs are searched at a reduced scale, at which the age is not estimated.
    let large =
        imageops::resize(&upright, 3000, 3000 * upright.height() / upright.width(), FilterType::CatmullRom);
    let mut bytes = Vec::new();
    large.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 95)).unwrap();
    let found = aged(&bytes, SELFIE).unwrap().unwrap().age.unwrap();
    assert!((found - expected).abs() < 3.0, "large: {found}, not {expected}");
}

#[test]
fn nobody_bad_pictures_and_several_people_have_no_age() {
    let empty = encode(&wall(300, 200, &[]), ImageFormat::Png);
    assert!(aged(&empty, SELFIE).unwrap().is_none());
    let blurred = imageops::fast_blur(&with_eyes_apart("obama.jpg", 64.0), 10.0);
    let blurred = encode(&blurred, ImageFormat::Png);
    let bad = aged(&blurred, DOCUMENT).unwrap().unwrap();
    assert!(bad.quality < 0 && bad.age.is_none(), "{bad:?}");
    assert!(
        pipeline()
            .estimate_central_age(&blurred)
            .unwrap()
            .is_some_and(|face| face.quality == bad.quality && face.age.is_some())
    );
    let several = encode(&wall(900, 500, &[(80, 120, 240), (520, 120, 300)]), ImageFormat::Png);
    assert!(matches!(aged(&several, SELFIE), Err(PipelineFault::SeveralFaces)));
    assert!(aged(&several, DOCUMENT).unwrap().is_some_and(|face| face.age.is_some()));
    assert!(matches!(aged(b"no picture", SELFIE), Err(PipelineFault::Picture(_))));
}

#[test]
fn turned_pictures_are_coded_where_they_lie() {
    let upright = decode(&free_picture("obama.jpg"));
    let expected = face(&free_picture("obama.jpg"), SELFIE);
    let (width, height) = (upright.width() as f32, upright.height() as f32);
    let eye = [expected.eyes.x1, expected.eyes.y1];
    let cases = [
        (imageops::rotate270(&upright), Rotation::Right, [eye[1], width - eye[0]]),
        (imageops::rotate180(&upright), Rotation::Half, [width - eye[0], height - eye[1]]),
        (imageops::rotate90(&upright), Rotation::Left, [height - eye[1], eye[0]]),
    ];
    for (picture, rotation, [x, y]) in cases {
        let coded = code(&encode(&picture, ImageFormat::Png), ROTATING).unwrap();
        assert_eq!(coded.rotation, rotation);
        let found = coded.face.unwrap();
        assert!(cosine(&found, &expected) > 0.97, "{rotation:?}: {}", cosine(&found, &expected));
        let (eyes, near) = (found.eyes, 0.05 * expected.eyes.distance());
        let is_there = |ex: f32, ey: f32| (ex - x).hypot(ey - y) < near;
        assert!(
            is_there(eyes.x1, eyes.y1) || is_there(eyes.x2, eyes.y2),
            "{rotation:?}: {eyes:?}, not {x}, {y}"
        );
        assert!(eyes.x1 <= eyes.x2);
    }
    assert_eq!(code(&free_picture("obama.jpg"), ROTATING).unwrap().rotation, Rotation::None);
}

#[test]
fn a_batch_gives_what_single_pictures_give() {
    let pictures = ["obama.jpg", "biden.jpg", "astronaut.png"].map(free_picture);
    let empty = encode(&wall(300, 200, &[]), ImageFormat::Png);
    let batch: Vec<(&[u8], CodingOptions)> =
        [&pictures[0][..], b"no picture", &pictures[1], &empty, &pictures[2]]
            .map(|bytes| (bytes, SELFIE))
            .into();
    let coded = pipeline().code_all(&batch);
    for ((bytes, options), together) in batch.into_iter().zip(coded) {
        match (together, code(bytes, options)) {
            (Ok(together), Ok(alone)) => match (together.face, alone.face) {
                (Some(together), Some(alone)) => {
                    assert!(cosine(&together, &alone) > 0.9999, "{}", cosine(&together, &alone));
                    assert_eq!(together.eyes, alone.eyes);
                    assert_eq!(together.quality, alone.quality);
                }
                (together, alone) => assert_eq!(together.is_some(), alone.is_some()),
            },
            (Err(together), Err(alone)) => assert_eq!(together.to_string(), alone.to_string()),
            (together, alone) => panic!("{together:?}, alone {alone:?}"),
        }
    }
}

/// A portrait, with the eyes this many pixels apart.
pub(crate) fn with_eyes_apart(name: &str, distance: f32) -> RgbImage {
    let picture = decode(&free_picture(name));
    let scale = distance / face(&free_picture(name), SELFIE).eyes.distance();
    let [width, height] =
        [picture.width(), picture.height()].map(|side| (side as f32 * scale).round().max(1.0) as u32);
    imageops::resize(&picture, width, height, FilterType::Lanczos3)
}

/// Rotated clockwise about its middle.
pub(crate) fn leaned(picture: &RgbImage, degrees: f32) -> RgbImage {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let (width, height) = picture.dimensions();
    let (middle_x, middle_y) = (width as f32 / 2.0, height as f32 / 2.0);
    RgbImage::from_fn(width, height, |x, y| {
        let (right, down) = (x as f32 - middle_x, y as f32 - middle_y);
        let from = [right * cosine + down * sine + middle_x, down * cosine - right * sine + middle_y];
        *picture.get_pixel_checked(from[0] as u32, from[1] as u32).unwrap_or(&Rgb([127; 3]))
    })
}

/// Each level changed, and clipped.
pub(crate) fn relit(picture: &RgbImage, light: impl Fn(f32) -> f32) -> RgbImage {
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        Rgb(picture.get_pixel(x, y).0.map(|channel| light(f32::from(channel)) as u8))
    })
}

/// Painted over, in eye distances from the middle between the eyes: left, top, right, bottom.
pub(crate) fn covered(picture: &RgbImage, eyes: &Eyes, area: [f32; 4], colour: [u8; 3]) -> RgbImage {
    let (unit, centre) = (eyes.distance(), [(eyes.x1 + eyes.x2) / 2.0, (eyes.y1 + eyes.y2) / 2.0]);
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (right, down) = ((x as f32 - centre[0]) / unit, (y as f32 - centre[1]) / unit);
        let inside = (area[0]..area[2]).contains(&right) && (area[1]..area[3]).contains(&down);
        if inside { Rgb(colour) } else { *picture.get_pixel(x, y) }
    })
}

/// A mask of cloth over mouth and nose, with folds, weave, and the light of the face that it covers.
fn masked(picture: &RgbImage, eyes: &Eyes, colour: [u8; 3]) -> RgbImage {
    let cloth = covered(picture, eyes, [-0.85, 0.35, 0.85, 1.75], colour);
    let light = imageops::fast_blur(&imageops::grayscale(picture), 4.0);
    let unit = eyes.distance();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (bare, covered) = (picture.get_pixel(x, y), cloth.get_pixel(x, y));
        if bare == covered {
            return *bare;
        }
        let fold = 1.0 + 0.08 * (y as f32 / unit * 25.0).sin();
        let weave = ((x * 7919 + y * 104_729) % 13) as f32 - 6.0;
        let lit = fold * (0.65 + 0.35 * f32::from(light.get_pixel(x, y)[0]) / 128.0);
        Rgb(covered.0.map(|level| (f32::from(level) * lit + weave).clamp(0.0, 255.0) as u8))
    })
}

/// The part of a picture to the right of this distance from the middle between the eyes, in eye distances.
fn cut_at(picture: &RgbImage, eyes: &Eyes, left: f32) -> RgbImage {
    let left = ((eyes.x1 + eyes.x2) / 2.0 + left * eyes.distance()).max(0.0) as u32;
    imageops::crop_imm(picture, left, 0, picture.width() - left, picture.height()).to_image()
}

fn jpeg(picture: &RgbImage, quality: u8) -> RgbImage {
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality)).unwrap();
    decode(&bytes)
}

/// Asserts that the quality of a portrait that is made worse step by step never rises noticeably, and ends below zero
/// or without a face.
fn assert_falls(name: &str, how: &str, steps: impl IntoIterator<Item = RgbImage>) {
    const NOBODY: i32 = -10_000;
    /// A little blur or light may do a picture good.
    const NOTICEABLE: i32 = 30;
    let quality = |picture: RgbImage| {
        code(&encode(&picture, ImageFormat::Bmp), DOCUMENT).unwrap().face.map_or(NOBODY, |face| face.quality)
    };
    let qualities: Vec<i32> = steps.into_iter().map(quality).collect();
    assert!(qualities[0] > 100, "{name}, {how}: {qualities:?}");
    for pair in qualities.windows(2) {
        // Below zero, order means nothing.
        assert!(pair[1] < 0 || pair[1] < pair[0] + NOTICEABLE, "{name}, {how}: {qualities:?}");
    }
    assert!(qualities.last().is_some_and(|&last| last < 0), "{name}, {how}: {qualities:?}");
}

#[test]
fn a_portrait_that_is_made_worse_loses_quality_and_ends_below_zero() {
    for name in ["obama2.jpg", "astronaut.png"] {
        let sharp = with_eyes_apart(name, 64.0);
        let eyes = &face(&encode(&sharp, ImageFormat::Bmp), SELFIE).eyes;
        let plain = || std::iter::once(sharp.clone());
        let blurred = [1.0, 2.5, 4.0, 6.0, 10.0].map(|sigma| imageops::fast_blur(&sharp, sigma));
        assert_falls(name, "blur", plain().chain(blurred));
        let dark = [0.7, 0.5, 0.3, 0.15, 0.05].map(|part| relit(&sharp, |level| level * part));
        assert_falls(name, "darkness", plain().chain(dark));
        let bright = [1.2, 1.6, 2.5, 4.0, 8.0].map(|times| relit(&sharp, |level| level * times));
        assert_falls(name, "light", plain().chain(bright));
        let flat = [0.6, 0.3, 0.15, 0.06].map(|part| relit(&sharp, |level| 128.0 + (level - 128.0) * part));
        assert_falls(name, "fog", plain().chain(flat));
        let small = [36.0, 24.0, 17.0, 12.0, 9.0].map(|distance| with_eyes_apart(name, distance));
        assert_falls(name, "distance", plain().chain(small));
        let compressed = [50, 20, 8, 4, 2, 1].map(|quality| jpeg(&sharp, quality));
        assert_falls(name, "compression", plain().chain(compressed));
        let masked =
            [1.6, 1.2, 0.8, 0.4, -0.1].map(|top| covered(&sharp, eyes, [-1.4, top, 1.4, 2.1], [60, 90, 160]));
        assert_falls(name, "a mask", plain().chain(masked));
        let glasses =
            [0.08, 0.2, 0.4, 0.7].map(|half| covered(&sharp, eyes, [-1.1, -half, 1.1, half], [15; 3]));
        assert_falls(name, "dark glasses", plain().chain(glasses));
        let half =
            [-1.0, -0.5, 0.0, 0.7].map(|right| covered(&sharp, eyes, [-1.6, -1.6, right, 2.2], [120; 3]));
        assert_falls(name, "half a face", plain().chain(half));
        let cut = [-1.2, -0.8, -0.4, 0.0].map(|left| cut_at(&sharp, eyes, left));
        assert_falls(name, "a cut", plain().chain(cut));
    }
}

#[test]
fn a_portraits_measures_say_what_is_wrong_with_it() {
    let sharp = with_eyes_apart("obama.jpg", 64.0);
    let measures = |picture: &RgbImage| face(&encode(picture, ImageFormat::Bmp), SELFIE).measures;
    let good = measures(&sharp);
    assert!((good.inter_eye_distance - 64.0).abs() < 2.0, "{good:?}");
    assert!(good.yaw.abs() < 12.0 && good.pitch.abs() < 15.0 && good.roll.abs() < 5.0, "{good:?}");
    assert!(good.proportions > 0.85 && good.outside == 0.0 && good.mouth_opening < 0.3, "{good:?}");
    let leaning = measures(&leaned(&sharp, 20.0));
    assert!((leaning.roll - good.roll - 20.0).abs() < 3.0, "{leaning:?} {good:?}");
    assert!((leaning.yaw - good.yaw).abs() < 5.0, "{leaning:?} {good:?}");
    let blurred = measures(&imageops::fast_blur(&sharp, 3.0));
    assert!(blurred.sharpness < 0.9 * good.sharpness, "{blurred:?}");
    let dark = measures(&relit(&sharp, |level| level * 0.4));
    assert!((dark.luminance - 0.4 * good.luminance).abs() < 3.0, "{dark:?}");
    assert!((dark.dynamic_range - 0.4 * good.dynamic_range).abs() < 5.0, "{dark:?}");
    let compressed = measures(&jpeg(&sharp, 5));
    assert!(compressed.tonal_richness < good.tonal_richness - 0.1, "{compressed:?} {good:?}");
}

#[test]
fn a_graphics_card_that_is_not_there_is_an_error() {
    let repository = repository();
    let runtime = Runtime::load(repository.runtime_library(), repository.runtime_version()).unwrap();
    for device in [Device::Cuda(0), Device::TensorRt(0)] {
        let models = Models::load(&repository, &runtime, &device, Profile::Default, "").unwrap();
        let error =
            Pipeline::new(&models, PipelineSettings::default()).err().expect("there is no such device");
        assert!(
            matches!(error, InferenceError::NoProvider(found) | InferenceError::Provider { device: found, .. } if found == device),
            "{error}"
        );
    }
}

/// Masks that leave eyes and brows bare, in colours of which skin-like ones are the hardest to see.
#[test]
fn a_mask_of_any_colour_costs_the_grade_good() {
    for name in ["obama.jpg", "biden.jpg", "astronaut.png"] {
        let bare = with_eyes_apart(name, 64.0);
        let shown = face(&encode(&bare, ImageFormat::Bmp), SELFIE);
        assert!(shown.quality > 100, "{name}: {}", shown.quality);
        for colour in [[120, 165, 210], [235, 238, 240], [190, 150, 130], [120, 190, 170]] {
            let masked = masked(&bare, &shown.eyes, colour);
            let found = code(&encode(&masked, ImageFormat::Bmp), SELFIE).unwrap().face;
            let quality = found.as_ref().map_or(-500, |face| face.quality);
            assert!(quality < 100, "{name} behind {colour:?}: {:?}", found.map(|face| face.measures));
        }
    }
}

#[test]
fn hard_pictures_show_who_is_there() {
    let Some(folder) = data("hard") else { return };
    let index = fs::read_to_string(folder.join("index.csv")).unwrap();
    let (mut empty, mut ordinary, mut found) = (0, 0, 0);
    for line in index.lines().skip(1) {
        let Some((path, rest)) = line.split_once(',') else { continue };
        let bytes = fs::read(folder.join(path)).unwrap();
        if rest.ends_with(",0") {
            for options in [DOCUMENT, CodingOptions { rotate: true, ..DOCUMENT }] {
                assert!(code(&bytes, options).unwrap().face.is_none(), "nobody is in {path}");
            }
            empty += 1;
        } else if rest.starts_with("ordinary") || rest.contains("EXIF") {
            ordinary += 1;
            found += usize::from(code(&bytes, DOCUMENT).unwrap().face.is_some());
        }
    }
    assert!(empty > 20, "{empty}");
    assert_eq!(found, ordinary);
}

#[test]
fn masks_and_heads_turned_away_have_little_quality() {
    let Some(folder) = data("hard") else { return };
    let index = fs::read_to_string(folder.join("index.csv")).unwrap();
    let coded = |part: &str| {
        let mut paths = index.lines().filter_map(|line| line.split_once(',')).map(|(path, _)| path);
        let path = paths.find(|path| path.contains(part)).expect("a picture of that name");
        face(&fs::read(folder.join(path)).unwrap(), DOCUMENT)
    };
    let [left, right, up, mask, mask2, crop] = [
        "pose__left_face",
        "pose__right_face",
        "pose__rise_face",
        "data__bulk__mask.",
        "bulk__mask2",
        "crop_mask",
    ]
    .map(coded);
    for face in [&left, &right, &mask, &mask2, &crop] {
        assert!(face.quality < 0, "{} {:?}", face.quality, face.measures);
    }
    assert!(up.quality < 100, "{} {:?}", up.quality, up.measures);
    assert!(
        left.measures.yaw < -20.0 && right.measures.yaw > 20.0,
        "{:?} {:?}",
        left.measures,
        right.measures
    );
    assert!(up.measures.pitch > 20.0, "{:?}", up.measures);
}
