//! The table of the fields that an operation reads.

/// The fields that an operation reads. The form ignores all other parts and members of a request.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Names of the parts that are pictures.
    pub pictures: &'static [&'static str],
    /// Name of the JSON part whose members count as values.
    pub object: Option<&'static str>,
    /// Name of the part whose JSON text is kept unparsed.
    pub document: Option<&'static str>,
    /// Names of the values, which are parts of their own or members of `object`.
    pub values: &'static [(&'static str, Kind)],
}

/// Maximum size of a text value, in bytes. An answer can repeat and sign a text hundreds of times.
pub const MAX_VALUE_BYTES: usize = 1024;

/// The type of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A text of at most [`MAX_VALUE_BYTES`].
    Text,
    /// `true` or `false`, in upper or lower case, with or without quotes.
    Flag,
    /// A whole number, with or without quotes.
    Integer,
}

/// The meaning of a part of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// A picture file.
    Picture(&'static str),
    /// A JSON object whose members are values.
    Object(&'static str),
    /// A JSON text that is kept unparsed.
    Document(&'static str),
    /// A single value.
    Value(&'static str, Kind),
}

impl Schema {
    /// The meaning of the part `name`; `None` if the operation does not read it.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<Role> {
        let find = |names: &[&'static str]| names.iter().copied().find(|known| *known == name);
        None.or_else(|| find(self.pictures).map(Role::Picture))
            .or_else(|| find(self.object.as_slice()).map(Role::Object))
            .or_else(|| find(self.document.as_slice()).map(Role::Document))
            .or_else(|| self.value(name).map(|(name, kind)| Role::Value(name, kind)))
    }

    /// The value `name` in the table, with its type.
    pub(super) fn value(&self, name: &str) -> Option<(&'static str, Kind)> {
        self.values.iter().copied().find(|(known, _)| *known == name)
    }
}
