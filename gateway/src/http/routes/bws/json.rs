//! The JSON bodies of BWS over REST, by the JSON mapping of protocol buffers: an absent member, or null, is the
//! default.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{self, DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::families::bws::{Detection, LiveImage, Verification};
use crate::families::json;
use crate::fault::Fault;
use crate::http::intake::limits::MAX_BWS_ELEMENTS;

/// `POST /api/v1/livenessdetection`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DetectionBody {
    live_images: Option<BoundedList<ImageBody>>,
}

/// `POST /api/v1/photoverify`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VerificationBody {
    live_images: Option<BoundedList<ImageBody>>,
    photo: Option<Base64>,
    disable_liveness_detection: Option<bool>,
}

/// `POST /api/v1/videolivenessdetection`.
#[derive(Deserialize)]
pub(super) struct VideoDetectionBody {
    video: Option<Base64>,
}

impl VideoDetectionBody {
    /// The video's file; empty if there is none.
    pub(super) fn video(self) -> Bytes {
        self.video.unwrap_or_default().0
    }
}

#[derive(Deserialize)]
struct ImageBody {
    image: Option<Base64>,
    tags: Option<BoundedList<String>>,
}

/// Reads a body, on a thread for blocking work: decoding large pictures would block the other requests of this
/// thread.
///
/// # Errors
/// [`Fault::Invalid`] for a body that is not JSON of this form.
pub(super) async fn read<T: DeserializeOwned + Send + 'static>(body: Bytes) -> Result<T, Fault> {
    let read = tokio::task::spawn_blocking(move || serde_json::from_slice(&body));
    let read = read.await.map_err(|error| {
        tracing::error!(%error, "a body cannot be read");
        Fault::Internal
    })?;
    read.map_err(|error| {
        let place = json::place(&error);
        Fault::Invalid(format!("The body cannot be read: {place}. Files are plain base64."))
    })
}

impl From<DetectionBody> for Detection {
    fn from(body: DetectionBody) -> Self {
        Self { live_images: live_images(body.live_images) }
    }
}

impl From<VerificationBody> for Verification {
    fn from(body: VerificationBody) -> Self {
        Self {
            live_images: live_images(body.live_images),
            photo: body.photo.unwrap_or_default().0,
            disable_liveness_detection: body.disable_liveness_detection.unwrap_or_default(),
        }
    }
}

fn live_images(images: Option<BoundedList<ImageBody>>) -> Vec<LiveImage> {
    let live = |ImageBody { image, tags }| LiveImage {
        image: image.unwrap_or_default().0,
        tags: tags.map_or_else(Vec::new, |tags| tags.0),
    };
    images.map_or_else(Vec::new, |images| images.0.into_iter().map(live).collect())
}

/// A file in base64, with or without padding at its end.
#[derive(Default)]
struct Base64(Bytes);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Base64;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("base64")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Base64, E> {
                let file = base64_simd::forgiving_decode_to_vec(text.as_bytes());
                file.map(|file| Base64(file.into())).map_err(|_| E::custom("expected base64"))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// A list of at most [`MAX_BWS_ELEMENTS`]. An empty element takes three bytes in JSON and dozens in memory.
struct BoundedList<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for BoundedList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = BoundedList<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a list of at most {MAX_BWS_ELEMENTS}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<BoundedList<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = sequence.next_element()? {
                    if list.len() == MAX_BWS_ELEMENTS {
                        return Err(de::Error::invalid_length(MAX_BWS_ELEMENTS + 1, &self));
                    }
                    list.push(element);
                }
                Ok(BoundedList(list))
            }
        }

        deserializer.deserialize_seq(List(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn verification(body: &serde_json::Value) -> Result<Verification, Fault> {
        read::<VerificationBody>(body.to_string().into()).await.map(Into::into)
    }

    #[tokio::test]
    async fn what_is_absent_or_null_is_the_default() {
        for body in [
            json!({}),
            json!({"liveImages": null, "photo": null, "disableLivenessDetection": null, "other": [1]}),
            json!({"liveImages": [], "photo": "", "disableLivenessDetection": false}),
        ] {
            let read = verification(&body).await.unwrap();
            assert!(read.live_images.is_empty() && read.photo.is_empty() && !read.disable_liveness_detection);
        }
        let body = json!({"liveImages": [{"image": "YQ==", "tags": ["up"]}, {"image": "Yg"}, {"tags": null}],
            "photo": "cGg=", "disableLivenessDetection": true});
        let read = verification(&body).await.unwrap();
        let images: Vec<_> = read.live_images.iter().map(|live| (&live.image[..], live.tags.len())).collect();
        assert_eq!(images, [(&b"a"[..], 1), (b"b", 0), (b"", 0)]);
        assert_eq!((&read.photo[..], read.disable_liveness_detection), (&b"ph"[..], true));
        // PHP escapes slashes like this.
        let escaped = read_image(r#"{"liveImages":[{"image":"\/\/8="}]}"#).await;
        assert_eq!(&escaped.unwrap()[..], [0xff, 0xff]);
    }

    async fn read_image(body: &'static str) -> Result<Bytes, Fault> {
        let mut read: Detection = read::<DetectionBody>(body.into()).await?.into();
        Ok(read.live_images.remove(0).image)
    }

    #[tokio::test]
    async fn anything_else_is_refused_without_its_words() {
        for body in [
            "",
            "[]x",
            "7",
            r#"{"liveImages":{}}"#,
            r#"{"liveImages":[{"image":"data:image/png;base64,AAAA"}]}"#,
            r#"{"liveImages":[{"image":"a secret!"}]}"#,
            r#"{"liveImages":[{"image":7}]}"#,
            r#"{"liveImages":[{"tags":"up"}]}"#,
            r#"{"liveImages":[{"image":"AAAA"}"#,
        ] {
            let Err(Fault::Invalid(said)) = read_image(body).await else { panic!("{body}") };
            assert!(said.starts_with("The body cannot be read: ") && !said.contains("secret"), "{said}");
        }
    }

    #[tokio::test]
    async fn a_crowd_of_empty_elements_is_not_read() {
        let of = |count| json!({"liveImages": vec![json!({}); count]});
        assert!(
            verification(&of(MAX_BWS_ELEMENTS)).await.is_ok()
                && verification(&of(MAX_BWS_ELEMENTS + 1)).await.is_err()
        );
        let tagged = |count| json!({"liveImages": [{"tags": vec![""; count]}]});
        assert!(
            verification(&tagged(MAX_BWS_ELEMENTS)).await.is_ok()
                && verification(&tagged(MAX_BWS_ELEMENTS + 1)).await.is_err()
        );
    }
}
