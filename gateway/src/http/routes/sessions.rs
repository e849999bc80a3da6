//! Handlers of sessions and of the faces in them.

use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::response::Response;
use bytes::Bytes;
use faceline_gateway_store::idempotency;
use faceline_gateway_store::sessions::SessionName;
use uuid::Uuid;

use super::route::Route;
use crate::accounts::Caller;
use crate::fault::Fault;
use crate::http::answer::{self, Answer};
use crate::http::intake::idempotency::IdempotentCall;
use crate::http::intake::receive::{Received, receive_form, receive_json, receive_without_body};
use crate::http::intake::{content_type, require_workers};
use crate::http::{GatewayState, operations};
use crate::request::record;

type SharedState = State<Arc<GatewayState>>;
/// The parameters of the path. They are parsed only after the caller is known, so nobody else learns what a path
/// names.
pub(super) type PathParams = Result<RawPathParams, RawPathParamsRejection>;

pub(super) fn routes() -> [Route; 10] {
    [
        Route::new(&operations::CREATE_SESSION, create_session),
        Route::new(&operations::GET_SESSION, read_session),
        Route::new(&operations::DELETE_SESSION, delete_session),
        Route::new(&operations::CREATE_SESSION_FACE, create_face),
        Route::new(&operations::GET_SESSION_FACES, read_faces),
        Route::new(&operations::DELETE_SESSION_FACES, delete_faces),
        Route::new(&operations::GET_SESSION_FACE, read_face),
        Route::new(&operations::DELETE_SESSION_FACE, delete_face),
        Route::new(&operations::GET_SESSION_FACE_IMAGE, read_image),
        Route::new(&operations::GET_SESSION_MATCHES, read_matches),
    ]
}

async fn create_session(State(state): SharedState, request: Request) -> Answer<Response> {
    let call = IdempotentCall::of(&request)?;
    let Received { body, caller, permit: _permit, .. } = receive_json(&state, request).await?;
    let digest = || idempotency::digest([&*body]);
    let create = async |id| {
        let name = SessionName { client: caller.client.as_ref().to_owned(), id };
        state.biometric.create_session(&name, body.clone()).await?;
        answer::created(&format!("/v2/bio-sessions/{id}"))
    };
    call.answer_once(&state, &caller, digest, create).await
}

async fn read_session(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let Received { caller, permit: _permit, .. } = receive_without_body(&state, request).await?;
    Ok(answer::text(state.biometric.session(&session(&caller, &path)?).await?))
}

async fn delete_session(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let Received { caller, permit: _permit, .. } = receive_without_body(&state, request).await?;
    state.biometric.delete_session(&session(&caller, &path)?, &caller.key_id).await?;
    Ok(answer::no_content())
}

/// Creates a face from a picture, or from the JSON of an earlier answer.
async fn create_face(state: SharedState, path: PathParams, request: Request) -> Answer<Response> {
    if content_type::is_json(request.headers()) {
        create_face_from_json(state, path, request).await
    } else {
        create_face_from_picture(state, path, request).await
    }
}

async fn create_face_from_json(
    State(state): SharedState,
    path: PathParams,
    request: Request,
) -> Answer<Response> {
    let call = IdempotentCall::of(&request)?;
    let Received { body, caller, permit: _permit, .. } = receive_json(&state, request).await?;
    let create = async |id| {
        let name = session(&caller, &path)?;
        state.biometric.create_session_face_from_json(&name, id, utf8(&body)?).await?;
        created_face(&name, id)
    };
    call.answer_once(&state, &caller, || idempotency::digest([&*body]), create).await
}

async fn create_face_from_picture(
    State(state): SharedState,
    path: PathParams,
    request: Request,
) -> Answer<Response> {
    let call = IdempotentCall::of(&request)?;
    let Received { body, caller, context, permit: _permit } = receive_form(&state, request).await?;
    let create = async |id| {
        let name = session(&caller, &path)?;
        state.biometric.create_session_face(&name, id, &body, context).await?;
        created_face(&name, id)
    };
    call.answer_once(&state, &caller, || body.digest(), create).await
}

fn created_face(name: &SessionName, face: Uuid) -> Answer<Response> {
    answer::created(&format!("/v2/bio-sessions/{}/faces/{face}", name.id))
}

async fn read_faces(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let Received { caller, permit: _permit, .. } = receive_without_body(&state, request).await?;
    Ok(answer::text(state.biometric.faces(&session(&caller, &path)?).await?))
}

