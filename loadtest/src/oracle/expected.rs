//! The expected answers to obligations.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::Answer;
use super::pictures::Payload;
use super::reading::{LivenessReading, Reading};
use crate::capture::{Parameters, PinnedKeys};

/// Scores of Biometric Services at or above this mean the same person: one pair of strangers in 10,000 reaches it.
const SAME_PERSON_SCORE: f64 = 3500.0;

/// An operation of the load.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// `POST /bioserver-app/v2/faces`: describe the face in a picture.
    Faces,
    /// `POST /bioserver-app/v2/match/images`: compare two pictures.
    MatchImages,
    /// `POST /bioserver-app/v2/match`: compare a described face with a picture.
    Match,
    /// `POST /api/v1/livenessdetection` of BWS with one picture.
    LivenessDetection,
    /// `POST /api/v1/photoverify` of BWS: compare a live picture with a photo.
    PhotoVerify,
    /// `POST /api/v1/face/liveness`.
    FaceLiveness,
    /// `POST /bioserver-app/v2/bio-sessions`.
    CreateSession,
    /// `POST …/faces` of a session.
    CreateSessionFace,
    /// `GET …/matches` of a session's face.
    SessionMatches,
    /// `POST …/init-liveness-parameters` of a session, before the upload of a replay. A mix contains it only as a
    /// step of [`Operation::Replay`].
    #[serde(skip_deserializing)]
    SetReplayParameters,
    /// The upload of a replay, which is judged afterwards.
    Replay,
}

/// The required content of the answer to an obligation.
#[derive(Clone, Debug)]
pub enum Expected {
    /// A described face.
    Face {
        /// SHA-256 of the picture in lower-case hex.
        digest: String,
        /// The eyes in it.
        eyes: Reading,
        /// `friendlyName` of the request.
        name: String,
    },
    /// A comparison by Biometric Services.
    Comparison {
        /// The eyes in the reference.
        reference: Reading,
        /// The eyes in the candidate.
        candidate: Reading,
        /// Whether both show one person.
        is_same_person: bool,
        /// `correlationId` of the request.
        correlation_id: String,
    },
    /// PhotoVerify. If liveness detection rejects the live picture, the answer has no properties of the photo, so they
    /// are compared only if present.
    PhotoVerify {
        /// The eyes in the live picture.
        live: Reading,
        /// The eyes in the photo.
        photo: Reading,
        /// Whether both show one person.
        is_same_person: bool,
    },
    /// LivenessDetection of one picture.
    LivenessDetection {
        /// The eyes in the picture.
        eyes: Reading,
    },
    /// Face Liveness.
    FaceLiveness {
        /// `sessionId` of the request.
        session_id: String,
        /// The service's earlier score or error for the same picture; `None` if none was requested.
        liveness: Option<LivenessReading>,
    },
    /// A new session, whose `correlationId` is checked when obligations are settled.
    Session {
        /// `correlationId` of the request.
        correlation_id: String,
    },
    /// A new face of a session, which is checked when obligations are settled.
    SessionFace {
        /// Path of the session, from its `Location`.
        session: String,
        /// SHA-256 of the picture in lower-case hex.
        digest: String,
        /// The eyes in it.
        eyes: Reading,
        /// `friendlyName` of the request.
        name: String,
    },
    /// Matches of a session's face.
    SessionMatches {
        /// Digest of the reference's picture.
        reference: String,
        /// Digests of the candidates' pictures.
        candidates: Vec<String>,
    },
    /// The parameters of a replay, signed by one of these keys.
    ReplayParameters {
        /// The keys that the service published before the load.
        keys: PinnedKeys,
    },
    /// A replay: the service accepts its upload, and its end and callback follow.
    Replay {
        /// The session's id.
        session_id: String,
        /// Whether the session has a callback to this program's [`CallbackReceiver`](super::CallbackReceiver).
        has_callback: bool,
    },
}

impl Expected {
    /// The description of the face in `payload`.
    #[must_use]
    pub fn face(payload: &Payload, name: &str) -> Self {
        Self::Face { digest: payload.digest.clone(), eyes: payload.eyes, name: name.to_owned() }
    }

    /// The comparison of two pictures.
    #[must_use]
    pub fn comparison(reference: &Payload, candidate: &Payload, correlation_id: &str) -> Self {
        Self::Comparison {
            reference: reference.eyes,
            candidate: candidate.eyes,
            is_same_person: reference.person == candidate.person,
            correlation_id: correlation_id.to_owned(),
        }
    }

    /// Whether a status means that the operation was done.
    #[must_use]
    pub fn is_success(&self, status: u16) -> bool {
        match self {
            Self::Session { .. } | Self::SessionFace { .. } => status == 201,
            Self::Replay { .. } => status == 202,
            _ => status == 200,
        }
    }

