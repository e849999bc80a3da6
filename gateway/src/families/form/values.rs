//! The values of one request, merged from its parts.
//!
//! A value may be a part of its own or a member of the JSON part. A request may repeat a value; it may not contradict itself.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use faceline_gateway_store::idempotency::{self, Digest};
use serde_json::Value as Json;

use super::member::Members;
use super::parse::{Value, invalid, missing, unquoted, utf8};
use super::schema::{Role, Schema};
use crate::families::json;
use crate::fault::Fault;

/// The values of a request by name.
#[derive(Clone, Debug)]
pub struct Form {
    schema: &'static Schema,
    pictures: BTreeMap<&'static str, Bytes>,
    documents: BTreeMap<&'static str, String>,
    values: BTreeMap<&'static str, Value>,
}

impl Form {
    /// Reads a JSON body whose members are the values of `schema`.
    ///
    /// # Errors
    /// [`Fault::Invalid`] if the body is not a JSON object, or a value has the wrong type.
    pub fn from_json(schema: &'static Schema, body: Bytes) -> Result<Self, Fault> {
        let mut form = Self::new(schema);
        form.insert(Role::Object("body"), body)?;
        Ok(form)
    }

    /// An empty form.
    #[must_use]
    pub fn new(schema: &'static Schema) -> Self {
        Self { schema, pictures: BTreeMap::new(), documents: BTreeMap::new(), values: BTreeMap::new() }
    }

    /// Adds one part.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a value of the wrong type, or one that differs from the value in an earlier part.
    pub fn insert(&mut self, role: Role, bytes: Bytes) -> Result<(), Fault> {
        match role {
            Role::Picture(name) if bytes.is_empty() => invalid(name, "is empty"),
            Role::Picture(name) => insert_once(&mut self.pictures, name, bytes),
            Role::Object(name) => self.insert_members(name, utf8(name, &bytes)?),
            Role::Document(name) => insert_once(&mut self.documents, name, utf8(name, &bytes)?.to_owned()),
            Role::Value(name, kind) => {
                let text = unquoted(utf8(name, &bytes)?);
                // Web forms send an empty part for a field that the user left blank.
                if text.is_empty() {
                    return Ok(());
                }
                insert_once(&mut self.values, name, Value::parse(name, kind, text)?)
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
                    text => Value::parse(name, kind, text)?,
                },
                Json::Bool(flag) => Value::parse(name, kind, if flag { "true" } else { "false" })?,
                Json::Number(number) => Value::parse(name, kind, &number.to_string())?,
                Json::Array(_) | Json::Object(_) => return invalid(name, "must be a plain value"),
            };
            insert_once(&mut self.values, name, found)?;
        }
        Ok(())
    }

    /// A digest of the values. It depends neither on the order of the parts, nor on whether a value was a part or a
    /// member.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let values =
            self.values.iter().map(|(name, value)| (*name, Cow::Owned(value.to_string().into_bytes())));
        let documents = self.documents.iter().map(|(name, text)| (*name, Cow::Borrowed(text.as_bytes())));
        let pictures = self.pictures.iter().map(|(name, bytes)| (*name, Cow::Borrowed(&**bytes)));
        let parts: Vec<(&str, Cow<'_, [u8]>)> = values.chain(documents).chain(pictures).collect();
        idempotency::digest(parts.iter().flat_map(|(name, content)| [name.as_bytes(), content]))
    }

    /// The picture `name`.
    ///
    /// # Errors
    /// [`Fault::Invalid`] if it is missing.
    pub fn picture(&self, name: &'static str) -> Result<Bytes, Fault> {
        self.pictures.get(name).cloned().map_or_else(|| missing(name), Ok)
    }

    /// The unparsed JSON text of the part `name`.
    ///
    /// # Errors
    /// [`Fault::Invalid`] if it is missing.
    pub fn document(&self, name: &'static str) -> Result<&str, Fault> {
        self.documents.get(name).map_or_else(|| missing(name), |text| Ok(text.as_str()))
    }

    /// The text `name`.
    ///
    /// # Errors
    /// [`Fault::Invalid`] if it is missing.
    pub fn required_text(&self, name: &'static str) -> Result<&str, Fault> {
        self.text(name).map_or_else(|| missing(name), Ok)
    }

    /// The text `name`; `None` if the request has none.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name)? {
            Value::Text(text) => Some(text),
            Value::Flag(_) | Value::Integer(_) => None,
        }
    }

    /// The flag `name`; `None` if the request has none.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.values.get(name)? {
            Value::Flag(flag) => Some(*flag),
            Value::Text(_) | Value::Integer(_) => None,
        }
    }

    /// The whole number `name`; `None` if the request has none.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.values.get(name)? {
            Value::Integer(number) => Some(*number),
            Value::Text(_) | Value::Flag(_) => None,
        }
    }

    /// The whole number `name`.
    ///
    /// # Errors
    /// [`Fault::Invalid`] if it is missing.
    pub fn required_integer(&self, name: &'static str) -> Result<i64, Fault> {
        self.integer(name).map_or_else(|| missing(name), Ok)
    }
}

/// Inserts a value. The same value again is accepted; a different one is refused.
fn insert_once<T: PartialEq>(
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
