//! Pictures that identify the request that they are sent with.

use std::io::Cursor;
use std::path::Path;

use anyhow::Context as _;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use reqwest::Client;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, SentTo};
use super::reading::{LivenessReading, Reading};

/// A portrait: its file, the number of the person, and the eyes (x and y of the left one in the picture, then of the
/// right one, in pixels; measured once with Faceline's own models).
struct Portrait {
    file: &'static str,
    person: u8,
    eyes: [f32; 4],
}

/// Portraits under free licences, which `faceline-models fetch` installs. The first two show one person.
const PORTRAITS: [Portrait; 4] = [
    Portrait { file: "obama.jpg", person: 0, eyes: [445.0, 210.7, 546.5, 209.8] },
    Portrait { file: "obama2.jpg", person: 0, eyes: [255.0, 369.9, 371.2, 377.6] },
    Portrait { file: "biden.jpg", person: 1, eyes: [538.0, 323.4, 649.5, 347.2] },
    Portrait { file: "astronaut.png", person: 2, eyes: [204.6, 100.2, 246.8, 102.1] },
];
/// Side of the square that is cut out of a portrait around its eyes, in distances between the eyes.
const CROP_SIDE: f32 = 5.0;
/// The eyes are above the middle of the cut-out by this many distances between the eyes.
const EYES_ABOVE_MIDDLE: f32 = 0.4;
/// Side of the cut-out in the canvas, as a part of the canvas' shorter side.
const SHOWN_SIDE: f32 = 0.72;
const BACKGROUND: Rgb<u8> = Rgb([120, 124, 130]);
/// JPEG quality that phones use.
const JPEG_QUALITY: u8 = 90;
/// The prefix of the comment in a payload.
const COMMENT: &[u8] = b"faceline-loadtest:";
/// A reading may differ from the place where the face was put by this part of the canvas' shorter side.
const PLACE_TOLERANCE: f64 = 0.03;

/// The size of a picture.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PictureSize {
    /// 250 x 250 pixels, some 12 kB. Shows the overhead of a job.
    #[serde(rename = "small")]
    Small,
    /// 1280 x 960 pixels.
    #[serde(rename = "medium")]
    Medium,
    /// 4000 x 3000 pixels, 12 megapixels. Shows the cost of bytes.
    #[serde(rename = "large")]
    Large,
}

/// A picture to send, with the result that the service must return for it.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The file. No other payload has the same bytes.
    pub jpeg: Bytes,
    /// SHA-256 of the file in lower-case hex.
    pub digest: String,
    /// The number of the person in the picture.
    pub person: u8,
    /// The eyes that must be found.
    pub eyes: Reading,
    /// The expected result of Face Liveness, if [`Pictures::calibrate`] has requested one.
    pub liveness: Option<LivenessReading>,
}

/// Faces at different places in canvases of one size.
#[derive(Clone, Debug)]
pub struct Pictures {
    size: PictureSize,
    variants: Vec<Variant>,
}

#[derive(Clone, Debug)]
struct Variant {
    jpeg: Bytes,
    person: u8,
    eyes: Reading,
    liveness: Option<LivenessReading>,
}

impl PictureSize {
    /// Width and height in pixels.
    #[must_use]
    pub fn pixels(self) -> (u32, u32) {
        match self {
            Self::Small => (250, 250),
            Self::Medium => (1280, 960),
            Self::Large => (4000, 3000),
        }
    }

    /// The name in scenarios and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }

    /// Columns and rows of the places. Encoding large pictures takes time, so there are fewer of them.
    fn places(self) -> (u32, u32) {
        match self {
            Self::Small => (5, 5),
            Self::Medium => (3, 3),
            Self::Large => (2, 2),
        }
    }
}

