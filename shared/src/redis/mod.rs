//! Redis as stores, blobs and the rate limiter use it: the one place where addresses are understood, the master is found, and a
//! connection is replaced after a failure or a failover.
//!
//! A [`RedisServer`] stands for the present master of an installation, not for a machine. Its address is a server, a list of
//! servers of which one is the master, or a list of sentinels that know the master ([`RedisUrl`]). Each new connection is checked
//! to lead to a master. When a server answers that it is none (any more), or not yet, the connection is given up, the master is
//! looked for again, and the request is repeated once. So all requests must be repeatable.

mod connect;
mod error;
mod facts;
mod first_success;
mod server;
mod timeouts;
mod tls;
mod url;

pub use self::error::RedisServerError;
pub use self::facts::RedisFacts;
pub use self::server::RedisServer;
pub use self::timeouts::RedisTimeouts;
pub use self::url::{InvalidRedisUrl, RedisUrl};
