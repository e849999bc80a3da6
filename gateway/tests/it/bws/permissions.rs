//! Permissions of the BWS operations; a part of the matrix of all operations.

use bytes::Bytes;
use faceline_gateway::accounts::Permission;
use faceline_gateway::http::Operation;
use serde_json::Value;
use tonic::Code;

use super::{
    CALL_DETECT, CALL_DETECT_VIDEO, CALL_VERIFY, call_as_demo, detection, framed, json_of, refused, token,
    verification,
};
use crate::client::{Answer, send};
use crate::gateway::Gateway;

/// Tries an operation with BWS keys. Each key's id and secret are the name of its permission.
pub(crate) async fn try_operation(
    gateway: &Gateway,
    operation: &Operation,
    permission: Permission,
    right: u16,
) {
    let (path, body): (_, Bytes) = match operation.name {
        "liveness_detection" => (CALL_DETECT, framed(&detection(&["one"]))),
        "photo_verify" => (CALL_VERIFY, framed(&verification(&["one"]))),
        _ => (CALL_DETECT_VIDEO, Bytes::new()),
    };
    let jobs = || gateway.workers.jobs.lock().unwrap().len();
    let before = jobs();
    let (only, not) = (format!("only {}", permission.as_str()), format!("not {}", permission.as_str()));
    let bearer = |key: &str| format!("Bearer {}", token(key, key.as_bytes()));
    let forged = format!("Bearer {}", token(&only, b"another key"));
    for (authorization, status, code) in [
        (String::new(), 401, Code::Unauthenticated),
        (forged, 401, Code::Unauthenticated),
        (bearer(&not), 403, Code::PermissionDenied),
    ] {
        let answer = ask(gateway, operation, &json_of(&["one"]), &authorization).await;
        assert_eq!((refused(&answer).0, refused(&answer).1), (status, code as u64), "{authorization}");
        let headers = [("authorization", authorization.as_str())];
        assert_eq!(call_as_demo(gateway, path, &headers, body.clone()).await.grpc().code(), code);
    }
    assert_eq!(jobs(), before, "{} made a job", operation.name);

    let authorization = bearer(&only);
    let answer = ask(gateway, operation, &json_of(&["one"]), &authorization).await;
    assert_eq!(answer.status, right, "{answer:?}");
    let code = call_as_demo(gateway, path, &[("authorization", &authorization)], body).await.grpc().code();
    assert_eq!(code, if right == 200 { Code::Ok } else { Code::Unimplemented });
}

async fn ask(gateway: &Gateway, operation: &Operation, body: &Value, authorization: &str) -> Answer {
    // BWS accepts no API keys.
    let own = [("apikey", "all"), ("Content-Type", "application/json"), ("Authorization", authorization)];
    let count = if authorization.is_empty() { 2 } else { 3 };
    let line = format!("{} {}", operation.method, operation.path);
    send(gateway.address, &line, &own[..count], body.to_string().as_bytes()).await
}