impl Pictures {
    /// Makes all pictures of a size from the installed portraits in `folder`.
    ///
    /// # Errors
    /// A portrait is not installed or cannot be decoded, or a picture cannot be encoded.
    pub fn make(folder: &Path, size: PictureSize) -> anyhow::Result<Self> {
        let (width, height) = size.pixels();
        let (columns, rows) = size.places();
        let side = (width.min(height) as f32 * SHOWN_SIDE) as u32;
        let mut variants = Vec::new();
        for portrait in &PORTRAITS {
            let (face, eyes) = cut_out(&folder.join(portrait.file), &portrait.eyes, side)?;
            for place in 0..columns * rows {
                let left = (width - side) * (place % columns) / (columns - 1);
                let top = (height - side) * (place / columns) / (rows - 1);
                let mut canvas = RgbImage::from_pixel(width, height, BACKGROUND);
                imageops::overlay(&mut canvas, &face, left.into(), top.into());
                let mut file = Cursor::new(Vec::new());
                JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY).encode_image(&canvas)?;
                let (left, top) = (f64::from(left), f64::from(top));
                let eyes = Reading([eyes[0] + left, eyes[1] + top, eyes[2] + left, eyes[3] + top]);
                let jpeg = file.into_inner().into();
                variants.push(Variant { jpeg, person: portrait.person, eyes, liveness: None });
            }
        }
        Ok(Self { size, variants })
    }

    /// The size of the pictures.
    #[must_use]
    pub fn size(&self) -> PictureSize {
        self.size
    }

    /// The number of variants: combinations of portrait and place.
    #[must_use]
    pub fn variants(&self) -> usize {
        self.variants.len()
    }

    /// Returns the picture `variant` (modulo the number of variants) with `number` in its comment. Number and variant
    /// together identify the request.
    #[must_use]
    pub fn payload(&self, variant: usize, number: u64) -> Payload {
        let Variant { jpeg, person, eyes, liveness } = &self.variants[variant % self.variants.len()];
        let jpeg = with_comment(jpeg, &format!("{number};{:?}", eyes.0));
        let digest = digest(&SHA256, &jpeg).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Payload { jpeg, digest, person: *person, eyes: *eyes, liveness: liveness.clone() }
    }

    /// Sends each picture to a healthy service, and keeps the eyes and scores in its answers as the expected ones.
    /// Without this, the eyes in answers are compared with the places where the faces were put, and scores of Face
    /// Liveness are not compared.
    ///
    /// # Errors
    /// The service does not answer, or finds no face at the place where it was put.
    pub async fn calibrate(&mut self, service: &SentTo, with_liveness: bool) -> anyhow::Result<()> {
        let client = Client::new();
        let (width, height) = self.size.pixels();
        let tolerance = f64::from(width.min(height)) * PLACE_TOLERANCE;
        for place in 0..self.variants.len() {
            let payload = self.payload(place, u64::MAX);
            let part = Part::bytes(payload.jpeg.to_vec()).file_name("face.jpg").mime_str("image/jpeg")?;
            let form =
                Form::new().text("imageType", "SELFIE").text("signatureDisabled", "true").part("image", part);
            let request = client.post(format!("{}/bioserver-app/v2/faces", service.url));
            let answer =
                Answer::receive(request.header("apikey", &service.api_key).multipart(form).send().await?)
                    .await?;
            anyhow::ensure!(answer.status == 200, "{}: {}", answer.status, answer.message());
            let body = answer.json();
            anyhow::ensure!(body["digest"] == *payload.digest, "an answer about another picture: {body}");
            let eyes = Reading::of_face(&body).with_context(|| format!("no face in picture {place}"))?;
            let distance = eyes.distance(&payload.eyes);
            anyhow::ensure!(distance <= tolerance, "picture {place}: the eyes are {distance:.1} pixels away");
            self.variants[place].eyes = eyes;
            if with_liveness {
                let body = json!({"faceImageBase": base64_simd::STANDARD.encode_to_string(&payload.jpeg)});
                let request = client.post(format!("{}/api/v1/face/liveness", service.url));
                let request = request.basic_auth(&service.basic.0, Some(&service.basic.1)).json(&body);
                let answer = Answer::receive(request.send().await?).await?;
                let liveness = LivenessReading::of_answer(&answer.json()).filter(|_| answer.status == 200);
                self.variants[place].liveness = Some(liveness.context("no answer of Face Liveness")?);
            }
        }
        Ok(())
    }
}

