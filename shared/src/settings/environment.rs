//! Settings from environment variables.
//!
//! Only `FACELINE_SECTION__KEY` and the few settings without a section are read. Orchestrators put other variables with this
//! prefix into the environment: a Kubernetes Service named `faceline` gives every pod `FACELINE_PORT=tcp://…` and more of the kind.

use std::fmt;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

const PREFIX: &str = "FACELINE_";
/// The settings that belong to no section.
const WITHOUT_SECTION: [&str; 1] = ["data_dir"];
/// The sections, for telling a setting from a service link and for naming the variable that was meant.
const SECTIONS: [&str; 26] = [
    "http",
    "admin",
    "broker",
    "store",
    "sessions",
    "blobs",
    "objects",
    "models",
    "keys",
    "signing",
    "accounts",
    "usage",
    "face",
    "findings",
    "liveness",
    "replay",
    "callbacks",
    "capture",
    "exports",
    "url_input",
    "limits",
    "jobs",
    "inference",
    "admission",
    "log",
    "tracing",
];

/// A variable with this program's prefix.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Variable {
    /// Sets the setting with this key.
    Setting(String),
    /// Describes a service of Kubernetes or a container of Docker.
    ServiceLink,
    /// Neither; it is ignored.
    Ignored(IgnoredVariable),
}

/// A variable that looks like a setting but is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IgnoredVariable {
    name: String,
    /// The variable that may have been meant.
    suggestion: Option<String>,
}

impl fmt::Display for IgnoredVariable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, suggestion } = self;
        write!(formatter, "the environment variable {name} is ignored: settings are {PREFIX}SECTION__KEY")?;
        match suggestion {
            Some(suggestion) => write!(formatter, "; {suggestion}?"),
            None => Ok(()),
        }
    }
}

/// The variables with this program's prefix that look like settings but are none.
#[must_use]
pub fn ignored_variables() -> Vec<IgnoredVariable> {
    variables()
        .filter_map(|(name, value)| match Variable::of(&name, &value)? {
            Variable::Ignored(ignored) => Some(ignored),
            Variable::Setting(_) | Variable::ServiceLink => None,
        })
        .collect()
}

/// The settings of this process's environment.
pub(super) fn settings() -> impl Iterator<Item = NamedValue> {
    variables().filter_map(|(name, value)| match Variable::of(&name, &value)? {
        Variable::Setting(key) => Some(NamedValue::new(key, format!("environment variable {name}"), &value)),
        Variable::ServiceLink | Variable::Ignored(_) => None,
    })
}

/// Names and values; those of other encodings than UTF-8 cannot be settings.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
}

impl Variable {
    /// `None` if the variable does not have this program's prefix.
    pub(super) fn of(name: &str, value: &str) -> Option<Self> {
        let (prefix, rest) = name.split_at_checked(PREFIX.len())?;
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return None;
        }
        let rest = rest.to_ascii_lowercase();
        if WITHOUT_SECTION.contains(&&*rest) {
            return Some(Self::Setting(rest));
        }
        let section = rest.split_once("__").map(|(section, _)| section);
        let is_of_section = section.is_some_and(|section| SECTIONS.contains(&section));
        Some(if !is_of_section && is_service_link(&rest, value) {
            Self::ServiceLink
        } else if section.is_some() {
            Self::Setting(rest.replace("__", "."))
        } else {
            let suggestion = suggestion(&rest);
            Self::Ignored(IgnoredVariable { name: name.to_owned(), suggestion })
        })
    }
}

/// Whether a variable is one that Kubernetes makes for a service named `faceline` or `faceline-…`, with the prefix removed:
/// `SERVICE_HOST`, `SERVICE_PORT`, `SERVICE_PORT_NAME`, `PORT` (a URL), `PORT_80_TCP` and `PORT_80_TCP_{PROTO,PORT,ADDR}`, each
/// maybe with the rest of the service's name in front.
fn is_service_link(rest: &str, value: &str) -> bool {
    let parts: Vec<&str> = rest.split('_').collect();
    let is_port = |number: &str| number.parse::<u16>().is_ok();
    let is_protocol = |name: &str| ["tcp", "udp", "sctp"].contains(&name);
    let of_port = |parts: &[&str]| match parts {
        // People write `PORT=8080` when they mean a setting.
        ["port"] => value.contains("://"),
        ["port", number, protocol] | ["port", number, protocol, "proto" | "port" | "addr"] => {
            is_port(number) && is_protocol(protocol)
        }
        ["service", "host"] | ["service", "port", ..] => true,
        _ => false,
    };
    (0..parts.len()).any(|start| of_port(&parts[start..]))
}

