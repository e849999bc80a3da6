//! Each operation in words, and the statuses that it answers with.

use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{KnownFormat, ObjectBuilder, Required, SchemaFormat, Type};

use super::answers::{self, Success};
use super::{APIKEY, BASIC, BEARER, bws, forms};
use crate::families::biometric::schema::name;
use crate::http::answer::family::Family;
use crate::http::routes::operation::{FACE_ID, SESSION_ID};

/// Groups of operations.
pub(super) const TAGS: [(&str, &str); 7] = [
    ("Faces and matches", "Pictures that belong to no session: nothing is kept."),
    ("Sessions", "What belongs to a session ends with it."),
    ("Faces of a session", "Kept until they are deleted, or the session ends."),
    ("BWS", "Whether somebody is alive, and the one in a photo. The same is served over gRPC."),
    ("Face Liveness", "Passive liveness detection, for users with passwords."),
    ("Service", "What the service can do."),
    ("Public", "Without a key."),
];

/// An operation in words.
pub(super) struct Described {
    /// Its name, by which it is known elsewhere.
    pub(super) name: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    /// A key is needed.
    keyed: bool,
    /// Says which kind of key, and how refusals look.
    family: Family,
    body: Option<fn() -> RequestBody>,
    success: Success,
    /// Refusals that callers can bring about, or that outages do; all others are the default.
    refusals: &'static [u16],
    /// The header `Idempotency-Key` is read.
    idempotent: bool,
}

/// What an operation that needs a key and nothing else is refused with.
const KEYED: Described = Described {
    name: "",
    tag: "Service",
    summary: "",
    description: "",
    keyed: true,
    family: Family::BiometricServices,
    body: None,
    success: Success::Nothing,
    refusals: &[401, 403],
    idempotent: false,
};

/// What an operation of BWS has in common with the others.
const BWS: Described = Described {
    tag: TAGS[3].0,
    success: Success::One(bws::LIVENESS_DETECTION),
    refusals: &[400, 401, 403, 413, 429, 503],
    family: Family::Bws,
    ..KEYED
};

const OF_FORMS: &[u16] = &[400, 401, 403, 413, 429, 503];
const OF_SESSIONS: &[u16] = &[400, 401, 403, 404, 429, 503];

/// All operations.
pub(super) static DESCRIBED: &[Described] = &[
    Described {
        name: "capabilities",
        summary: "What the service can do",
        success: Success::One(name::CAPABILITIES),
        refusals: &[401, 403, 429, 500],
        ..KEYED
    },
    Described {
        name: "create_face",
        tag: TAGS[0].0,
        summary: "Describe the face in a picture",
        description: "A picture in which nobody is has quality -10000 and no template. More than one face is refused.",
        body: Some(|| forms::FACE.body()),
        success: Success::One(name::DIRECT_FACE),
        refusals: OF_FORMS,
        ..KEYED
    },
    Described {
        name: "match_images",
        tag: TAGS[0].0,
        summary: "Compare the faces in two pictures",
        body: Some(|| forms::IMAGES.body()),
        success: Success::One(name::DIRECT_MATCH),
        refusals: OF_FORMS,
        ..KEYED
    },
    Described {
        name: "match",
        tag: TAGS[0].0,
        summary: "Compare a face of an earlier answer with a picture",
        body: Some(|| forms::REFERENCE.body()),
        success: Success::One(name::DIRECT_MATCH),
        refusals: OF_FORMS,
        ..KEYED
    },
    Described {
        name: "create_age",
        tag: TAGS[0].0,
        summary: "Estimate the age of the person in a picture",
        body: Some(|| forms::AGE.body()),
        success: Success::One(name::AGE),
        refusals: OF_FORMS,
        ..KEYED
    },
    Described {
        name: "create_session",
        tag: TAGS[1].0,
        summary: "Create a session",
        description: "An empty body creates one, too.",
        body: Some(forms::new_session),
        success: Success::Created,
        refusals: OF_FORMS,
        idempotent: true,
        ..KEYED
    },
    Described {
        name: "get_session",
        tag: TAGS[1].0,
        summary: "Read a session",
        success: Success::One(name::SESSION),
        refusals: OF_SESSIONS,
        ..KEYED
    },
    Described {
        name: "delete_session",
        tag: TAGS[1].0,
        summary: "End a session",
        description: "Its faces and their pictures are deleted.",
        refusals: OF_SESSIONS,
        ..KEYED
    },
    Described {
        name: "create_session_face",
        tag: TAGS[2].0,
        summary: "Add a face to a session",
        description: "From a picture, or from the JSON of an earlier answer.",
        body: Some(forms::new_face),
        success: Success::Created,
        refusals: &[400, 401, 403, 404, 413, 429, 503],
        idempotent: true,
        ..KEYED
    },
    Described {
        name: "get_session_faces",
        tag: TAGS[2].0,
        summary: "Read all faces of a session",
        description: "In the order in which they were added.",
        success: Success::List(name::SESSION_FACE),
        refusals: OF_SESSIONS,
        ..KEYED
    },
    Described {
        name: "delete_session_faces",
        tag: TAGS[2].0,
        summary: "Delete all faces of a session",
        refusals: OF_SESSIONS,
        ..KEYED
    },
    Described {
        name: "get_session_face",
        tag: TAGS[2].0,
        summary: "Read a face of a session",
        success: Success::One(name::SESSION_FACE),
        refusals: OF_SESSIONS,
        ..KEYED
    },
    Described {
        name: "delete_session_face",
        tag: TAGS[2].0,
        summary: "Delete a face of a session",
        refusals: OF_SESSIONS,
        ..KEYED
    },
    Described {
        name: "get_session_face_image",
        tag: TAGS[2].0,
        summary: "Read the picture of a face",
        description: "As it was received, under the media type that its first bytes say.",
        success: Success::Picture,
        refusals: OF_SESSIONS,
        ..KEYED
    },
    Described {
        name: "get_session_matches",
        tag: TAGS[2].0,
        summary: "Compare a face with all others of its session",
        description: "Best first, never cut by a threshold.",
        success: Success::List(name::SESSION_MATCH),
        refusals: OF_SESSIONS,
        ..KEYED
    },
    Described {
        name: "liveness_detection",
        summary: "Detect whether one or two pictures show a living person",
        description: "With two pictures the person has to have moved; with tags on the second, in their directions.",
        body: Some(bws::detection),
        ..BWS
    },
    Described {
        name: "photo_verify",
        summary: "Compare live pictures with a photo",
        description: "Unless that is disabled, the liveness of the live pictures is detected, too.",
        body: Some(bws::verification),
        success: Success::One(bws::PHOTO_VERIFY),
        ..BWS
    },
    Described {
        name: "video_liveness_detection",
        summary: "Detect whether a video shows a living person",
        description: "Not in this version of the service, which answers with 501.",
        body: Some(bws::video),
        refusals: &[401, 403, 429, 501],
        ..BWS
    },
    Described {
        name: "face_liveness",
        tag: TAGS[4].0,
        summary: "Judge whether a picture shows a living person",
        description: "What is wrong with the picture is answered with 200, `hasError` and a code: FACE_NOT_FOUND, \
                      TOO_MANY_FACES, FACE_TOO_CLOSE, FACE_CLOSE_TO_BORDER, FACE_CROPPED, FACE_IS_OCCLUDED, \
                      FACE_TOO_SMALL, FACE_ANGLE_TOO_LARGE or INVALID_IMAGE.",
        family: Family::FaceLiveness,
        body: Some(forms::liveness),
        success: Success::Liveness,
        refusals: OF_FORMS,
        ..KEYED
    },
    Described { name: "jwks", summary: "Keys that check signatures", success: Success::Keys, ..PUBLIC },
    Described {
        name: "signing_certificate",
        summary: "Certificates of the keys that check signatures",
        success: Success::Text("application/x-pem-file"),
        ..PUBLIC
    },
    Described { name: "livez", summary: "Whether the process runs", ..PUBLIC },
    Described { name: "readyz", summary: "Whether the process can do its work", refusals: &[503], ..PUBLIC },
];

