//! The document as a whole.

use std::sync::LazyLock;

use utoipa::openapi::path::HttpMethod as PathMethod;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, Paths, ServerBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::names::{APIKEY, BASIC, BEARER, CAPTURE_TOKEN};
use super::{bodies, bws, headers, operation, refusals};
use crate::families::biometric::schema::{self, Named};
use crate::families::face_liveness;
use crate::http::answer::ErrorObject;
use crate::http::operations::{self, HttpMethod, Tag};
use crate::signing::JwkSet;

const ABOUT: &str = "Describes faces, compares them, estimates ages, and detects whether pictures show a \
     living person.\n\nThe service ignores members and parts that are not described here. In a form, a part \
     may be a file or a plain value; the service removes white space and quotes around a text. Answers omit \
     absent members and never contain null.";

/// The document's text.
pub(in crate::http) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let text = document().to_pretty_json();
        text.unwrap_or_else(|error| {
            tracing::error!(%error, "the description of the API cannot be written");
            String::new()
        })
    });
    &TEXT
}

fn document() -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0"));
    let info = InfoBuilder::new()
        .title("Faceline")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license.build()));
    let tags = Tag::ALL.map(|tag| TagBuilder::new().name(tag.name()).description(Some(tag.text())).build());
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .tags(Some(tags))
        .paths(paths())
        .components(Some(components().build()))
        .build()
}

fn paths() -> Paths {
    let mut paths = Paths::new();
    for row in operations::ALL {
        let Some(description) = &row.description else { continue };
        let method = match row.method {
            HttpMethod::Get => PathMethod::Get,
            HttpMethod::Post => PathMethod::Post,
            HttpMethod::Delete => PathMethod::Delete,
        };
        let item = PathItem::new(method, operation::write(row, description));
        match paths.paths.get_mut(row.path) {
            Some(known) => known.merge_operations(item),
            None => {
                paths.paths.insert(row.path.to_owned(), item);
            }
        }
    }
    paths
}

/// Schemas of answers that no other file describes.
fn answer_schemas() -> Vec<Named> {
    let mut all = vec![
        (ErrorObject::name().into_owned(), ErrorObject::schema()),
        (face_liveness::LivenessAnswer::name().into_owned(), face_liveness::LivenessAnswer::schema()),
        (JwkSet::name().into_owned(), JwkSet::schema()),
    ];
    JwkSet::schemas(&mut all);
    all
}

fn components() -> ComponentsBuilder {
    let key = ApiKeyValue::with_description(
        APIKEY,
        "The API key of an account; `demo` if the service has no accounts file.",
    );
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(
        "A token that the client signs with a BWS key of its account (HS256, HS384 or HS512): `sub` is the \
         client, `aud` is \"BWS\", `exp` is the time at which it expires.",
    ));
    let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some(
        "The user and the password of an account; `demo` and `demo` if the service has no accounts file.",
    ));
    let capture_token = ApiKeyValue::with_description(
        CAPTURE_TOKEN,
        "What a device sends in place of a key. The answer that began the replay has this header.",
    );
    let mut components = ComponentsBuilder::new()
        .security_scheme(CAPTURE_TOKEN, SecurityScheme::ApiKey(ApiKey::Header(capture_token)))
        .security_scheme(APIKEY, SecurityScheme::ApiKey(ApiKey::Header(key)))
        .security_scheme(BEARER, SecurityScheme::Http(token.build()))
        .security_scheme(BASIC, SecurityScheme::Http(basic.build()));
    let schemas = schema::schemas().into_iter().chain(bodies::schemas()).chain(answer_schemas());
    for (name, schema) in schemas.chain(bws::schemas()) {
        components = components.schema(name, schema);
    }
    for (name, header) in headers::all() {
        components = components.header(name, header);
    }
    for (name, response) in refusals::all() {
        components = components.response(name, response);
    }
    components
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::family::Family;
    use crate::http::operations::Body;

    /// The document as it is kept beside the code.
    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/api/openapi.json");

    #[test]
    fn the_kept_document_is_that_of_the_code() {
        let kept = std::fs::read_to_string(KEPT).unwrap_or_default();
        let made = format!("{}\n", text());
        if kept != made {
            std::fs::write(KEPT, made).unwrap();
            panic!("{KEPT} was not that of the code; it is now, look at it and commit it");
        }
    }

    #[test]
    fn every_operation_is_described_once() {
        let described: Vec<_> =
            operations::ALL.iter().filter(|row| row.description.is_some()).map(|row| row.name).collect();
        // gRPC has descriptions of its own.
        let mut expected: BTreeSet<_> = operations::ALL
            .iter()
            .filter(|row| row.family != Family::Grpc && !matches!(row.body, Body::GrpcService))
            .map(|row| row.name)
            .collect();
        // These two serve the document itself, the others the pages and scripts for browsers.
        for undescribed in [
            "openapi",
            "docs",
            "capture_page",
            "playground",
            "web_sdk",
            "video_script",
            "network_upload",
            "network_download",
            "network_latency",
            "relays",
            "demo_session",
            "demo_result",
            "demo_image",
        ] {
            assert!(expected.remove(undescribed), "{undescribed}");
        }
        assert_eq!(described.len(), expected.len());
        assert_eq!(described.into_iter().collect::<BTreeSet<_>>(), expected);
        let document: serde_json::Value = serde_json::from_str(text()).unwrap();
        let written = document["paths"].as_object().unwrap().values();
        assert_eq!(written.map(|item| item.as_object().unwrap().len()).sum::<usize>(), expected.len());
    }

    #[test]
    fn what_is_referred_to_is_there() {
        fn references(value: &serde_json::Value, all: &mut BTreeSet<String>) {
            match value {
                serde_json::Value::Object(members) => {
                    all.extend(members.get("$ref").map(|at| at.as_str().unwrap().to_owned()));
                    members.values().for_each(|member| references(member, all));
                }
                serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, all)),
                _ => {}
            }
        }
        let document: serde_json::Value = serde_json::from_str(text()).unwrap();
        let mut all = BTreeSet::new();
        references(&document, &mut all);
        assert!(!all.is_empty());
        for reference in &all {
            assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
        }
        let components = document["components"].as_object().unwrap();
        for kind in ["schemas", "responses", "headers"] {
            for name in components[kind].as_object().unwrap().keys() {
                let reference = format!("#/components/{kind}/{name}");
                assert!(all.contains(&reference), "nobody refers to {reference}");
            }
        }
    }

    #[test]
    fn no_answer_has_null() {
        let document: serde_json::Value = serde_json::from_str(text()).unwrap();
        assert!(!document.to_string().contains("\"null\""));
    }
}
