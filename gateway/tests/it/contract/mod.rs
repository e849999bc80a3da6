//! Tests of Biometric Services against its specification. Each test declares the operations, statuses and fields that
//! it covers, and a pair of the specification without a test fails here. The table in
//! `gateway/api/biometric-services.md` is generated from the declarations.

mod ages;
mod direct;
mod everywhere;
mod faces;
mod matches;
pub(crate) mod probes;
mod replays;
mod sessions;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use self::text::OPERATIONS;

/// An operation, status and fields that a test covers.
pub(crate) struct Proof {
    test: &'static str,
    operation: &'static str,
    status: u16,
    fields: &'static [&'static str],
}

/// Makes tests of functions, and records the pairs that they cover.
macro_rules! contract {
    ($($test:ident: [$(($operation:literal, $status:literal $(, [$($field:literal),+ $(,)?])?)),+ $(,)?];)+) => {
        /// The pairs that the tests of this file cover.
        pub(crate) const PROOFS: &[$crate::contract::Proof] = &[$($(
            $crate::contract::Proof {
                test: stringify!($test),
                operation: $operation,
                status: $status,
                fields: &[$($($field),+)?],
            }
        ),+),+];

        mod tests {
            $(#[tokio::test] async fn $test() { super::$test().await; })+
        }
    };
}
pub(crate) use contract;

/// The document that contains the table.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/api/biometric-services.md");
/// The OpenAPI document.
const DESCRIPTION: &str = include_str!("../../../api/openapi.json");
/// The table is between these lines.
const BEGIN: &str = "<!-- table of the tests: begin -->\n";
const END: &str = "<!-- table of the tests: end -->\n";

fn proofs() -> impl Iterator<Item = &'static Proof> {
    [
        sessions::PROOFS,
        faces::PROOFS,
        matches::PROOFS,
        direct::PROOFS,
        ages::PROOFS,
        replays::PROOFS,
        everywhere::PROOFS,
    ]
    .into_iter()
    .flatten()
}

#[test]
fn every_pair_of_the_text_has_a_test() {
    let statuses: BTreeSet<_> = proofs().map(|proof| (proof.operation, proof.status)).collect();
    let fields: BTreeSet<_> =
        proofs().flat_map(|proof| proof.fields.iter().map(|field| (proof.operation, *field))).collect();
    let mut missing = Vec::new();
    for operation in OPERATIONS {
        let name = operation.name;
        let unproven = operation.statuses.iter().filter(|status| !statuses.contains(&(name, **status)));
        missing.extend(unproven.map(|status| format!("{name} {status}")));
        let unproven = operation.fields.iter().filter(|field| !fields.contains(&(name, *field)));
        missing.extend(unproven.map(|field| format!("{name} {field}")));
    }
    assert!(missing.is_empty(), "without a test: {missing:#?}");
}

#[test]
fn what_tests_prove_is_named_as_in_the_text() {
    for proof in proofs() {
        let operation = OPERATIONS.iter().find(|operation| operation.name == proof.operation);
        let operation =
            operation.unwrap_or_else(|| panic!("{}: no operation {}", proof.test, proof.operation));
        for field in proof.fields {
            assert!(operation.fields.contains(field), "{}: {} has no {field}", proof.test, proof.operation);
        }
    }
}

#[test]
fn every_proven_status_is_described() {
    let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
    for proof in proofs() {
        let operation = OPERATIONS.iter().find(|operation| operation.name == proof.operation).unwrap();
        let (method, path) = operation.route.split_once(' ').unwrap();
        let path = path.replace("{bioSessionId}", "{session}");
        let path = path.replace("{faceId}", "{face}").replace("{referenceFaceId}", "{face}");
        let responses = &description["paths"][path][method.to_lowercase()]["responses"];
        let status = match (proof.operation, proof.status) {
            // An internal error, an unknown path, and a replay in progress.
            (_, 500) | ("GetCapabilities", 404) | ("DeleteBioSession" | "InitLivenessParameters", 409) => {
                "default".to_owned()
            }
            (_, status) => status.to_string(),
        };
        assert!(responses[&status].is_object(), "{} {} of {}", proof.operation, status, proof.test);
    }
}

#[test]
fn the_table_of_the_document_is_that_of_the_tests() {
    let path = Path::new(DOCUMENT);
    let document = std::fs::read_to_string(path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}{}{END}{after}", table());
    if document != expected {
        std::fs::write(path, expected).unwrap();
        panic!("the table of {DOCUMENT} was not that of the tests; it is now, look at it and commit it");
    }
}

/// For each operation, its statuses and fields with the tests that cover them. Statuses outside the specification are
/// marked.
fn table() -> String {
    let mut text = String::new();
    for operation in OPERATIONS {
        let own = || proofs().filter(|proof| proof.operation == operation.name);
        write!(
            text,
            "\n### {}\n\n`{}`\n\n| status | shown by |\n| --- | --- |\n",
            operation.name, operation.route
        )
        .unwrap();
        let mut statuses: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
        for proof in own() {
            statuses.entry(proof.status).or_default().insert(proof.test);
        }
        for (status, tests) in statuses {
            let mark = if operation.statuses.contains(&status) { "" } else { " (not in the text's table)" };
            writeln!(text, "| {status}{mark} | {} |", names(tests)).unwrap();
        }
        if operation.fields.is_empty() {
            continue;
        }
        text.push_str("\n| field | shown by |\n| --- | --- |\n");
        for field in operation.fields {
            let tests = own().filter(|proof| proof.fields.contains(field)).map(|proof| proof.test).collect();
            writeln!(text, "| `{field}` | {} |", names(tests)).unwrap();
        }
    }
    text.push('\n');
    text
}

fn names(tests: BTreeSet<&str>) -> String {
    tests.into_iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ")
}
