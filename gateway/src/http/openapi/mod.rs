//! The description of the API (OpenAPI 3.1), made of the table of operations, the tables of forms, and the types of
//! answers.
//!
//! `document` puts it together. `operation` writes one row of the table. `bodies` describes the bodies of requests;
//! `success`, `refusals` and `headers` describe the answers; `bws` has the schemas of BWS. `names` holds the names to
//! which several of them refer.

mod bodies;
mod bws;
mod document;
mod headers;
pub(super) mod names;
mod operation;
mod refusals;
mod success;

pub(super) use self::document::text;
