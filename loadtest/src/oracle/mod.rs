//! The conservation oracle: every request is an obligation, and at the end the oracle reports the outcome of each.
//!
//! A request's payload identifies it. Each picture shows a face at a place of its own within a canvas and has a number
//! in a comment, so the eyes in an answer (or the picture's digest) identify the request that the *result* belongs to.
//! Identifiers that the gateway merely repeats do not. [`Pictures`] makes the payloads, [`Expected`] describes their
//! answers, [`Ledger`] keeps the obligations, and [`Verdict`] counts their outcomes. Sessions, callbacks and usage
//! records are obligations as well: [`settle`], [`reconcile_callbacks`] and [`reconcile_usage`].

mod answer;
mod callbacks;
mod classify;
mod conclude;
mod deliveries;
mod expected;
mod found;
mod ledger;
mod pictures;
mod reading;
mod settle;
mod usage;
mod verdict;

pub use self::answer::{Answer, SentTo, is_silence};
pub use self::callbacks::{CallbackReceiver, Delivered};
pub use self::classify::{AttemptEnd, classify};
pub use self::deliveries::{reconcile_callbacks, settle_callbacks};
pub use self::expected::{Expected, Operation};
pub use self::ledger::{AttemptId, Ledger, ObligationId, Repeat};
pub use self::pictures::{Payload, PictureSize, Pictures, identity_of};
pub use self::reading::{LivenessReading, Reading};
pub use self::settle::settle;
pub use self::usage::{reconcile_usage, settle_usage};
pub use self::verdict::{Finding, FindingKind, Verdict};
