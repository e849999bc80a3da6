//! gRPC on the same listener as HTTP.
//!
//! The methods of BWS are decoded by this crate rather than by tonic, for two reasons: memory for a message is admitted
//! as the message arrives and while it is decompressed, and every fault has the status that the API's documentation
//! gives it. `headers` reads the request's headers, `timeout` its deadline; `message` reads and writes messages,
//! `reply` answers. `health` and `reflection` are tonic's services.

pub(in crate::http) mod headers;
pub(in crate::http) mod health;
pub(in crate::http) mod message;
pub(in crate::http) mod reflection;
pub(in crate::http) mod reply;
pub(in crate::http) mod timeout;
