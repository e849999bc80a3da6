//! The middleware of all requests, one layer a file. `routes/router.rs` puts the layers in their order and
//! explains it.

mod bws_headers;
mod catch_panic;
pub(in crate::http) mod cors;
mod match_operation;
mod measure;
mod rate_limit_headers;
mod record;
mod request_id;
mod trace;
mod usage;

pub(super) use self::bws_headers::{BwsHeaders, bws_headers};
pub(super) use self::catch_panic::catch_panic;
pub(super) use self::match_operation::match_operation;
pub(super) use self::measure::measure;
pub(super) use self::rate_limit_headers::rate_limit_headers;
pub(super) use self::record::record;
pub(super) use self::request_id::request_id;
pub(super) use self::trace::trace;
pub(super) use self::usage::usage;
