//! The requests, and the examination that a worker runs for each.

use bytes::Bytes;
use faceline_shared::job::examination::{Direction, Examination};

use crate::fault::Fault;

/// A live picture.
#[derive(Clone, Debug)]
pub struct LiveImage {
    /// The picture file as received.
    pub image: Bytes,
    /// The directions in which the head must have moved since the previous picture (challenge-response). Other tags
    /// are allowed.
    pub tags: Vec<String>,
}

/// A request for a liveness detection.
#[derive(Clone, Debug)]
pub struct Detection {
    /// One or two pictures.
    pub live_images: Vec<LiveImage>,
}

/// A request for a comparison of live pictures with a photo.
#[derive(Clone, Debug)]
pub struct Verification {
    /// One or two pictures.
    pub live_images: Vec<LiveImage>,
    /// The photo file as received.
    pub photo: Bytes,
    /// Whether to skip the liveness detection.
    pub disable_liveness_detection: bool,
}

impl Detection {
    /// The examination that a worker is to run. Refuses a wrong number of pictures and empty files.
    pub(super) fn examination(self) -> Result<Examination<Bytes>, Fault> {
        let challenge = challenge(&self.live_images);
        let live = live(self.live_images)?;
        Ok(Examination { live, photo: None, liveness: true, challenge })
    }
}

impl Verification {
    /// The examination that a worker is to run. Refuses a wrong number of pictures and empty files.
    pub(super) fn examination(self) -> Result<Examination<Bytes>, Fault> {
        let liveness = !self.disable_liveness_detection;
        let challenge = if liveness { challenge(&self.live_images) } else { Vec::new() };
        let live = live(self.live_images)?;
        if self.photo.is_empty() {
            return Err(Fault::Invalid("No photo has been provided.".into()));
        }
        Ok(Examination { live, photo: Some(self.photo), liveness, challenge })
    }
}

/// The files of the live pictures.
fn live(images: Vec<LiveImage>) -> Result<Vec<Bytes>, Fault> {
    let invalid = |text: String| Err(Fault::Invalid(text));
    match images.len() {
        0 => return invalid("No live images have been provided.".into()),
        1 | 2 => (),
        _ => {
            return invalid(
                "Too many images have been provided. Only one (passive liveness detection) or two (active liveness \
                 detection) images are supported."
                    .into(),
            );
        }
    }
    if let Some(at) = images.iter().position(|live| live.image.is_empty()) {
        return invalid(format!("The live image {} is empty.", at + 1));
    }
    Ok(images.into_iter().map(|live| live.image).collect())
}

/// The directions that the tags of the second picture request, each once. Other tags are ignored, because clients use
/// them for their own purposes.
fn challenge(images: &[LiveImage]) -> Vec<Direction> {
    let Some(second) = images.get(1) else { return Vec::new() };
    let mut directions = Vec::new();
    for tag in &second.tags {
        let direction = match tag.trim().to_ascii_lowercase().as_str() {
            "up" => Direction::Up,
            "down" => Direction::Down,
            "left" => Direction::Left,
            "right" => Direction::Right,
            _ => continue,
        };
        if !directions.contains(&direction) {
            directions.push(direction);
        }
    }
    directions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(content: &'static str, tags: &[&str]) -> LiveImage {
        LiveImage { image: content.into(), tags: tags.iter().map(|tag| (*tag).to_owned()).collect() }
    }

    fn detection(live_images: Vec<LiveImage>) -> Result<Examination<Bytes>, String> {
        Detection { live_images }.examination().map_err(|fault| {
            assert!(matches!(fault, Fault::Invalid(_)));
            fault.to_string()
        })
    }

    #[test]
    fn there_are_one_or_two_live_images_and_none_is_empty() {
        let refused = |images| detection(images).unwrap_err();
        assert_eq!(refused(Vec::new()), "No live images have been provided.");
        assert!(refused(vec![image("a", &[]); 3]).starts_with("Too many images have been provided."));
        assert_eq!(refused(vec![image("a", &[]), image("", &[])]), "The live image 2 is empty.");
        for count in [1, 2] {
            let asked = detection(vec![image("a", &[]); count]).unwrap();
            assert_eq!((asked.live.len(), asked.photo, asked.liveness), (count, None, true));
        }
    }

    #[test]
    fn tags_of_the_second_image_ask_for_directions_and_others_are_ignored() {
        let asked = |first: &[&str], second: &[&str]| {
            detection(vec![image("a", first), image("b", second)]).unwrap().challenge
        };
        for (tag, direction) in [
            ("up", Direction::Up),
            ("Down", Direction::Down),
            ("LEFT", Direction::Left),
            (" right ", Direction::Right),
        ] {
            assert_eq!(asked(&[], &[tag]), [direction]);
            assert_eq!(asked(&[tag], &[]), []);
            assert_eq!(detection(vec![image("a", &[tag])]).unwrap().challenge, []);
        }
        assert_eq!(asked(&[], &["", "smile", "up", "UP", "left"]), [Direction::Up, Direction::Left]);
    }

    #[test]
    fn a_photo_is_compared_with_or_without_liveness() {
        let asked = |disable_liveness_detection, photo: &'static str| {
            let live_images = vec![image("a", &[]), image("b", &["up"])];
            Verification { live_images, photo: photo.into(), disable_liveness_detection }.examination()
        };
        let both = asked(false, "p").unwrap();
        assert_eq!(
            (both.photo, both.liveness, both.challenge),
            (Some("p".into()), true, vec![Direction::Up])
        );
        let only = asked(true, "p").unwrap();
        assert_eq!((only.photo, only.liveness, only.challenge), (Some("p".into()), false, Vec::new()));
        assert_eq!(asked(false, "").unwrap_err().to_string(), "No photo has been provided.");
    }
}
