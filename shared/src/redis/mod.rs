//! The Redis client of stores, blobs and the rate limiter. Only this module parses addresses, finds the master, and
//! replaces a connection after a failure or a failover.
//!
//! A [`RedisServer`] represents the present master of an installation, not a machine. Its address is a server, a list
//! of servers of which one is the master, or a list of sentinels that know the master ([`RedisUrl`]). Each new
//! connection is checked to lead to a master. If a server answers that it is not the master, no longer or not yet, the
//! client closes the connection, looks for the master again and repeats the request once. So all requests must be
//! idempotent.

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
