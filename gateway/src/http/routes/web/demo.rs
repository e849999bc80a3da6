//! Sessions of the demonstration. The capture page gets a session without a key, since no key may reach a page. The
//! sessions belong to the demo account, which everybody on this machine may use.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use faceline_gateway_store::rate::Rate;
use faceline_gateway_store::sessions::SessionName;
use faceline_shared::settings::{is_loopback_host, is_loopback_origin};
use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use super::network::check_rate;
use crate::accounts::{Caller, demo_caller};
use crate::families::biometric::NewReplay;
use crate::fault::Fault;
use crate::http::answer::{self, Answer};
use crate::http::intake::content_type;
use crate::http::routes::route::Route;
use crate::http::routes::sessions::{PathParams, session};
use crate::http::{GatewayState, operations};
use crate::request::record::RequestRecord;

type SharedState = State<Arc<GatewayState>>;

/// Maximum bytes of the body of a request for a session.
const MAX_BODY_BYTES: usize = 4 << 10;
/// Maximum time in which the body has to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The rate at which one address may ask for sessions.
const SESSIONS: Rate = Rate { requests_per_second: 2, burst: 60 };

/// The session that a page asks for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewDemoSession {
    #[serde(rename = "type")]
    liveness: String,
    security_level: Option<String>,
    nb_challenge: Option<Value>,
}

pub(super) fn routes() -> [Route; 3] {
    [
        Route::new(&operations::DEMO_SESSION, create),
        Route::new(&operations::DEMO_RESULT, result),
        Route::new(&operations::DEMO_IMAGE, best_image),
    ]
}

/// Creates a session of web capture, and answers with all that its device needs.
async fn create(State(state): SharedState, request: Request) -> Answer<Response> {
    let (parts, body) = request.into_parts();
    let caller = caller(&parts)?;
    check_rate(&state.address_rates, "demo", &parts.extensions, SESSIONS).await?;
    // Browsers let pages of other origins send other kinds of bodies without a preflight request.
    content_type::require_json(&parts.headers)?;
    let wanted = read(body).await?;
    let name = SessionName { client: caller.client.as_ref().to_owned(), id: Uuid::new_v4() };
    let wanted = json!({
        "livenessMode": wanted.liveness,
        "securityLevel": wanted.security_level,
        "numberOfChallenge": wanted.nb_challenge,
    });
    let body = Bytes::from(wanted.to_string());
    let NewReplay { answer, capture_token } =
        state.biometric.init_web_capture(&name, &caller.key_id, body).await?;
    // The parameters are signed, so they are copied byte for byte.
    let head = format!(r#"{{"sessionId":"{}","captureToken":"{capture_token}","parameters":"#, name.id);
    let mut response = answer::text([head.as_bytes(), &answer, b"}"].concat());
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

async fn result(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let caller = caller(&request.into_parts().0)?;
    Ok(answer::text(state.biometric.replay_status(&session(&caller, &path)?).await?))
}

async fn best_image(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let caller = caller(&request.into_parts().0)?;
    let image = state.biometric.best_image(&session(&caller, &path)?).await?;
    let image = image.ok_or_else(|| Fault::NotFound("The replay has no best image".into()))?;
    Ok(answer::binary(HeaderValue::from_static("image/jpeg"), Body::from(image)))
}

/// Returns the caller of the demo account, and notes it as the caller of this request.
///
/// # Errors
/// [`Fault::Forbidden`] for a page of another machine, also if its host name resolves to this one (DNS rebinding).
fn caller(parts: &Parts) -> Result<Caller, Fault> {
    let host = parts.uri.authority().map(Authority::as_str);
    let host = host.or_else(|| parts.headers.get(HOST)?.to_str().ok());
    let is_local = |origin: &HeaderValue| origin.to_str().is_ok_and(is_loopback_origin);
    if !host.is_some_and(is_loopback_host) || !parts.headers.get_all(ORIGIN).iter().all(is_local) {
        return Err(Fault::Forbidden("the demonstration, on this machine only"));
    }
    let caller = demo_caller();
    RequestRecord::current()?.update(|facts| facts.caller = Some(caller.clone()));
    Ok(caller)
}

async fn read(body: Body) -> Result<NewDemoSession, Fault> {
    let read = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    let bytes = read.map_err(|_| Fault::SlowBody)?;
    let bytes =
        bytes.map_err(|_| Fault::TooLarge { limit: MAX_BODY_BYTES, place: String::new() })?.to_bytes();
    serde_json::from_slice(&bytes)
        .map_err(|error| Fault::Invalid(format!("the body is not the JSON of a session: {error}")))
}
