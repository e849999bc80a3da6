//! Secrets that must not reach logs.

use std::fmt;
use std::ops::Deref;

use serde::Deserialize;

/// A URL that may hold a password, which neither debug output nor [`fmt::Display`] shows.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct SecretUrl(String);

/// A secret, of which debug output and [`fmt::Display`] show nothing.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct SecretText(String);

impl fmt::Display for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&without_password(&self.0))
    }
}

impl fmt::Display for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

macro_rules! text_in_full_only_by_deref {
    ($($secret:ident),*) => {$(
        impl fmt::Debug for $secret {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        /// The whole text, with its secret.
        impl Deref for $secret {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $secret {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $secret {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        /// Serialises the redacted form, for the defaults in `docs/settings.md`.
        #[cfg(test)]
        impl serde::Serialize for $secret {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

text_in_full_only_by_deref!(SecretUrl, SecretText);

/// A URL without its password, for logs and debug output. A text that is not a URL is not shown at all.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once(':') else {
        return "…".into();
    };
    let Some(rest) = rest.strip_prefix("//") else {
        return format!("{scheme}:{}", if rest.is_empty() { "" } else { "…" });
    };
    // A query may hold another password, and where it begins is not certain before the whole address is parsed.
    if rest.to_ascii_lowercase().contains("password=") {
        return format!("{scheme}://…");
    }
    // The last @ ends the credentials: a password may hold an unescaped @ or /.
    let Some((credentials, host)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    let user = credentials.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}:…@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_left_out_and_nothing_else() {
        for (url, shown) in [
            ("embedded:", "embedded:"),
            ("amqp://host:5672/vhost", "amqp://host:5672/vhost"),
            ("amqp://user:s3cret@host/%2f?heartbeat=5", "amqp://user:…@host/%2f?heartbeat=5"),
            ("redis://:s3cret@host", "redis://:…@host"),
            ("redis://user:s3c@ret@host/1", "redis://user:…@host/1"),
            ("amqp://user:s3/cret@host/vhost", "amqp://user:…@host/vhost"),
            ("amqps://user@host", "amqps://user:…@host"),
            ("redis+sentinel://u:s3cret@a:1,b:2/main/0", "redis+sentinel://u:…@a:1,b:2/main/0"),
            ("redis+sentinel://a,b/main?sentinel_password=s3c@ret", "redis+sentinel://…"),
            ("user:s3cret", "user:…"),
            ("s3cret", "…"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
