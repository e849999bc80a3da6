//! For tests: real servers, a proxy that injects network faults, and callers' tokens.
//!
//! Every server has its own folder and ports and runs as the current user. It is killed and its folder removed when the
//! value is dropped or the test process ends, however it ends.

mod certificates;
mod cut_proxy;
mod process;
mod rabbitmq;
mod redis;
#[cfg(feature = "testkit-s3")]
mod s3;
mod sentinel;
mod token;

use std::net::{Ipv4Addr, TcpListener};

pub use self::certificates::{TestAuthority, TestCertificate};
pub use self::cut_proxy::CutProxy;
pub use self::rabbitmq::RabbitMq;
pub use self::redis::Redis;
#[cfg(feature = "testkit-s3")]
pub use self::s3::S3;
pub use self::sentinel::Sentinel;
pub use self::token::{demo_token, token};

/// A port of 127.0.0.1 that is free now.
///
/// # Panics
/// None is free.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("127.0.0.1 has a free port")
        .port()
}
