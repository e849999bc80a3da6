//! Reads the requests that set the parameters of replays: `init-liveness-parameters`, and `init-liveness-session` of
//! web capture.

use std::fmt;
use std::ops::RangeInclusive;

use bytes::Bytes;
use faceline_shared::liveness::SecurityLevel;
use faceline_shared::replay::LivenessType;
use serde::de::IgnoredAny;

use super::forms::{PARAMETERS, THRESHOLDS, WEB_CAPTURE};
use super::request::{CallerIdentifiers, callback_url};
use crate::families::form::Form;
use crate::families::json;
use crate::fault::Fault;

/// The liveness types.
const TYPES: [LivenessType; 3] = [LivenessType::Active, LivenessType::Passive, LivenessType::PassiveVideo];
/// The names of the liveness types in the API.
pub(crate) const LIVENESS_TYPES: [&str; 3] =
    ["LIVENESS_ACTIVE", "LIVENESS_PASSIVE", "LIVENESS_PASSIVE_VIDEO"];
/// The old name of [`LivenessType::Active`], which callers may still send.
const ACTIVE_ALIAS: &str = "LIVENESS_HIGH";
/// Types of earlier versions of the API.
const DROPPED_TYPES: [&str; 2] = ["NO_LIVENESS", "LIVENESS_MEDIUM"];
/// A type of other versions of web capture, with a challenge of light and smile.
const UNSUPPORTED_TYPE: &str = "LIVENESS_MLC";
/// The security levels.
const LEVELS: [SecurityLevel; 3] = [SecurityLevel::Low, SecurityLevel::Medium, SecurityLevel::High];
/// The names of the security levels in the API.
pub(crate) const SECURITY_LEVELS: [&str; 3] = ["LOW", "MEDIUM", "HIGH"];
/// The level if a request names none. It is the strictest one, so a caller that wants less must state it.
const DEFAULT_LEVEL: SecurityLevel = SecurityLevel::High;
/// Allowed numbers of challenges of a replay.
pub(crate) const CHALLENGES: RangeInclusive<i64> = 1..=6;
/// The number of challenges if a request states none.
const DEFAULT_CHALLENGES: u8 = 2;
/// Maximum number of characters of a replay's id.
pub(crate) const MAX_ID_CHARS: usize = 128;

/// The liveness that a replay must prove, the security level and the number of challenges.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Challenge {
    pub(super) liveness: LivenessType,
    pub(super) level: SecurityLevel,
    /// Number of challenges; 0 unless the liveness is active.
    pub(super) count: u8,
}

/// The parameters of a replay.
#[derive(Debug)]
pub(super) struct ParametersRequest {
    pub(super) challenge: Challenge,
    /// `imageRetrievalDisabled`, as it was sent.
    pub(super) image_retrieval_disabled: Option<bool>,
    pub(super) id: Option<String>,
}

/// A session of web capture with its replay.
#[derive(Debug)]
pub(super) struct WebCaptureRequest {
    pub(super) identifiers: CallerIdentifiers,
    pub(super) challenge: Challenge,
    pub(super) age_threshold: Option<u16>,
    pub(super) callback_url: Option<String>,
}

impl ParametersRequest {
    /// Reads a JSON object, or an array of one.
    pub(super) fn read(body: &Bytes) -> Result<Self, Fault> {
        let form = Form::from_json(&PARAMETERS, only_object(body)?)?;
        let challenge = Challenge::read(
            ("type", form.required_text("type")?),
            ("securityLevel", form.text("securityLevel"), level),
            ("nbChallenge", form.integer("nbChallenge")),
        )?;
        Ok(Self {
            challenge,
            image_retrieval_disabled: form.flag("imageRetrievalDisabled"),
            id: form.text("id").map(id).transpose()?,
        })
    }
}

impl WebCaptureRequest {
    /// Reads a JSON object.
    pub(super) fn read(body: Bytes) -> Result<Self, Fault> {
        let form = Form::from_json(&WEB_CAPTURE, body)?;
        let identifiers = CallerIdentifiers::read(&form);
        let challenge = Challenge::read(
            ("livenessMode", form.required_text("livenessMode")?),
            ("securityLevel", form.text("securityLevel"), web_capture_level),
            ("numberOfChallenge", form.integer("numberOfChallenge")),
        )?;
        Ok(Self {
            identifiers,
            challenge,
            age_threshold: form.integer("ageThreshold").map(age_threshold).transpose()?,
            callback_url: form.text("callbackURL").map(callback_url).transpose()?,
        })
    }
}

/// A member's name, its text, and the function that parses it.
type LevelMember<'a> = (&'static str, Option<&'a str>, fn(&str, &str) -> Result<SecurityLevel, Fault>);

