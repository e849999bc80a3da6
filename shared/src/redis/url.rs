//! Addresses of Redis installations.
//!
//! - `redis://[user:password@]host[:port][,host[:port]…][/database][?protocol=resp3]`: one server, or several of which one is the
//!   master.
//! - `redis+sentinel://[user:password@]host[:port][,…]/master[/database][?sentinel_username=…&sentinel_password=…]`: sentinels,
//!   and the name under which they know the master. The credentials before `@` are those of the master and its replicas.
//!
//! `rediss` instead of `redis` means TLS, to sentinels and servers alike. Ports default to 6379 and, of sentinels, 26379.

use ::redis::{ConnectionInfo, IntoConnectionInfo as _};
use ::url::Url;
use ::url::form_urlencoded;

/// Port of a sentinel, unless the address says otherwise.
const SENTINEL_PORT: u16 = 26379;

/// An address cannot be parsed. The message does not repeat it, because it may hold a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "expected redis://user:password@host:port/database, with several hosts separated by commas, or \
     redis+sentinel://user:password@host:port,host:port/master/database; rediss for TLS; what is special in an address is written \
     as in %40"
)]
pub struct InvalidRedisUrl;

/// Address of the master of an installation.
#[derive(Clone, Debug)]
pub enum RedisUrl {
    /// These servers; one of them is the master.
    Servers(Vec<ConnectionInfo>),
    /// These sentinels know the master.
    Sentinels {
        /// Connection parameters of the sentinels.
        sentinels: Vec<ConnectionInfo>,
        /// The name under which they know the master.
        master: String,
        /// Connection parameters of the master, without its address.
        server: Box<ConnectionInfo>,
        /// Whether servers speak TLS.
        tls: bool,
    },
}

impl RedisUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// [`InvalidRedisUrl`].
    pub fn parse(text: &str) -> Result<Self, InvalidRedisUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidRedisUrl)?;
        let tail = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(tail);
        // The last @ ends the credentials: a password may contain an unescaped one.
        let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let hosts: Vec<&str> = hosts.split(',').collect();
        match scheme {
            "redis" | "rediss" => {
                let server = |host| single(scheme, credentials, host, tail);
                Ok(Self::Servers(hosts.into_iter().map(server).collect::<Result<_, _>>()?))
            }
            "redis+sentinel" => sentinels("redis", credentials, &hosts, tail),
            "rediss+sentinel" => sentinels("rediss", credentials, &hosts, tail),
            _ => Err(InvalidRedisUrl),
        }
    }
}

/// One server or sentinel. `credentials` are written as in an address.
fn single(
    scheme: &str,
    credentials: &str,
    host: &str,
    tail: &str,
) -> Result<ConnectionInfo, InvalidRedisUrl> {
    if host.is_empty() || host.starts_with(':') {
        return Err(InvalidRedisUrl);
    }
    let at = if credentials.is_empty() { "" } else { "@" };
    let url = format!("{scheme}://{credentials}{at}{host}{tail}");
    url.as_str().into_connection_info().map_err(|_| InvalidRedisUrl)
}

fn sentinels(
    scheme: &str,
    credentials: &str,
    hosts: &[&str],
    tail: &str,
) -> Result<RedisUrl, InvalidRedisUrl> {
    let parsed = Url::parse(&format!("{scheme}://host{tail}")).map_err(|_| InvalidRedisUrl)?;
    let mut path = parsed.path_segments().ok_or(InvalidRedisUrl)?;
    let (master, database) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
    // A name is written as the value of a form is, but for the plus sign.
    let written = master.replace('+', "%2B");
    let decoded = form_urlencoded::parse(written.as_bytes()).next();
    let master = decoded.map(|(name, _)| name.into_owned()).unwrap_or_default();
    if master.is_empty() || path.next().is_some() {
        return Err(InvalidRedisUrl);
    }
    let (mut username, mut password, mut options) =
        (None, None, form_urlencoded::Serializer::new(String::new()));
    for (key, value) in parsed.query_pairs() {
        match &*key {
            "sentinel_username" => username = Some(value.into_owned()),
            "sentinel_password" => password = Some(value.into_owned()),
            _ => drop(options.append_pair(&key, &value)),
        }
    }
    let server = single(scheme, credentials, "host", &format!("/{database}?{}", options.finish()))?;
    let sentinel = |host: &&str| {
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let host = if has_port { (*host).to_owned() } else { format!("{host}:{SENTINEL_PORT}") };
        let info = single(scheme, "", &host, "")?;
        let mut settings = info.redis_settings().clone();
        if let Some(username) = &username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &password {
            settings = settings.set_password(password);
        }
        Ok(info.set_redis_settings(settings))
    };
    Ok(RedisUrl::Sentinels {
        sentinels: hosts.iter().map(sentinel).collect::<Result<_, _>>()?,
        master,
        server: Box::new(server),
        tls: scheme == "rediss",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(info: &ConnectionInfo) -> String {
        let redis = info.redis_settings();
        let (user, password) = (redis.username().unwrap_or("-"), redis.password().unwrap_or("-"));
        let tls = if matches!(info.addr(), ::redis::ConnectionAddr::TcpTls { .. }) { " tls" } else { "" };
        format!("{} {user} {password} {}{tls}", info.addr(), redis.db())
    }

    fn servers(text: &str) -> Vec<String> {
        match RedisUrl::parse(text) {
            Ok(RedisUrl::Servers(servers)) => servers.iter().map(shown).collect(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn an_address_names_one_server_or_several() {
        assert_eq!(servers("redis://host"), ["host:6379 - - 0"]);
        assert_eq!(servers("redis://:s3cret@host:1/2"), ["host:1 - s3cret 2"]);
        assert_eq!(servers("redis://u:p@w@[::1]:1,b/3"), ["::1:1 u p@w 3", "b:6379 u p@w 3"]);
        assert_eq!(servers("rediss://u:a%2Cb%40@a,b:2"), ["a:6379 u a,b@ 0 tls", "b:2 u a,b@ 0 tls"]);
    }

    #[test]
    fn an_address_names_sentinels_and_their_master() {
        let text = "rediss+sentinel://u:p@a,b:1,[::1]/my%20master/2?sentinel_username=s&sentinel_password=q%26+&protocol=resp3";
        let Ok(RedisUrl::Sentinels { sentinels, master, server, tls }) = RedisUrl::parse(text) else {
            panic!("{:?}", RedisUrl::parse(text));
        };
        assert_eq!((master.as_str(), tls), ("my master", true));
        assert_eq!(shown(&server), "host:6379 u p 2 tls");
        assert_eq!(server.redis_settings().protocol(), ::redis::ProtocolVersion::RESP3);
        let sentinels: Vec<_> = sentinels.iter().map(shown).collect();
        assert_eq!(sentinels, ["a:26379 s q&  0 tls", "b:1 s q&  0 tls", "::1:26379 s q&  0 tls"]);
        assert!(matches!(
            RedisUrl::parse("redis+sentinel://a/a+b"),
            Ok(RedisUrl::Sentinels { master, tls: false, .. }) if master == "a+b"
        ));
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for text in [
            "redis://user:s3cret@host:port",
            "rediss://:s3cret@",
            "redis://a,,b:s3cret",
            "redis://:1",
            "redis+sentinel://s3cret",
            "redis+sentinel://s3cret/",
            "redis+sentinel://s3cret/master/database",
            "redis+sentinel://s3cret/master/1/2",
            "redis-sentinel://s3cret/master",
            "http://s3cret",
            "s3cret",
        ] {
            let error = RedisUrl::parse(text).expect_err(text);
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{text}: {error:?}");
        }
    }
}
