//! The values of a multipart request, wherever in it they stood.
//!
//! A value may be a part of its own or a member of the request's JSON part; the same value twice is fine, two
//! different ones are an error.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::fault::Fault;
use bytes::Bytes;
use faceline_gateway_store::idempotency::{self, Digest};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value as Json;

use crate::families::json;

/// What an operation reads of a request; everything else in it is ignored.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Parts that are pictures.
    pub pictures: &'static [&'static str],
    /// The part whose JSON members count as values.
    pub object: Option<&'static str>,
    /// A part that is kept as the JSON text it is.
    pub document: Option<&'static str>,
    /// Values, as parts or as members of `object`.
    pub values: &'static [(&'static str, Kind)],
}

/// A text is kept, repeated and signed, up to hundreds of times in one answer.
pub const LONGEST_TEXT: usize = 1024;

/// Type of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Any text, of at most [`LONGEST_TEXT`] bytes.
    Text,
    /// True or false, in any case, with or without quotes.
    Flag,
    /// A whole number, with or without quotes.
    Integer,
}

/// What a part is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// A picture.
    Picture(&'static str),
    /// JSON whose members are values.
    Object(&'static str),
    /// JSON that is kept.
    Document(&'static str),
    /// A value.
    Value(&'static str, Kind),
}

impl Schema {
    /// What the part `name` is for; `None` where nobody reads it.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<Role> {
        let find = |names: &[&'static str]| names.iter().copied().find(|known| *known == name);
        None.or_else(|| find(self.pictures).map(Role::Picture))
            .or_else(|| find(self.object.as_slice()).map(Role::Object))
            .or_else(|| find(self.document.as_slice()).map(Role::Document))
            .or_else(|| self.value(name).map(|(name, kind)| Role::Value(name, kind)))
    }

    fn value(&self, name: &str) -> Option<(&'static str, Kind)> {
        self.values.iter().copied().find(|(known, _)| *known == name)
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Value {
    Text(String),
    Flag(bool),
    Integer(i64),
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Flag(flag) => flag.fmt(formatter),
            Self::Integer(number) => number.fmt(formatter),
        }
    }
}

/// A request's values by name.
#[derive(Clone, Debug)]
pub struct Form {
    schema: &'static Schema,
    pictures: BTreeMap<&'static str, Bytes>,
    documents: BTreeMap<&'static str, String>,
    values: BTreeMap<&'static str, Value>,
}

impl Form {
    /// The values of a JSON text whose members are all of `schema`'s values: a body that is no multipart one.
    ///
    /// # Errors
    /// As [`Form::insert`].
    pub fn from_json(schema: &'static Schema, body: Bytes) -> Result<Self, Fault> {
        let mut form = Self::new(schema);
        form.insert(Role::Object("body"), body)?;
        Ok(form)
    }

    /// A form without values.
    #[must_use]
    pub fn new(schema: &'static Schema) -> Self {
        Self { schema, pictures: BTreeMap::new(), documents: BTreeMap::new(), values: BTreeMap::new() }
    }

    /// Takes one part in.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a value of the wrong type or one that differs from what another part said.
    pub fn insert(&mut self, role: Role, bytes: Bytes) -> Result<(), Fault> {
        match role {
            Role::Picture(name) if bytes.is_empty() => invalid(name, "is empty"),
            Role::Picture(name) => keep(&mut self.pictures, name, bytes),
            Role::Object(name) => self.insert_members(name, text(name, &bytes)?),
            Role::Document(name) => keep(&mut self.documents, name, text(name, &bytes)?.to_owned()),
            Role::Value(name, kind) => {
                let text = unquoted(text(name, &bytes)?);
                // Web forms send what nobody filled in as an empty part.
                if text.is_empty() {
                    return Ok(());
                }
                keep(&mut self.values, name, value(name, kind, text)?)
            }
        }
    }

    fn insert_members(&mut self, part: &'static str, text: &str) -> Result<(), Fault> {
        let Members(members) = serde_json::from_str(text).map_err(|error| {
            Fault::Invalid(format!("`{part}` is not a JSON object: {}", json::place(&error)))
        })?;
        for (name, json) in members {
            let Some((name, kind)) = self.schema.value(&name) else {
                continue;
            };
            let found = match json {
                Json::Null => continue,
                Json::String(text) => match unquoted(text.trim()) {
                    "" => continue,
                    text => value(name, kind, text)?,
                },
                Json::Bool(flag) => value(name, kind, if flag { "true" } else { "false" })?,
                Json::Number(number) => value(name, kind, &number.to_string())?,
                Json::Array(_) | Json::Object(_) => return invalid(name, "must be a plain value"),
            };
            keep(&mut self.values, name, found)?;
        }
        Ok(())
    }

    /// The same for all requests that say the same, in whichever form and order.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let values =
            self.values.iter().map(|(name, value)| (*name, Cow::Owned(value.to_string().into_bytes())));
        let documents = self.documents.iter().map(|(name, text)| (*name, Cow::Borrowed(text.as_bytes())));
        let pictures = self.pictures.iter().map(|(name, bytes)| (*name, Cow::Borrowed(&**bytes)));
        let parts: Vec<(&str, Cow<'_, [u8]>)> = values.chain(documents).chain(pictures).collect();
        idempotency::digest(parts.iter().flat_map(|(name, content)| [name.as_bytes(), content]))
    }

    /// A picture.
    ///
    /// # Errors
    /// [`Fault::Invalid`] where it is missing.
    pub fn picture(&self, name: &'static str) -> Result<Bytes, Fault> {
        self.pictures.get(name).cloned().map_or_else(|| missing(name), Ok)
    }

    /// The JSON text of a part.
    ///
    /// # Errors
    /// [`Fault::Invalid`] where it is missing.
    pub fn document(&self, name: &'static str) -> Result<&str, Fault> {
        self.documents.get(name).map_or_else(|| missing(name), |text| Ok(text.as_str()))
    }

    /// A text.
    ///
    /// # Errors
    /// [`Fault::Invalid`] where it is missing.
    pub fn required_text(&self, name: &'static str) -> Result<&str, Fault> {
        self.text(name).map_or_else(|| missing(name), Ok)
    }

    /// A text, where it came.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name)? {
            Value::Text(text) => Some(text),
            Value::Flag(_) | Value::Integer(_) => None,
        }
    }

    /// True or false, where it came.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.values.get(name)? {
            Value::Flag(flag) => Some(*flag),
            Value::Text(_) | Value::Integer(_) => None,
        }
    }

    /// A whole number, where it came.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.values.get(name)? {
            Value::Integer(number) => Some(*number),
            Value::Text(_) | Value::Flag(_) => None,
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// [`Fault::Invalid`] where it is missing.
    pub fn required_integer(&self, name: &'static str) -> Result<i64, Fault> {
        self.integer(name).map_or_else(|| missing(name), Ok)
    }
}

