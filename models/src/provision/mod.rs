//! Provisioning: packages of public registries become an installation that [`Repository`](crate::Repository) opens.

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