async fn read_face(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let Received { caller, permit: _permit, .. } = receive_without_body(&state, request).await?;
    Ok(answer::text(state.biometric.face(&session(&caller, &path)?, face(&path)?).await?))
}

async fn delete_face(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let Received { caller, permit: _permit, .. } = receive_without_body(&state, request).await?;
    state.biometric.delete_face(&session(&caller, &path)?, face(&path)?, &caller.key_id).await?;
    Ok(answer::no_content())
}

async fn delete_faces(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let Received { caller, permit: _permit, .. } = receive_without_body(&state, request).await?;
    state.biometric.delete_faces(&session(&caller, &path)?, &caller.key_id).await?;
    Ok(answer::no_content())
}

async fn read_image(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let compression = compression(request.uri().query());
    let Received { caller, context, mut permit, .. } = receive_without_body(&state, request).await?;
    let (name, face) = (session(&caller, &path)?, face(&path)?);
    let compression = compression?;
    let Some(kept) = state.biometric.kept_picture(&name, face).await? else {
        return Ok(answer::no_content());
    };
    // A picture takes as much memory while it is sent as while it is received.
    permit.grow(kept.length)?;
    // Compressing a JPEG again would only lose quality.
    if !compression || kept.is_jpeg() {
        return answer::picture(state.biometric.picture(&name, face, kept).await?, permit);
    }
    require_workers(&state, &context.fingerprint)?;
    permit.begin_job()?;
    record::update(|facts| facts.job = Some(context.job));
    let picture = state.biometric.compressed_picture(&name, face, kept, context).await?;
    permit.end_job();
    permit.grow(picture.file.len())?;
    answer::picture(picture, permit)
}

async fn read_matches(State(state): SharedState, path: PathParams, request: Request) -> Answer<Response> {
    let Received { caller, context, permit: _permit, .. } = receive_without_body(&state, request).await?;
    Ok(answer::text(state.biometric.matches(&session(&caller, &path)?, face(&path)?, context).await?))
}

/// The session that the path names, which must belong to the caller's client.
pub(super) fn session(caller: &Caller, path: &PathParams) -> Result<SessionName, Fault> {
    let id = id(path, operations::SESSION_ID)?.ok_or_else(|| Fault::NotFound("Session not found".into()))?;
    record::update(|facts| facts.session = Some(id));
    Ok(SessionName { client: caller.client.as_ref().to_owned(), id })
}

/// The face that the path names.
fn face(path: &PathParams) -> Result<Uuid, Fault> {
    id(path, operations::FACE_ID)?.ok_or_else(|| Fault::NotFound("Face not found".into()))
}

/// An id in the path; `None` for a text that is no id.
fn id(path: &PathParams, name: &str) -> Result<Option<Uuid>, Fault> {
    Ok(text_in_path(path, name)?.parse().ok())
}

/// A parameter of the path; empty where the path has none of this name.
pub(super) fn text_in_path<'a>(path: &'a PathParams, name: &str) -> Result<&'a str, Fault> {
    let path = path.as_ref().map_err(|_| Fault::Invalid("the path is not percent-encoded UTF-8".into()))?;
    Ok(path.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text))
}

fn utf8(body: &Bytes) -> Result<&str, Fault> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    std::str::from_utf8(body).map_err(|_| Fault::Invalid("the body is not UTF-8".into()))
}

/// The query's `compression`; false where it is absent.
fn compression(query: Option<&str>) -> Result<bool, Fault> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let values: Vec<&str> =
        pairs.filter(|(name, _)| *name == "compression").map(|(_, value)| value).collect();
    match values.as_slice() {
        [] | [""] => Ok(false),
        [value] if value.eq_ignore_ascii_case("true") => Ok(true),
        [value] if value.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Fault::Invalid("`compression` must be true or false".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_true_or_false_in_any_case() {
        for (query, expected) in [
            (None, false),
            (Some("compression=true"), true),
            (Some("a=b&compression=TRUE"), true),
            (Some("compression=False&x"), false),
            (Some("compression="), false),
            (Some("compressions=true"), false),
        ] {
            assert_eq!(compression(query), Ok(expected), "{query:?}");
        }
        for wrong in ["compression=1", "compression=true&compression=false", "compression=yes"] {
            assert!(compression(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
