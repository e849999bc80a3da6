//! Describes one operation: converts its row to OpenAPI.

use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Deprecated, KnownFormat, ObjectBuilder, Required, SchemaFormat, Type};

use super::names::{APIKEY, BASIC, BEARER, CAPTURE_TOKEN};
use super::{bodies, headers, refusals, success};
use crate::families::biometric::{CHALLENGES, LIVENESS_TYPES, SECURITY_LEVELS};
use crate::http::family::Family;
use crate::http::operations::{
    Access, Description, FACE_ID, LEVEL, MODE, NUMBER_OF_CHALLENGE, Operation, SESSION_ID, Success,
};

/// Writes a row.
pub(super) fn write(row: &Operation, description: &Description) -> OperationBuilder {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(row.name))
        .tag(description.tag.name())
        .summary(Some(description.summary))
        .request_body(bodies::request_body(&row.body));
    if !description.details.is_empty() {
        operation = operation.description(Some(description.details));
    }
    if matches!(description.success, Success::Deprecated(_)) {
        operation = operation.deprecated(Some(Deprecated::True));
    }
    for parameter in parameters(row, description.success) {
        operation = operation.parameter(parameter);
    }
    let needs_key = row.access != Access::Public;
    for (status, mut response) in success::responses(description.success) {
        if row.is_idempotent {
            response = headers::add_replayed(response);
        }
        if row.family == Family::Bws {
            response = headers::add_bws(response);
        }
        operation = operation.response(status, headers::add_common(response, needs_key).build());
    }
    if needs_key {
        let scheme = match row.family {
            Family::BiometricServices => APIKEY,
            Family::Bws | Family::Grpc => BEARER,
            Family::FaceLiveness => BASIC,
        };
        operation = operation.security(SecurityRequirement::new(scheme, [""; 0]));
        if matches!(row.access, Access::PermissionOrCaptureToken(_) | Access::PermissionOrCapturePage(_)) {
            operation = operation.security(SecurityRequirement::new(CAPTURE_TOKEN, [""; 0]));
        }
    }
    add_refusals(operation, row, description)
}

fn parameters(row: &Operation, success: Success) -> Vec<Parameter> {
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
    if row.family == Family::Bws {
        all.push(headers::reference_number());
    }
    if row.path.contains(&format!("{{{SESSION_ID}}}")) {
        all.push(id(SESSION_ID, "The session's id."));
    }
    if row.path.contains(&format!("{{{FACE_ID}}}")) {
        all.push(id(FACE_ID, "The face's id."));
    }
    if row.path.contains(&format!("{{{MODE}}}")) {
        let in_path = |name: &str, text: &str, values: &[&str]| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .description(Some(text))
                .schema(Some(
                    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values.iter().copied())),
                ))
                .build()
        };
        all.push(in_path(MODE, "The mode of the challenge.", &LIVENESS_TYPES));
        all.push(in_path(LEVEL, "The security level of the challenge.", &SECURITY_LEVELS));
        let count = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(*CHALLENGES.start()))
            .maximum(Some(*CHALLENGES.end()));
        let text = "The number of challenges; not compared if absent.";
        all.push(optional(NUMBER_OF_CHALLENGE, ParameterIn::Query, text, count));
    }
    if matches!(success, Success::Picture) {
        let flag = ObjectBuilder::new().schema_type(Type::Boolean);
        let text = "Whether to convert a picture of another format to JPEG; false if absent.";
        all.push(optional("compression", ParameterIn::Query, text, flag));
    }
    if row.is_idempotent {
        let key = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[!-~]{1,255}$"));
        let text =
            "For one day, a repeated request with the same key and body gets the answer to the first one.";
        all.push(optional("Idempotency-Key", ParameterIn::Header, text, key));
    }
    all
}

fn add_refusals(
    mut operation: OperationBuilder,
    row: &Operation,
    description: &Description,
) -> OperationBuilder {
    if row.access == Access::Public {
        for status in description.refusals {
            operation = operation.response(status.to_string(), refusals::not_ready());
        }
        return operation;
    }
    let idempotency: &[u16] = if row.is_idempotent { &[409, 422] } else { &[] };
    for status in description.refusals.iter().chain(idempotency) {
        if let Some(refusal) = refusals::reference_to(*status, row.family) {
            operation = operation.response(status.to_string(), refusal);
        }
    }
    operation.response("default", refusals::reference_to_default(row.family))
}
