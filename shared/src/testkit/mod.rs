//! Test support: real servers, a proxy that injects network faults, and callers' tokens.
//!
//! Every server has its own folder and ports and runs as the current user. It is killed and its folder removed when the
//! value is dropped or the test process ends, however it ends.

mod certificates;
mod cut_proxy;
mod pool;
mod pooled_rabbitmq;
mod process;
mod rabbitmq;
mod redis;
#[cfg(feature = "testkit-s3")]
mod s3;
mod sentinel;
mod token;

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

use rand::RngExt as _;

pub use self::certificates::{TestAuthority, TestCertificate};
pub use self::cut_proxy::CutProxy;
pub use self::pool::{Pool, Pooled};
pub use self::pooled_rabbitmq::PooledRabbitMq;
pub use self::rabbitmq::RabbitMq;
pub use self::redis::Redis;
#[cfg(feature = "testkit-s3")]
pub use self::s3::S3;
pub use self::sentinel::Sentinel;
pub use self::token::{demo_token, token};

/// Ports below those that Linux gives to outgoing connections and to listeners on port 0 (32768 and more), so that none of these takes
/// a port before the server for which it was chosen.
const SERVER_PORTS: Range<u16> = 12_000..32_000;

/// A port of 127.0.0.1 that is free now, and that this process has not chosen lately.
///
/// # Panics
/// None is free.
#[must_use]
pub fn free_port() -> u16 {
    // Processes that run at the same time begin at different places.
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(rand::rng().random()));
    let mut choices = SERVER_PORTS
        .map(|_| SERVER_PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % SERVER_PORTS.len() as u16);
    choices
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("127.0.0.1 has a free port")
}
