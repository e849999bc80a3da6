//! Routes of sessions and of the faces in them.

use std::sync::Arc;

use crate::fault::Fault;
use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{self, RawPathParams, Request};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use faceline_gateway_store::idempotency;
use faceline_gateway_store::sessions::SessionName;
use uuid::Uuid;

use super::operation;
use crate::accounts::{Caller, Permission};
use crate::families::biometric;
use crate::http::State;
use crate::http::answer::{self, Answer};
use crate::http::intake::content_type;
use crate::http::intake::idempotency::CreatingCall;
use crate::http::intake::receive::{
    Received, Work, receive_bare, receive_form, receive_json, require_workers,
};
use crate::request::record;

/// What creating a face is called, whatever it is made of.
const CREATE_FACE: &str = "create_session_face";

type Shared = extract::State<Arc<State>>;
/// Looked at once it is known who calls.
type Path = Result<RawPathParams, RawPathParamsRejection>;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route(operation::SESSIONS, post(create_session))
        .route(operation::SESSION, get(read_session).delete(delete_session))
        .route(operation::SESSION_FACES, post(create_face).get(read_faces).delete(delete_faces))
        .route(operation::SESSION_FACE, get(read_face).delete(delete_face))
        .route(operation::SESSION_FACE_IMAGE, get(read_image))
        .route(operation::SESSION_MATCHES, get(read_matches))
}

async fn create_session(extract::State(state): Shared, request: Request) -> Answer<Response> {
    let call = CreatingCall::of("create_session", &request);
    let Received { body, caller, ticket: _ticket, .. } =
        receive_json(&state, request, Permission::SessionsCreate).await?;
    let digest = || idempotency::digest([&*body]);
    let create = async |id| {
        let name = SessionName { client: caller.client.as_ref().to_owned(), id };
        state.biometric.create_session(&name, body.clone()).await?;
        answer::created(&format!("/v2/bio-sessions/{id}"))
    };
    call.once(&state, &caller, digest, create).await
}

async fn read_session(extract::State(state): Shared, path: Path, request: Request) -> Answer<Response> {
    let Received { caller, ticket: _ticket, .. } =
        receive_bare(&state, request, Permission::SessionsRead, Work::None).await?;
    Ok(answer::text(state.biometric.session(&session(&caller, &path)?).await?))
}

async fn delete_session(extract::State(state): Shared, path: Path, request: Request) -> Answer<Response> {
    let Received { caller, ticket: _ticket, .. } =
        receive_bare(&state, request, Permission::SessionsDelete, Work::None).await?;
    state.biometric.delete_session(&session(&caller, &path)?, &caller.key_id).await?;
    Ok(answer::nothing())
}

/// From a picture, or from the JSON of an earlier answer.
async fn create_face(state: Shared, path: Path, request: Request) -> Answer<Response> {
    if content_type::is_json(request.headers()) {
        create_face_from_json(state, path, request).await
    } else {
        create_face_from_picture(state, path, request).await
    }
}

async fn create_face_from_json(
    extract::State(state): Shared,
    path: Path,
    request: Request,
) -> Answer<Response> {
    let call = CreatingCall::of(CREATE_FACE, &request);
    let Received { body, caller, ticket: _ticket, .. } =
        receive_json(&state, request, Permission::FacesCreate).await?;
    let create = async |id| {
        let name = session(&caller, &path)?;
        state.biometric.create_session_face_from_json(&name, id, utf8(&body)?).await?;
        created_face(&name, id)
    };
    call.once(&state, &caller, || idempotency::digest([&*body]), create).await
}

async fn create_face_from_picture(
    extract::State(state): Shared,
    path: Path,
    request: Request,
) -> Answer<Response> {
    let creating = CreatingCall::of(CREATE_FACE, &request);
    let Received { body, caller, context, ticket: _ticket } =
        receive_form(&state, request, Permission::FacesCreate, &biometric::FACES).await?;
    let create = async |id| {
        let name = session(&caller, &path)?;
        state.biometric.create_session_face(&name, id, &body, context).await?;
        created_face(&name, id)
    };
    creating.once(&state, &caller, || body.digest(), create).await
}

