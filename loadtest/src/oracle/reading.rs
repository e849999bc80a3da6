//! Readings: the values in an answer that identify the picture.

use serde_json::Value;

/// Eyes within this distance, in pixels, are those of the expected picture. Two versions of a worker may differ by
/// less, and pictures differ by more than twice as much.
pub(super) const EYE_TOLERANCE: f64 = 4.0;
/// Scores within this distance are the same.
const SCORE_TOLERANCE: f64 = 0.005;

/// The eyes that were found in a picture, in pixels: x and y of the left one in the picture, then of the right one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading(pub [f64; 4]);

/// The result of liveness detection for a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum LivenessReading {
    /// The score, above 0 and at most 1.
    Score(f64),
    /// The error's code.
    Error(String),
}

impl Reading {
    /// The eyes in a description of a face by Biometric Services.
    #[must_use]
    pub fn of_face(face: &Value) -> Option<Self> {
        let eyes = &face["landmarks"]["eyes"];
        Some(Self([number(&eyes["x1"])?, number(&eyes["y1"])?, number(&eyes["x2"])?, number(&eyes["y2"])?]))
    }

    /// The eyes of the first face in the properties of an image by BWS. BWS names the eyes by the person's left and
    /// right; here they are sorted by their place in the picture.
    #[must_use]
    pub fn of_image_properties(image: &Value) -> Option<Self> {
        let eye = |name: &str| {
            let eye = &image["faces"][0][name];
            Some([number(&eye["x"])?, number(&eye["y"])?])
        };
        let (one, other) = (eye("leftEye")?, eye("rightEye")?);
        let [left, right] = if one[0] <= other[0] { [one, other] } else { [other, one] };
        Some(Self([left[0], left[1], right[0], right[1]]))
    }

    /// The largest distance of a coordinate to that of another reading, in pixels.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f64 {
        self.0.iter().zip(other.0).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max)
    }

    /// Whether both are of the same picture.
    #[must_use]
    pub fn is_of_same_picture(&self, other: &Self) -> bool {
        self.distance(other) <= EYE_TOLERANCE
    }
}

impl LivenessReading {
    /// Reads an answer of Face Liveness; `None` if it has neither score nor error, or both.
    #[must_use]
    pub fn of_answer(body: &Value) -> Option<Self> {
        match (number(&body["score"]), body["error"].as_str()) {
            (Some(score), None) => Some(Self::Score(score)),
            (None, Some(code)) => Some(Self::Error(code.to_owned())),
            _ => None,
        }
    }

    /// Whether both may be of the same picture. Different pictures may have the same score or error.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Score(one), Self::Score(other)) => (one - other).abs() <= SCORE_TOLERANCE,
            (one, other) => one == other,
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn eyes_are_read_in_the_order_of_the_picture() {
        let face = json!({"landmarks": {"eyes": {"x1": 10.0, "y1": 20.0, "x2": 30.0, "y2": 21.5}}});
        let image =
            json!({"faces": [{"leftEye": {"x": 30.0, "y": 21.5}, "rightEye": {"x": 10.0, "y": 20.0}}]});
        let read = Reading::of_face(&face).unwrap();
        assert_eq!(Some(read), Reading::of_image_properties(&image));
        assert!(read.is_of_same_picture(&Reading([10.0, 20.0, 30.0, 25.4])));
        assert!(!read.is_of_same_picture(&Reading([10.0, 20.0, 30.0, 25.6])));
        assert_eq!(Reading::of_face(&json!({})), None);
    }

    #[test]
    fn a_score_and_an_error_never_agree() {
        let [score, error] = [json!({"score": 0.5}), json!({"error": "FACE_NOT_FOUND"})]
            .map(|body| LivenessReading::of_answer(&body).unwrap());
        assert!(!score.agrees(&error) && error.agrees(&error.clone()));
        assert!(score.agrees(&LivenessReading::Score(0.504)) && !score.agrees(&LivenessReading::Score(0.51)));
    }
}
