//! What happens around every request, one thing a file.

pub(in crate::http) mod cors;
mod metrics;
mod panic;
mod rate_limit;
mod request_id;
mod trace;
mod usage;

pub(super) use self::metrics::{HttpMetrics, measure};
pub(super) use self::panic::catch_panic;
pub(super) use self::rate_limit::rate_limit;
pub(super) use self::request_id::request_id;
pub(super) use self::trace::trace;
pub(super) use self::usage::usage;
