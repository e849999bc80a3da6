//! The stores of a gateway: sessions, the transactional outbox, idempotency records, rates and quotas.
//!
//! Each capability is a port of its own: [`sessions::SessionStore`], [`outbox::OutboxStore`],
//! [`idempotency::IdempotencyStore`] and [`rate::RateLimiter`]. The first three have two adapters, which also check their own
//! health ([`StoreHealth`]): [`embedded`] is a file of this process, [`redis`] is a server that gateways share. [`sealed`]
//! encrypts the records before they reach a store.

mod client;
pub mod embedded;
mod error;
mod health;
pub mod idempotency;
mod millis;
mod open;
pub mod outbox;
pub mod rate;
pub mod redis;
pub mod sealed;
pub mod sessions;

pub use self::client::{ClientBound, ClientBounds, ClientFull, ClientUsage};
pub use self::error::StoreError;
pub use self::health::StoreHealth;
pub use self::open::{Stores, open};
