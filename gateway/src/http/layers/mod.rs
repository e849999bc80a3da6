//! What happens around every request, one thing a file.

mod metrics;
mod panic;
mod rate_limit;
mod request_id;
mod trace;

pub(super) use self::metrics::{HttpMetrics, measure};
pub(super) use self::panic::catch_panic;
pub(super) use self::rate_limit::rate_limit;
pub(super) use self::request_id::request_id;
pub(super) use self::trace::trace;