    /// Checks that a successful answer belongs to the payload.
    ///
    /// # Errors
    /// The first difference from the expected answer.
    pub fn check(&self, answer: &Answer) -> Result<(), String> {
        let body = answer.json();
        match self {
            Self::Face { digest, eyes, name } => {
                equal("digest", &body["digest"], digest)?;
                equal("friendlyName", &body["friendlyName"], name)?;
                same_eyes("face", Reading::of_face(&body), eyes)
            }
            Self::Comparison { reference, candidate, is_same_person, correlation_id } => {
                equal("correlationId", &body["correlationId"], correlation_id)?;
                same_eyes("reference", Reading::of_face(&body["reference"]), reference)?;
                same_eyes("candidate", Reading::of_face(&body["candidate"]), candidate)?;
                let score = body["score"].as_f64().ok_or("no score")?;
                same_person(score >= SAME_PERSON_SCORE, *is_same_person, score)
            }
            Self::PhotoVerify { live, photo, is_same_person } => {
                same_eyes("live picture", Reading::of_image_properties(&body["imageProperties"][0]), live)?;
                let Some(found) = Reading::of_image_properties(&body["photoProperties"]) else {
                    return Ok(());
                };
                same_eyes("photo", Some(found), photo)?;
                // The score is not meaningful if liveness detection rejected the live picture.
                let is_compared = body["errors"].as_array().is_none_or(Vec::is_empty);
                let score = body["verificationScore"].as_f64().unwrap_or_default();
                if is_compared { same_person(score >= 0.5, *is_same_person, score) } else { Ok(()) }
            }
            Self::LivenessDetection { eyes } => {
                same_eyes("live picture", Reading::of_image_properties(&body["imageProperties"][0]), eyes)
            }
            Self::FaceLiveness { session_id, liveness } => {
                equal("sessionId", &body["sessionId"], session_id)?;
                let found = LivenessReading::of_answer(&body).ok_or("neither score nor error")?;
                match liveness {
                    Some(expected) if !expected.agrees(&found) => {
                        Err(format!("{found:?} where {expected:?} is expected"))
                    }
                    _ => Ok(()),
                }
            }
            Self::SessionMatches { reference, candidates } => {
                let matches = body.as_array().ok_or("no list of matches")?;
                let mut found = Vec::new();
                for one in matches {
                    equal("reference's digest", &one["reference"]["digest"], reference)?;
                    found.push(one["candidate"]["digest"].as_str().unwrap_or_default());
                }
                found.sort_unstable();
                let mut expected: Vec<_> = candidates.iter().map(String::as_str).collect();
                expected.sort_unstable();
                if found == expected {
                    Ok(())
                } else {
                    Err(format!("candidates {found:?}, not {expected:?}"))
                }
            }
            Self::Session { .. } | Self::SessionFace { .. } => {
                answer.location.is_some().then_some(()).ok_or_else(|| "no Location".to_owned())
            }
            Self::ReplayParameters { keys } => {
                let body = std::str::from_utf8(&answer.body).map_err(|error| error.to_string())?;
                Parameters::verified(body, keys).map(drop).map_err(|error| format!("{error:#}"))
            }
            Self::Replay { .. } => Ok(()),
        }
    }
}

fn equal(what: &str, found: &Value, expected: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what} {found}, not {expected:?}")) }
}

fn same_eyes(what: &str, found: Option<Reading>, expected: &Reading) -> Result<(), String> {
    match found {
        Some(found) if found.is_of_same_picture(expected) => Ok(()),
        Some(found) => Err(format!("{what}: eyes at {:?}, not {:?}", found.0, expected.0)),
        None => Err(format!("{what}: no eyes")),
    }
}

fn same_person(found: bool, expected: bool, score: f64) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("score {score} where one person is {expected}")) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;

    fn answer(body: &Value) -> Answer {
        Answer::new(200, &HeaderMap::new(), Bytes::from(body.to_string()))
    }

    fn face(x: f64) -> Value {
        json!({"landmarks": {"eyes": {"x1": x, "y1": 80.0, "x2": x + 36.0, "y2": 80.0}}})
    }

    #[test]
    fn a_comparison_is_recognised_by_both_pictures_and_by_who_is_in_them() {
        let expected = |is_same_person| Expected::Comparison {
            reference: Reading([50.0, 80.0, 86.0, 80.0]),
            candidate: Reading([67.0, 80.0, 103.0, 80.0]),
            is_same_person,
            correlation_id: "7".into(),
        };
        let body = |reference, candidate, score: f64, id: &str| {
            answer(&json!({"reference": face(reference), "candidate": face(candidate), "score": score,
                "correlationId": id}))
        };
        assert_eq!(expected(true).check(&body(50.0, 67.0, 5000.0, "7")), Ok(()));
        assert_eq!(expected(false).check(&body(50.0, 67.0, 900.0, "7")), Ok(()));
        for wrong in [
            body(67.0, 50.0, 5000.0, "7"),
            body(50.0, 50.0, 5000.0, "7"),
            body(50.0, 67.0, 900.0, "7"),
            body(50.0, 67.0, 5000.0, "8"),
        ] {
            assert!(expected(true).check(&wrong).is_err(), "{:?}", wrong.body);
        }
    }

    #[test]
    fn a_face_with_the_right_name_and_the_wrong_picture_is_another_result() {
        let expected =
            Expected::Face { digest: "ab".into(), eyes: Reading([50.0, 80.0, 86.0, 80.0]), name: "n".into() };
        let body = |digest: &str, x| {
            let mut body = face(x);
            body["digest"] = json!(digest);
            body["friendlyName"] = json!("n");
            answer(&body)
        };
        assert_eq!(expected.check(&body("ab", 50.0)), Ok(()));
        assert!(expected.check(&body("cd", 50.0)).is_err());
        assert!(expected.check(&body("ab", 67.0)).is_err());
    }

    #[test]
    fn matches_of_a_session_are_those_of_its_faces() {
        let expected =
            Expected::SessionMatches { reference: "a".into(), candidates: vec!["b".into(), "c".into()] };
        let one = |candidate: &str| json!({"reference": {"digest": "a"}, "candidate": {"digest": candidate}});
        assert_eq!(expected.check(&answer(&json!([one("c"), one("b")]))), Ok(()));
        assert!(expected.check(&answer(&json!([one("c")]))).is_err());
        assert!(expected.check(&answer(&json!([one("c"), one("b"), one("b")]))).is_err());
    }
}