fn invalid<T>(name: &str, what: &str) -> Result<T, Fault> {
    Err(Fault::Invalid(format!("`{name}` {what}")))
}

fn missing<T>(name: &str) -> Result<T, Fault> {
    invalid(name, "is missing")
}

fn keep<T: PartialEq>(
    known: &mut BTreeMap<&'static str, T>,
    name: &'static str,
    new: T,
) -> Result<(), Fault> {
    match known.get(name) {
        Some(old) if *old != new => invalid(name, "has two different values"),
        Some(_) => Ok(()),
        None => {
            known.insert(name, new);
            Ok(())
        }
    }
}

fn value(name: &str, kind: Kind, text: &str) -> Result<Value, Fault> {
    match kind {
        Kind::Text if text.len() > LONGEST_TEXT => {
            invalid(name, &format!("is longer than {LONGEST_TEXT} bytes"))
        }
        Kind::Text => Ok(Value::Text(text.to_owned())),
        Kind::Flag if text.eq_ignore_ascii_case("true") => Ok(Value::Flag(true)),
        Kind::Flag if text.eq_ignore_ascii_case("false") => Ok(Value::Flag(false)),
        Kind::Flag => invalid(name, "must be true or false"),
        Kind::Integer => match whole_number(text) {
            Some(number) => Ok(Value::Integer(number)),
            None => invalid(name, "must be a whole number"),
        },
    }
}

/// A whole number, which some clients write as `18.0`.
fn whole_number(text: &str) -> Option<i64> {
    /// Up to here every whole number has a floating-point form of its own.
    const EXACT: f64 = (1_i64 << 53) as f64;
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// UTF-8 without byte order mark and outer white space.
fn text<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map(str::trim).or_else(|_| invalid(name, "is not UTF-8"))
}