/// The variable of a setting that differs by an underscore only.
fn suggestion(rest: &str) -> Option<String> {
    let written = |section: &str, key: &str| format!("{PREFIX}{section}__{key}").to_ascii_uppercase();
    SECTIONS.iter().find_map(|section| {
        let key = rest.strip_prefix(section)?.strip_prefix('_').filter(|key| !key.is_empty())?;
        Some(written(section, key))
    })
}

/// One setting from the environment or a flag.
pub(super) struct NamedValue {
    key: String,
    origin: String,
    value: Value,
}

impl NamedValue {
    /// `key` has dots between its parts; `origin` says in messages where the value is from.
    pub(super) fn new(key: String, origin: String, text: &str) -> Self {
        let text = text.trim();
        // Lists, tables and quoted texts are written as in TOML. Everything else stays the text that it is, and becomes a number
        // or a boolean where the setting is one: a secret may consist of digits, and loses none of them.
        let value = match text.as_bytes().first() {
            Some(b'[' | b'{' | b'"') => text.parse().unwrap_or_else(|_| text.into()),
            _ => text.into(),
        };
        Self { key, origin, value }
    }
}

impl Provider for NamedValue {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut value = self.value.clone();
        for part in self.key.rsplit('.') {
            value = Value::from(Dict::from([(part.to_owned(), value)]));
        }
        Ok(value.into_dict().map(|dict| Profile::Default.collect(dict)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn of(name: &str, value: &str) -> Variable {
        Variable::of(name, value).unwrap()
    }

    fn suggested(name: &str, value: &str) -> Option<String> {
        match of(name, value) {
            Variable::Ignored(ignored) => {
                assert!(ignored.to_string().contains(name) && !ignored.to_string().contains(value));
                ignored.suggestion
            }
            other => panic!("{name} is {other:?}"),
        }
    }

    #[test]
    fn what_kubernetes_says_of_services_is_no_setting() {
        for service in
            ["FACELINE", "FACELINE_GATEWAY", "FACELINE_HTTP", "FACELINE__X", "FACELINE_PORT", "FACELINE_2"]
        {
            for (form, value) in [
                ("SERVICE_HOST", "10.96.0.7"),
                ("SERVICE_PORT", "8080"),
                ("SERVICE_PORT_HTTP", "8080"),
                ("SERVICE_PORT_GRPC_WEB", "8080"),
                ("PORT", "tcp://10.96.0.7:8080"),
                ("PORT_8080_TCP", "tcp://10.96.0.7:8080"),
                ("PORT_8080_TCP_PROTO", "tcp"),
                ("PORT_8080_TCP_PORT", "8080"),
                ("PORT_8080_TCP_ADDR", "10.96.0.7"),
                ("PORT_53_UDP_ADDR", "fd00::7"),
            ] {
                let name = format!("{service}_{form}");
                assert_eq!(of(&name, value), Variable::ServiceLink, "{name}");
            }
        }
    }

    #[test]
    fn settings_are_section_and_key() {
        for (name, key) in [
            ("FACELINE_HTTP__LISTEN", "http.listen"),
            ("faceline_url_input__hosts", "url_input.hosts"),
            ("FACELINE_HTTP__TLS__KEY", "http.tls.key"),
            ("FACELINE_DATA_DIR", "data_dir"),
            // A wrong one is reported as an unknown key, also if it looks like a service link.
            ("FACELINE_HTTP__LISTNE", "http.listne"),
            ("FACELINE_HTTP__PORT", "http.port"),
            ("FACELINE_HTTP__SERVICE_HOST", "http.service_host"),
            ("FACELINE_WEB__LISTEN", "web.listen"),
        ] {
            assert_eq!(of(name, "tcp://x"), Variable::Setting(key.into()), "{name}");
        }
        assert_eq!(Variable::of("PATH", "/bin"), None);
        assert_eq!(Variable::of("FACELINES_HTTP__LISTEN", "x"), None);
        assert_eq!(Variable::of("ÄÖÜÄÖÜÄÖÜ", "x"), None);
    }

    #[test]
    fn a_variable_that_misses_an_underscore_is_told() {
        for (name, meant) in [
            ("FACELINE_HTTP_LISTEN", Some("FACELINE_HTTP__LISTEN")),
            ("FACELINE_URL_INPUT_HOSTS", Some("FACELINE_URL_INPUT__HOSTS")),
            ("FACELINE_PORT", None),
            ("FACELINE_HTTP", None),
            ("FACELINE_", None),
        ] {
            assert_eq!(suggested(name, "8080").as_deref(), meant, "{name}");
        }
    }

    #[test]
    fn the_sections_are_those_of_the_settings() {
        let all = toml::Table::try_from(Settings::default()).unwrap();
        let mut named: Vec<&str> = SECTIONS.into_iter().chain(WITHOUT_SECTION).collect();
        named.sort_unstable();
        assert_eq!(all.keys().collect::<Vec<_>>(), named);
    }
}
