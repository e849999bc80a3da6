//! Permissions of keys.

use serde::Deserialize;

/// A permission, by its name in accounts files and error messages.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum Permission {
    /// Read the service's capabilities.
    #[serde(rename = "capabilities:read")]
    CapabilitiesRead,
    /// Describe faces, and add them to sessions.
    #[serde(rename = "faces:create")]
    FacesCreate,
    /// Read the faces of sessions and their pictures.
    #[serde(rename = "faces:read")]
    FacesRead,
    /// Delete faces of sessions.
    #[serde(rename = "faces:delete")]
    FacesDelete,
    /// Compare faces.
    #[serde(rename = "match")]
    Match,
    /// Estimate ages.
    #[serde(rename = "ages:create")]
    AgesCreate,
    /// Detect whether pictures or videos show a living person.
    #[serde(rename = "liveness:detect")]
    LivenessDetect,
    /// Compare live pictures with a photo, and detect their liveness.
    #[serde(rename = "photos:verify")]
    PhotosVerify,
    /// Create sessions.
    #[serde(rename = "sessions:create")]
    SessionsCreate,
    /// Read sessions.
    #[serde(rename = "sessions:read")]
    SessionsRead,
    /// Delete sessions.
    #[serde(rename = "sessions:delete")]
    SessionsDelete,
    /// Set the parameters of replays.
    #[serde(rename = "replays:create")]
    ReplaysCreate,
    /// Read the parameters and the status of replays.
    #[serde(rename = "replays:read")]
    ReplaysRead,
    /// Upload the videos of replays.
    #[serde(rename = "replays:upload")]
    ReplaysUpload,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 14] = [
        Self::CapabilitiesRead,
        Self::FacesCreate,
        Self::FacesRead,
        Self::FacesDelete,
        Self::Match,
        Self::AgesCreate,
        Self::LivenessDetect,
        Self::PhotosVerify,
        Self::SessionsCreate,
        Self::SessionsRead,
        Self::SessionsDelete,
        Self::ReplaysCreate,
        Self::ReplaysRead,
        Self::ReplaysUpload,
    ];

    /// The permission of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == name)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CapabilitiesRead => "capabilities:read",
            Self::FacesCreate => "faces:create",
            Self::FacesRead => "faces:read",
            Self::FacesDelete => "faces:delete",
            Self::Match => "match",
            Self::AgesCreate => "ages:create",
            Self::LivenessDetect => "liveness:detect",
            Self::PhotosVerify => "photos:verify",
            Self::SessionsCreate => "sessions:create",
            Self::SessionsRead => "sessions:read",
            Self::SessionsDelete => "sessions:delete",
            Self::ReplaysCreate => "replays:create",
            Self::ReplaysRead => "replays:read",
            Self::ReplaysUpload => "replays:upload",
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
            assert_eq!(Permission::of(permission.as_str()), Some(permission));
        }
    }
}