fn created_face(name: &SessionName, face: Uuid) -> Answer<Response> {
    answer::created(&format!("/v2/bio-sessions/{}/faces/{face}", name.id))
}

async fn read_faces(extract::State(state): Shared, path: Path, request: Request) -> Answer<Response> {
    let Received { caller, ticket: _ticket, .. } =
        receive_bare(&state, request, Permission::FacesRead, Work::None).await?;
    Ok(answer::text(state.biometric.faces(&session(&caller, &path)?).await?))
}

async fn read_face(extract::State(state): Shared, path: Path, request: Request) -> Answer<Response> {
    let Received { caller, ticket: _ticket, .. } =
        receive_bare(&state, request, Permission::FacesRead, Work::None).await?;
    Ok(answer::text(state.biometric.face(&session(&caller, &path)?, face(&path)?).await?))
}

async fn delete_face(extract::State(state): Shared, path: Path, request: Request) -> Answer<Response> {
    let Received { caller, ticket: _ticket, .. } =
        receive_bare(&state, request, Permission::FacesDelete, Work::None).await?;
    state.biometric.delete_face(&session(&caller, &path)?, face(&path)?, &caller.key_id).await?;
    Ok(answer::nothing())
}

async fn delete_faces(extract::State(state): Shared, path: Path, request: Request) -> Answer<Response> {
    let Received { caller, ticket: _ticket, .. } =
        receive_bare(&state, request, Permission::FacesDelete, Work::None).await?;
    state.biometric.delete_faces(&session(&caller, &path)?, &caller.key_id).await?;
    Ok(answer::nothing())
}

async fn read_image(extract::State(state): Shared, path: Path, request: Request) -> Answer<Response> {
    let compression = compression(request.uri().query());
    let Received { caller, context, mut ticket, .. } =
        receive_bare(&state, request, Permission::FacesRead, Work::None).await?;
    let (name, face) = (session(&caller, &path)?, face(&path)?);
    let compression = compression?;
    let Some(kept) = state.biometric.kept_picture(&name, face).await? else {
        return Ok(answer::nothing());
    };
    // A picture takes room on its way out as on its way in.
    ticket.grow(kept.length)?;
    // What is a JPEG already would only get worse.
    if !compression || kept.is_jpeg() {
        return answer::picture(state.biometric.picture(&name, face, kept).await?, ticket);
    }
    require_workers(&state, &context.fingerprint)?;
    ticket.begin_job()?;
    record::note(|facts| facts.job = Some(context.job));
    let picture = state.biometric.compressed_picture(&name, face, kept, context).await?;
    ticket.end_job();
    ticket.grow(picture.file.len())?;
    answer::picture(picture, ticket)
}

async fn read_matches(extract::State(state): Shared, path: Path, request: Request) -> Answer<Response> {
    let Received { caller, context, ticket: _ticket, .. } =
        receive_bare(&state, request, Permission::Match, Work::Job).await?;
    Ok(answer::text(state.biometric.matches(&session(&caller, &path)?, face(&path)?, context).await?))
}

/// The session that a path names, as one of the caller's client.
fn session(caller: &Caller, path: &Path) -> Result<SessionName, Fault> {
    let id = id(path, operation::SESSION_ID)?.ok_or_else(|| Fault::NotFound("Session not found".into()))?;
    record::note(|facts| facts.session = Some(id));
    Ok(SessionName { client: caller.client.as_ref().to_owned(), id })
}

/// The face that a path names.
fn face(path: &Path) -> Result<Uuid, Fault> {
    id(path, operation::FACE_ID)?.ok_or_else(|| Fault::NotFound("Face not found".into()))
}

/// An id in a path; what is no id names nothing.
fn id(path: &Path, name: &str) -> Result<Option<Uuid>, Fault> {
    let path = path.as_ref().map_err(|_| Fault::Invalid("the path is not percent-encoded UTF-8".into()))?;
    Ok(path.iter().find(|(known, _)| *known == name).and_then(|(_, text)| text.parse().ok()))
}

fn utf8(body: &Bytes) -> Result<&str, Fault> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    std::str::from_utf8(body).map_err(|_| Fault::Invalid("the body is not UTF-8".into()))
}

/// The query's `compression`; false where it is not there.
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