/// Without one pair of outer double quotes, as in `imageType="SELFIE"` of the original's documentation.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// The members of a JSON object in their order, repeated names included: `serde_json::Map` would keep the last one
/// of two that contradict each other.
struct Members(Vec<(String, Json)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCHEMA: Schema = Schema {
        pictures: &["image"],
        object: Some("face"),
        document: Some("reference"),
        values: &[("imageType", Kind::Text), ("rotate", Kind::Flag), ("age", Kind::Integer)],
    };

    fn form(parts: &[(&str, &str)]) -> Result<Form, Fault> {
        let mut form = Form::new(&SCHEMA);
        for (name, content) in parts {
            if let Some(role) = SCHEMA.role(name) {
                form.insert(role, Bytes::copy_from_slice(content.as_bytes()))?;
            }
        }
        Ok(form)
    }

    fn message(parts: &[(&str, &str)]) -> String {
        form(parts).unwrap_err().to_string()
    }

    #[test]
    fn a_value_may_stand_in_the_json_part_or_alone() {
        for parts in [
            &[("face", r#"{"imageType":"SELFIE","rotate":true}"#)][..],
            &[("imageType", "SELFIE"), ("rotate", "True")],
            &[("imageType", "\u{feff} \"SELFIE\"\r\n"), ("rotate", "\"TRUE\"\n")],
            &[("face", r#"{"imageType":"SELFIE","rotate":"true"}"#), ("rotate", "true")],
            &[("face", "\u{feff}{\"imageType\":\"SELFIE\",\"rotate\":\"TRUE\",\"other\":[1]}\n")],
            &[("face", r#"{"imageType":" \"SELFIE\" ","rotate":" true"}"#), ("imageType", "SELFIE")],
        ] {
            let form = form(parts).unwrap();
            assert_eq!(form.text("imageType"), Some("SELFIE"), "{parts:?}");
            assert_eq!(form.flag("rotate"), Some(true), "{parts:?}");
        }
    }

    #[test]
    fn two_different_values_are_refused_and_the_same_twice_is_not() {
        let two = "`imageType` has two different values";
        assert_eq!(message(&[("imageType", "A"), ("imageType", "B")]), two);
        assert_eq!(message(&[("imageType", "A"), ("face", r#"{"imageType":"B"}"#)]), two);
        assert_eq!(message(&[("face", r#"{"imageType":"A","imageType":"B"}"#)]), two);
        assert_eq!(message(&[("image", "A"), ("image", "B")]), "`image` has two different values");
        assert!(form(&[("image", "A"), ("image", "A"), ("imageType", "\"A\""), ("imageType", "A")]).is_ok());
    }

    #[test]
    fn a_whole_number_may_be_a_number_or_a_text() {
        for part in [r#"{"age":18}"#, r#"{"age":"18"}"#, r#"{"age":18.0}"#, r#"{"age":1.8e1}"#] {
            assert_eq!(
                form(&[("face", part), ("age", "\"18\"")]).unwrap().integer("age"),
                Some(18),
                "{part}"
            );
        }
        assert_eq!(form(&[("age", "-1")]).unwrap().integer("age"), Some(-1));
        for wrong in ["18.5", "1e99", "NaN", "inf", "eighteen", "0x12"] {
            assert_eq!(message(&[("age", wrong)]), "`age` must be a whole number", "{wrong}");
        }
        assert_eq!(form(&[]).unwrap().required_integer("age").unwrap_err().to_string(), "`age` is missing");
    }

    #[test]
    fn null_and_empty_values_are_absent() {
        let form = form(&[("face", r#"{"imageType":null,"age":""}"#), ("rotate", "")]).unwrap();
        assert_eq!((form.text("imageType"), form.flag("rotate")), (None, None));
        assert_eq!(form.required_text("imageType").unwrap_err().to_string(), "`imageType` is missing");
        assert_eq!(form.picture("image").unwrap_err().to_string(), "`image` is missing");
    }

    #[test]
    fn a_text_has_an_end() {
        let longest = "x".repeat(LONGEST_TEXT);
        assert!(form(&[("imageType", &longest)]).is_ok());
        let longer = longest + "x";
        assert_eq!(message(&[("imageType", &longer)]), "`imageType` is longer than 1024 bytes");
        let member = format!(r#"{{"imageType":"{longer}"}}"#);
        assert_eq!(message(&[("face", &member)]), "`imageType` is longer than 1024 bytes");
    }

    #[test]
    fn what_was_sent_is_not_repeated() {
        let secret = format!(r#""{}""#, "template".repeat(9));
        assert_eq!(
            message(&[("face", &secret)]),
            "`face` is not a JSON object: not of the form at line 1 column 74"
        );
        assert_eq!(
            message(&[("face", "{\"a\":nonsense}")]),
            "`face` is not a JSON object: no JSON at line 1 column 7"
        );
    }

    #[test]
    fn what_is_not_of_the_form_is_named() {
        assert_eq!(message(&[("rotate", "perhaps")]), "`rotate` must be true or false");
        assert_eq!(message(&[("face", r#"{"imageType":["A"]}"#)]), "`imageType` must be a plain value");
        assert!(message(&[("face", "[1]")]).starts_with("`face` is not a JSON object"));
        assert!(message(&[("face", "{")]).starts_with("`face` is not a JSON object"));
        assert_eq!(message(&[("image", "")]), "`image` is empty");
        let mut form = Form::new(&SCHEMA);
        let broken = form.insert(Role::Value("imageType", Kind::Text), Bytes::from_static(b"\xff"));
        assert_eq!(broken.unwrap_err().to_string(), "`imageType` is not UTF-8");
    }

    proptest! {
        #[test]
        fn a_text_is_the_same_as_a_part_and_as_a_member(value in "[^\"\\s\u{feff}]([^\"]*[^\"\\s])?") {
            let json = serde_json::json!({"imageType": value}).to_string();
            let form = form(&[("face", &json), ("imageType", &value)]).unwrap();
            prop_assert_eq!(form.text("imageType"), Some(value.as_str()));
        }

        #[test]
        fn any_part_is_taken_or_refused(name in "image|face|reference|imageType|rotate", content in any::<Vec<u8>>()) {
            let role = SCHEMA.role(&name).unwrap();
            // Only that it ends: what is right is shown above.
            let _ = Form::new(&SCHEMA).insert(role, content.into());
        }
    }
}
