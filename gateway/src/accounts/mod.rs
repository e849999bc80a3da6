//! Accounts: clients, their keys, and what each key allows.
//!
//! One file holds the keys of all clients (`file.rs`): API keys, users with passwords, and keys that sign the tokens of
//! BWS clients. A running gateway loads the file again when it changes (`authentication.rs`), and `faceline keys` edits
//! it (`command/`).

mod authentication;
mod caller;
mod client_limits;
mod command;
mod demo;
mod edit;
mod error;
mod expiry;
mod failed_logins;
mod file;
mod jwt;
mod list;
mod password;
mod permission;
mod secret;
mod table;
mod webhook;

pub use self::authentication::Accounts;
pub use self::caller::Caller;
pub use self::client_limits::ClientLimits;
pub use self::command::{AddKey, CredentialKind, KeysCommand, KeysCommandError, NewWebhookSecret, RotateKey};
pub(crate) use self::demo::caller as demo_caller;
pub use self::edit::EditError;
pub use self::error::AccountsError;
pub use self::failed_logins::SourceAddress;
pub use self::jwt::BwsKey;
pub use self::permission::Permission;
pub use self::webhook::ClientCallbacks;
