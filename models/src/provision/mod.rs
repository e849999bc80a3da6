//! Provisioning: makes an installation, which [`Repository`](crate::Repository) opens, from packages of public
//! registries.

#[cfg(test)]
mod address_tests;
mod archive;
mod cache;
mod checksum;
mod client;
mod error;
mod fetch;
mod inspect;
mod progress;
#[cfg(test)]
mod tests;

pub use self::error::ProvisionError;
pub use self::fetch::{Choice, Report, fetch, runtime_library};
pub use self::inspect::{Entry, Fault, list, verify};
pub use self::progress::{Event, Progress, Silent, Terminal};
