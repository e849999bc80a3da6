//! The gateway of Faceline: the callers' APIs over HTTP and gRPC, authentication, admission control, and the jobs for
//! the workers.
//!
//! - [`command`] has the commands of the programs that contain a gateway; `gateway` builds everything below from the
//!   settings, and runs and drains it.
//! - [`http`] listens, and passes each request through its layers. [`accounts`] checks the credential, and
//!   [`admission`] admits the request (rate limits, AIMD concurrency limit). [`request`] and [`usage`] keep the facts
//!   about the request.
//! - [`http`] then calls an operation of [`families`], which reads the request and writes the answer; [`signing`] makes
//!   its JWS.
//! - [`families`] send work to the workers through [`jobs`], which publishes a job to the broker, awaits the reply, and
//!   publishes the job again if the broker lost it. They keep sessions and faces through [`sessions`], over the crate
//!   `faceline-gateway-store`.
//! - [`replays`] keeps the videos that devices upload until workers have judged them, and calls service providers back.
//! - `outbox` works on the lanes of the transactional outbox, whose rows [`sessions`] and [`replays`] write.
//! - [`outbound`] fetches pictures that callers name by URL, behind the SSRF guard.
//! - [`fault`] is the table of all errors that callers receive. Errors that reach a caller become a
//!   `Fault`, and [`http`] renders them.
//! - [`proto`] has the gRPC messages.

pub mod accounts;
pub mod admission;
pub mod command;
mod dependencies;
pub mod families;
pub mod fault;
pub mod file_check;
mod gateway;
pub mod http;
pub mod jobs;
pub mod outbound;
mod outbox;
pub mod proto;
pub mod replays;
pub mod request;
mod sealing;
pub mod sessions;
pub mod signing;
mod timestamp;
pub mod usage;

pub use self::gateway::{Gateway, GatewayError, run};
