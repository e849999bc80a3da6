//! What a key may be allowed to do.

use serde::Deserialize;

/// A permission, as accounts files and refusals name it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum Permission {
    /// Read the service's capabilities.
    #[serde(rename = "capabilities:read")]
    CapabilitiesRead,
    /// Describe faces.
    #[serde(rename = "faces:create")]
    FacesCreate,
    /// Compare faces.
    #[serde(rename = "match")]
    Match,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 3] = [Self::CapabilitiesRead, Self::FacesCreate, Self::Match];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CapabilitiesRead => "capabilities:read",
            Self::FacesCreate => "faces:create",
            Self::Match => "match",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer as _;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    #[test]
    fn a_permission_is_read_as_it_is_written() {
        for permission in Permission::ALL {
            let name: StrDeserializer<'_, Error> = permission.as_str().into_deserializer();
            assert_eq!(Permission::deserialize(name).unwrap(), permission);
        }
    }
}
