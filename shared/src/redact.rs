//! Secrets that must not reach logs.

/// A URL without its password, for logs and debug output. What is not a URL is not shown at all.
#[must_use]
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once(':') else {
        return "…".into();
    };
    let Some(rest) = rest.strip_prefix("//") else {
        return format!("{scheme}:{}", if rest.is_empty() { "" } else { "…" });
    };
    // The last @, for a password may hold an @ or a / that nobody has escaped.
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
            ("user:s3cret", "user:…"),
            ("s3cret", "…"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