impl Challenge {
    /// Reads the members of a request, each with its name.
    fn read(
        (type_name, type_text): (&'static str, &str),
        (level_name, level_text, read_level): LevelMember<'_>,
        (count_name, count): (&'static str, Option<i64>),
    ) -> Result<Self, Fault> {
        let liveness = liveness(type_name, type_text)?;
        let level = level_text.map_or(Ok(DEFAULT_LEVEL), |text| read_level(level_name, text))?;
        let count = match (liveness, count) {
            // Other types have no challenges, even if their callers state a number.
            (LivenessType::Passive | LivenessType::PassiveVideo, _) => 0,
            (LivenessType::Active, None) => DEFAULT_CHALLENGES,
            (LivenessType::Active, Some(count)) => challenge_count(count_name, count)?,
        };
        Ok(Self { liveness, level, count })
    }

    /// The level's name in the API.
    pub(super) fn level_name(self) -> &'static str {
        level_name(self.level)
    }

    /// Reads the challenge for which older clients of web capture request the result: the mode and the level in the
    /// path, and the number of challenges in the query.
    pub(super) fn of_result(mode: &str, level: &str, count: Option<&str>) -> Result<Self, Fault> {
        let number = |text: &str| {
            let number = text.parse::<i64>();
            number.map_err(|_| Fault::Invalid("`numberOfChallenge` must be a whole number".into()))
        };
        Self::read(
            ("mode", mode),
            ("level", Some(level), web_capture_level),
            ("numberOfChallenge", count.map(number).transpose()?),
        )
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {}", self.liveness.as_str(), self.level_name())?;
        match self.count {
            0 => Ok(()),
            count => write!(formatter, " with {count} challenges"),
        }
    }
}

/// The object in a body that is an object, or an array of one object.
fn only_object(body: &Bytes) -> Result<Bytes, Fault> {
    let text = body.trim_ascii();
    let Some(inner) = text.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) else {
        return Ok(body.clone());
    };
    match serde_json::from_slice::<Vec<IgnoredAny>>(text) {
        Ok(elements) if elements.len() == 1 => Ok(body.slice_ref(inner)),
        Ok(elements) => Err(Fault::Invalid(format!(
            "the body must be one object, or an array of one object, and not of {}",
            elements.len()
        ))),
        Err(error) => Err(Fault::Invalid(format!("the body is not JSON: {}", json::place(&error)))),
    }
}

fn liveness(name: &str, text: &str) -> Result<LivenessType, Fault> {
    let allowed = || LIVENESS_TYPES.join(", ");
    match text {
        ACTIVE_ALIAS => Ok(LivenessType::Active),
        text if DROPPED_TYPES.contains(&text) => Err(Fault::Invalid(format!(
            "`{name}` {text} is not supported any more: allowed values are {}",
            allowed()
        ))),
        UNSUPPORTED_TYPE => Err(Fault::Invalid(format!(
            "`{name}` {text} is not supported by this service: allowed values are {}",
            allowed()
        ))),
        text => TYPES.into_iter().find(|known| known.as_str() == text).ok_or_else(|| {
            Fault::Invalid(format!("`{name}` {text:?} is not known: allowed values are {}", allowed()))
        }),
    }
}

/// The name of a level in the API.
fn level_name(level: SecurityLevel) -> &'static str {
    match level {
        SecurityLevel::Low => "LOW",
        SecurityLevel::Medium => "MEDIUM",
        SecurityLevel::High => "HIGH",
    }
}

fn level(name: &str, text: &str) -> Result<SecurityLevel, Fault> {
    LEVELS.into_iter().find(|known| level_name(*known) == text).ok_or_else(|| {
        let allowed = SECURITY_LEVELS.join(", ");
        Fault::Invalid(format!("`{name}` {text:?} is not known: allowed values are {allowed}"))
    })
}

/// Reads a level of web capture. Older clients have further levels: `VERY_LOW`, and `VERY_HIGH` to `VERY_HIGH8`. Each
/// one is mapped to the nearest of the three, so the lowest is judged more strictly than requested.
fn web_capture_level(name: &str, text: &str) -> Result<SecurityLevel, Fault> {
    match text.strip_prefix("VERY_") {
        Some("LOW") => Ok(SecurityLevel::Low),
        Some("HIGH" | "HIGH2" | "HIGH3" | "HIGH4" | "HIGH5" | "HIGH6" | "HIGH7" | "HIGH8") => {
            Ok(SecurityLevel::High)
        }
        _ => level(name, text),
    }
}

fn challenge_count(name: &str, count: i64) -> Result<u8, Fault> {
    let (min, max) = CHALLENGES.into_inner();
    let count = u8::try_from(count).ok().filter(|count| CHALLENGES.contains(&i64::from(*count)));
    count.ok_or_else(|| Fault::Invalid(format!("`{name}` must be {min} to {max}")))
}

/// Checks the id of a replay. Devices encrypt it as part of the metadata, so it may contain only characters that all
/// of them encode in the same way.
fn id(text: &str) -> Result<String, Fault> {
    if text.len() > MAX_ID_CHARS || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::Invalid(format!("`id` must have 1 to {MAX_ID_CHARS} visible ASCII characters")));
    }
    Ok(text.to_owned())
}

fn age_threshold(years: i64) -> Result<u16, Fault> {
    let (min, max) = THRESHOLDS.into_inner();
    let years = u16::try_from(years).ok().filter(|years| THRESHOLDS.contains(&i64::from(*years)));
    years.ok_or_else(|| Fault::Invalid(format!("`ageThreshold` must be {min} to {max}")))
}
