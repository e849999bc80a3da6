//! Permissions of the operations of BWS; a part of the matrix of all operations.

use faceline_gateway::accounts::Permission;
use faceline_gateway::http::operations::{MakesJob, Operation};
use faceline_gateway::proto::v1::VideoLivenessDetectionRequest;
use serde_json::Value;
use tonic::Code;

use super::{call_as_demo, detection, framed, json_of, refused, token, verification};
use crate::client::{Answer, send};
use crate::gateway::Gateway;

/// The refused credentials, with the status and code of the refusal, and the accepted one. Each BWS key has the name
/// of its permission, and its name is its secret.
fn credentials(permission: Permission) -> ([(String, u16, Code); 3], String) {
    let (only, not) = (format!("only {}", permission.as_str()), format!("not {}", permission.as_str()));
    let bearer = |key: &str| format!("Bearer {}", token(key, key.as_bytes()));
    let forged = format!("Bearer {}", token(&only, b"another key"));
    let refused = [
        (String::new(), 401, Code::Unauthenticated),
        (forged, 401, Code::Unauthenticated),
        (bearer(&not), 403, Code::PermissionDenied),
    ];
    (refused, bearer(&only))
}

/// Checks the number of jobs that were made since there were `before`.
fn check_jobs(gateway: &Gateway, operation: &Operation, before: usize, is_done: bool) {
    let made = gateway.workers.jobs.lock().unwrap().len() - before;
    let expected = usize::from(is_done && operation.makes_job != MakesJob::Never);
    assert_eq!(made, expected, "jobs of {}", operation.path);
}

/// Tries an operation over REST.
pub(crate) async fn try_rest(gateway: &Gateway, operation: &Operation, permission: Permission, right: u16) {
    let before = gateway.workers.jobs.lock().unwrap().len();
    let (wrong, authorization) = credentials(permission);
    for (authorization, status, code) in wrong {
        let answer = ask(gateway, operation, &json_of(&["one"]), &authorization).await;
        assert_eq!((refused(&answer).0, refused(&answer).1), (status, code as u64), "{authorization}");
    }
    check_jobs(gateway, operation, before, false);

    let answer = ask(gateway, operation, &json_of(&["one"]), &authorization).await;
    assert_eq!(answer.status, right, "{answer:?}");
    check_jobs(gateway, operation, before, true);
}

/// Tries an operation over gRPC.
pub(crate) async fn try_grpc(gateway: &Gateway, operation: &Operation, permission: Permission, right: u16) {
    let body = match operation.name {
        "liveness_detection" => framed(&detection(&["one"])),
        "photo_verify" => framed(&verification(&["one"])),
        _ => framed(&VideoLivenessDetectionRequest { video: "a video".into() }),
    };
    let before = gateway.workers.jobs.lock().unwrap().len();
    let (wrong, authorization) = credentials(permission);
    for (authorization, _, code) in wrong {
        let headers = [("authorization", authorization.as_str())];
        let answer = call_as_demo(gateway, operation.path, &headers, body.clone()).await;
        assert_eq!(answer.grpc().code(), code, "{authorization}");
    }
    check_jobs(gateway, operation, before, false);

    let headers = [("authorization", authorization.as_str())];
    let code = call_as_demo(gateway, operation.path, &headers, body).await.grpc().code();
    assert_eq!((code, right), (Code::Ok, 200));
    check_jobs(gateway, operation, before, true);
}

async fn ask(gateway: &Gateway, operation: &Operation, body: &Value, authorization: &str) -> Answer {
    // An API key is not a credential here.
    let own = [("apikey", "all"), ("Content-Type", "application/json"), ("Authorization", authorization)];
    let count = if authorization.is_empty() { 2 } else { 3 };
    let line = format!("{} {}", operation.method.as_str(), operation.path);
    send(gateway.address, &line, &own[..count], body.to_string().as_bytes()).await
}