/// What everybody may ask.
const PUBLIC: Described =
    Described { tag: "Public", keyed: false, success: Success::Text("text/plain"), refusals: &[], ..KEYED };

impl Described {
    /// As the document has it.
    pub(super) fn operation(&self, route: &str) -> OperationBuilder {
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.name))
            .tag(self.tag)
            .summary(Some(self.summary))
            .request_body(self.body.map(|body| body()));
        if !self.description.is_empty() {
            operation = operation.description(Some(self.description));
        }
        for parameter in self.parameters(route) {
            operation = operation.parameter(parameter);
        }
        for (status, mut response) in self.success.responses() {
            if self.idempotent {
                response = answers::with_replayed(response);
            }
            if self.family == Family::Bws {
                response = answers::with_bws(response);
            }
            operation = operation.response(status, answers::with_headers(response, self.keyed).build());
        }
        if self.keyed {
            let scheme = match self.family {
                Family::BiometricServices => APIKEY,
                Family::Bws | Family::Grpc => BEARER,
                Family::FaceLiveness => BASIC,
            };
            operation = operation.security(SecurityRequirement::new(scheme, [""; 0]));
        }
        self.refused(operation)
    }

    fn parameters(&self, route: &str) -> Vec<Parameter> {
        let id = |name: &str, text: &str| {
            let uuid = SchemaFormat::KnownFormat(KnownFormat::Uuid);
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .description(Some(text))
                .schema(Some(ObjectBuilder::new().schema_type(Type::String).format(Some(uuid))))
                .build()
        };
        let optional = |name: &str, at, text: &str, schema: ObjectBuilder| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(at)
                .description(Some(text))
                .schema(Some(schema))
                .build()
        };
        let mut all = Vec::new();
        if self.family == Family::Bws {
            all.push(bws::reference_number());
        }
        if route.contains(&format!("{{{SESSION_ID}}}")) {
            all.push(id(SESSION_ID, "The session's id."));
        }
        if route.contains(&format!("{{{FACE_ID}}}")) {
            all.push(id(FACE_ID, "The face's id."));
        }
        if matches!(self.success, Success::Picture) {
            let flag = ObjectBuilder::new().schema_type(Type::Boolean);
            let text = "Whether a picture that is no JPEG is made one; false where it is absent.";
            all.push(optional("compression", ParameterIn::Query, text, flag));
        }
        if self.idempotent {
            let key = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[!-~]{1,255}$"));
            let text = "A request that comes again with the same key and body gets the first one's answer, for a day.";
            all.push(optional("Idempotency-Key", ParameterIn::Header, text, key));
        }
        all
    }

    fn refused(&self, mut operation: OperationBuilder) -> OperationBuilder {
        if !self.keyed {
            for status in self.refusals {
                operation = operation.response(status.to_string(), answers::not_ready());
            }
            return operation;
        }
        let of_keys: &[u16] = if self.idempotent { &[409, 422] } else { &[] };
        for status in self.refusals.iter().chain(of_keys) {
            if let Some(refusal) = answers::refusal(*status, self.family) {
                operation = operation.response(status.to_string(), refusal);
            }
        }
        operation.response("default", answers::failure(self.family))
    }
}
