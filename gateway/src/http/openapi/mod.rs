//! The description of the API (OpenAPI 3.1): made of the routes, the tables of forms, and the types of answers.

mod answers;
mod bws;
mod forms;
mod operations;

use std::sync::LazyLock;

use utoipa::openapi::path::HttpMethod;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, Paths, ServerBuilder,
};

use self::operations::{DESCRIBED, Described};
use super::routes::operation::{OPERATIONS, Operation};
use crate::families::biometric::schema;

/// Name of the security scheme, and of the header that it is about.
const APIKEY: &str = "apikey";

/// Name of the security scheme of BWS, and of what `Authorization` begins with.
const BEARER: &str = "Bearer";

/// Name of the security scheme of Face Liveness.
const BASIC: &str = "basic";

const ABOUT: &str = "Describes faces, compares them, estimates ages, and detects whether pictures show a living person.\n\nAll members and parts that are not \
     described here are ignored. In a form, a part may be a file or a plain value; texts lose outer white space and \
     quotes. An absent member of an answer is left out and never null.";

/// The document's text.
pub(super) fn text() -> &'static str {
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
    let tags = operations::TAGS
        .iter()
        .map(|(name, text)| TagBuilder::new().name(*name).description(Some(*text)).build());
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
    for Operation { method, path, name } in OPERATIONS {
        let Some(described) = described(name) else { continue };
        let Some(method) = http_method(method) else { continue };
        let item = PathItem::new(method, described.operation(path));
        match paths.paths.get_mut(*path) {
            Some(known) => known.merge_operations(item),
            None => {
                paths.paths.insert((*path).to_owned(), item);
            }
        }
    }
    paths
}

fn described(name: &str) -> Option<&'static Described> {
    DESCRIBED.iter().find(|described| described.name == name)
}

fn http_method(method: &str) -> Option<HttpMethod> {
    match method {
        "GET" => Some(HttpMethod::Get),
        "POST" => Some(HttpMethod::Post),
        "DELETE" => Some(HttpMethod::Delete),
        _ => None,
    }
}

fn components() -> ComponentsBuilder {
    let key = ApiKeyValue::with_description(
        APIKEY,
        "The key of an account; `demo` where there is no accounts file.",
    );
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(
        "A token that the client made and signed with a BWS key of its account (HS256, HS384 or HS512): `sub` is the \
         client, `aud` is \"BWS\", `exp` is its end.",
    ));
    let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some(
        "The user and the password of an account; `demo` and `demo` where there is no accounts file.",
    ));
    let mut components = ComponentsBuilder::new()
        .security_scheme(APIKEY, SecurityScheme::ApiKey(ApiKey::Header(key)))
        .security_scheme(BEARER, SecurityScheme::Http(token.build()))
        .security_scheme(BASIC, SecurityScheme::Http(basic.build()));
    let schemas = schema::schemas().into_iter().chain(forms::schemas()).chain(answers::schemas());
    for (name, schema) in schemas.chain(bws::schemas()) {
        components = components.schema(name, schema);
    }
    for (name, header) in answers::headers() {
        components = components.header(name, header);
    }
    for (name, response) in answers::refusals() {
        components = components.response(name, response);
    }
    components
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

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
        let routes: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.name).collect();
        let described: Vec<_> = DESCRIBED.iter().map(|described| described.name).collect();
        let mut expected = routes;
        // Who reads the description has found it.
        assert!(expected.remove("openapi") && expected.remove("docs"));
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
