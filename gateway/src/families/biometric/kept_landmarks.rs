//! The landmarks of a face that the caller sends back, and the check that they are those that its template was sealed
//! with.
//!
//! The comments of these types are texts of the OpenAPI document.

use faceline_shared::face::{Eyes, PixelBox};
use serde::Deserialize;
use utoipa::ToSchema;

use super::number_or_text::number_or_text;

/// Tolerance for coordinates in pixels. Callers print them with fewer digits, or store them in another precision.
const TOLERANCE_PIXELS: f64 = 0.01;

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct KeptLandmarks {
    /// The centres of the eyes.
    eyes: Option<KeptEyes>,
    /// The bounding box of the face.
    #[serde(rename = "box")]
    face_box: Option<KeptBox>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct KeptEyes {
    #[serde(default, deserialize_with = "number_or_text")]
    x1: Option<f64>,
    #[serde(default, deserialize_with = "number_or_text")]
    y1: Option<f64>,
    #[serde(default, deserialize_with = "number_or_text")]
    x2: Option<f64>,
    #[serde(default, deserialize_with = "number_or_text")]
    y2: Option<f64>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct KeptBox {
    #[serde(default, deserialize_with = "number_or_text")]
    x: Option<f64>,
    #[serde(default, deserialize_with = "number_or_text")]
    y: Option<f64>,
    #[serde(default, deserialize_with = "number_or_text")]
    width: Option<f64>,
    #[serde(default, deserialize_with = "number_or_text")]
    height: Option<f64>,
}

impl KeptLandmarks {
    /// Returns the first coordinate that contradicts the sealed ones, with the sealed value. Absent coordinates
    /// contradict nothing. Neither does a box if the template has none, because answers omit it then.
    pub(super) fn contradiction(
        &self,
        eyes: &Eyes,
        face_box: Option<&PixelBox>,
    ) -> Option<(&'static str, f64)> {
        let in_eyes = self.eyes.iter().flat_map(|kept| {
            [
                ("landmarks.eyes.x1", kept.x1, f64::from(eyes.x1)),
                ("landmarks.eyes.y1", kept.y1, f64::from(eyes.y1)),
                ("landmarks.eyes.x2", kept.x2, f64::from(eyes.x2)),
                ("landmarks.eyes.y2", kept.y2, f64::from(eyes.y2)),
            ]
        });
        let in_box = self.face_box.iter().zip(face_box).flat_map(|(kept, sealed)| {
            [
                ("landmarks.box.x", kept.x, f64::from(sealed.x)),
                ("landmarks.box.y", kept.y, f64::from(sealed.y)),
                ("landmarks.box.width", kept.width, f64::from(sealed.width)),
                ("landmarks.box.height", kept.height, f64::from(sealed.height)),
            ]
        });
        in_eyes
            .chain(in_box)
            .find(|(_, kept, sealed)| kept.is_some_and(|kept| !is_near(kept, *sealed)))
            .map(|(member, _, sealed)| (member, sealed))
    }

    /// Whether all coordinates are numbers that JSON can express.
    pub(super) fn is_finite(&self) -> bool {
        let eyes = self.eyes.iter().flat_map(|eyes| [eyes.x1, eyes.y1, eyes.x2, eyes.y2]);
        let sides = self.face_box.iter().flat_map(|area| [area.x, area.y, area.width, area.height]);
        eyes.chain(sides).flatten().all(f64::is_finite)
    }
}

/// Whether two coordinates are equal except for rounding. NaN is near to no coordinate.
fn is_near(kept: f64, sealed: f64) -> bool {
    (kept - sealed).abs() <= TOLERANCE_PIXELS
}

#[cfg(test)]
mod tests {
    use super::*;

    const EYES: Eyes = Eyes { x1: 1220.5284, y1: 1891.722, x2: 1621.1726, y2: 581.0 };
    const BOX: PixelBox = PixelBox { x: 900, y: 1500, width: 1000, height: 1200 };

    fn contradiction(json: &str) -> Option<&'static str> {
        let kept: KeptLandmarks = serde_json::from_str(json).unwrap();
        kept.contradiction(&EYES, Some(&BOX)).map(|(member, _)| member)
    }

    #[test]
    fn what_was_sealed_agrees_however_it_is_printed() {
        for json in [
            r#"{"eyes":{"x1":1220.5284,"y1":1891.722,"x2":1621.1726,"y2":581}}"#,
            // As doubles of the single-precision values, as texts, with two decimals.
            r#"{"eyes":{"x1":1220.5284423828125,"y1":1891.7220458984375,"x2":1621.1726074219,"y2":581.0}}"#,
            r#"{"eyes":{"x1":"1220.53","y1":" 1891.72 ","x2":"1621.17","y2":"581.00"}}"#,
            r#"{"eyes":{"x1":1220.5284,"y1":null},"box":{"x":900.0,"width":"1000"}}"#,
            r#"{"box":{"x":900,"y":1500,"width":1000,"height":1200}}"#,
            r#"{"eyes":null,"box":null}"#,
            "{}",
        ] {
            assert_eq!(contradiction(json), None, "{json}");
        }
    }

    #[test]
    fn what_differs_is_named() {
        for (json, member) in [
            (r#"{"eyes":{"x1":1220.6,"y1":1891.722,"x2":1621.1726,"y2":581}}"#, "landmarks.eyes.x1"),
            (r#"{"eyes":{"y1":0}}"#, "landmarks.eyes.y1"),
            (r#"{"eyes":{"x2":"NaN"}}"#, "landmarks.eyes.x2"),
            (r#"{"eyes":{"y2":1e300}}"#, "landmarks.eyes.y2"),
            (r#"{"box":{"x":901}}"#, "landmarks.box.x"),
            (r#"{"box":{"y":-1500}}"#, "landmarks.box.y"),
            (r#"{"box":{"width":999}}"#, "landmarks.box.width"),
            (r#"{"box":{"height":"0"}}"#, "landmarks.box.height"),
        ] {
            assert_eq!(contradiction(json), Some(member), "{json}");
        }
    }

    #[test]
    fn a_box_where_none_was_sealed_is_not_judged() {
        let kept: KeptLandmarks = serde_json::from_str(r#"{"box":{"x":1}}"#).unwrap();
        assert_eq!(kept.contradiction(&EYES, None), None);
    }
}