/// Reads number and eyes from a payload's comment. A test's worker without models answers with them.
#[must_use]
pub fn identity_of(jpeg: &[u8]) -> Option<(u64, Reading)> {
    // The comment is the first segment: marker of the image, marker of the comment, its length.
    let length = u16::from_be_bytes([*jpeg.get(4)?, *jpeg.get(5)?]);
    let text = jpeg.get(6..4 + usize::from(length))?.strip_prefix(COMMENT)?;
    let (number, eyes) = std::str::from_utf8(text).ok()?.split_once(';')?;
    let eyes: Vec<f64> = serde_json::from_str(eyes).ok()?;
    Some((number.parse().ok()?, Reading(eyes.try_into().ok()?)))
}

/// The square around the eyes of a portrait, scaled to `side` pixels, and the eyes in it.
fn cut_out(file: &Path, eyes: &[f32; 4], side: u32) -> anyhow::Result<(RgbImage, [f64; 4])> {
    let portrait = image::open(file)
        .with_context(|| format!("{}: is it installed? `make models` does that", file.display()))?
        .to_rgb8();
    let distance = (eyes[2] - eyes[0]).hypot(eyes[3] - eyes[1]);
    let cut = (distance * CROP_SIDE) as u32;
    let half = cut as f32 / 2.0;
    let (middle_x, middle_y) = (f32::midpoint(eyes[0], eyes[2]), f32::midpoint(eyes[1], eyes[3]));
    let (left, top) = ((middle_x - half) as i64, (middle_y + distance * EYES_ABOVE_MIDDLE - half) as i64);
    let mut square = RgbImage::from_pixel(cut, cut, BACKGROUND);
    imageops::overlay(&mut square, &portrait, -left, -top);
    let scale = f64::from(side) / f64::from(cut);
    let moved = |at: f32, origin: i64| (f64::from(at) - origin as f64) * scale;
    let eyes = [moved(eyes[0], left), moved(eyes[1], top), moved(eyes[2], left), moved(eyes[3], top)];
    Ok((imageops::resize(&square, side, side, FilterType::Triangle), eyes))
}

/// The file with a comment (COM, ITU-T T.81 B.2.4.5) after its first marker.
fn with_comment(jpeg: &Bytes, text: &str) -> Bytes {
    let comment = [COMMENT, text.as_bytes()].concat();
    let length = u16::try_from(comment.len() + 2).expect("a comment is short").to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xFE], &length, &comment, &jpeg[2..]].concat().into()
}

#[cfg(test)]
mod tests {
    use faceline_shared::settings::Settings;

    use super::super::reading::EYE_TOLERANCE;
    use super::*;

    #[test]
    fn every_payload_is_told_from_every_other() {
        let folder = Settings::default().models.dir.join("pictures");
        let pictures = Pictures::make(&folder, PictureSize::Small).unwrap();
        assert_eq!(pictures.variants(), 100);
        let payloads: Vec<_> = (0..100).map(|variant| pictures.payload(variant, variant as u64)).collect();
        for (place, payload) in payloads.iter().enumerate() {
            assert_eq!(identity_of(&payload.jpeg), Some((place as u64, payload.eyes)));
            assert!(image::load_from_memory(&payload.jpeg).is_ok());
            // The places of one portrait differ by far more than the tolerance; two portraits may have their eyes at
            // one place.
            let others = payloads[place / 25 * 25..place].iter();
            assert!(
                others.map(|other| other.eyes.distance(&payload.eyes)).all(|far| far > 2.0 * EYE_TOLERANCE)
            );
        }
        assert_ne!(payloads[0].digest, pictures.payload(0, 1).digest);
    }
}
