//! Removes `null` from derived schemas.

use utoipa::openapi::schema::{RefBuilder, SchemaType};
use utoipa::openapi::{RefOr, Schema, Type};

/// Removes `null` from the types that a schema allows. Answers omit absent members, while the schema that utoipa
/// derives for an `Option` allows both.
pub(super) fn never_null(whole: &mut RefOr<Schema>) {
    let RefOr::T(schema) = whole else { return };
    match schema {
        Schema::Object(object) => {
            object.schema_type = without_null(&object.schema_type);
            object.properties.values_mut().for_each(never_null);
        }
        Schema::Array(array) => array.schema_type = without_null(&array.schema_type),
        // utoipa describes an `Option` of a named type as one of null and that type.
        Schema::OneOf(either) => {
            let other = either.items.iter().find_map(|item| match item {
                RefOr::Ref(other) => Some(other.ref_location.clone()),
                RefOr::T(_) => None,
            });
            if let (Some(location), true) = (other, either.items.iter().any(is_null)) {
                let text = either.description.clone();
                *whole = RefBuilder::new().ref_location(location).description(text).build().into();
            }
        }
        _ => {}
    }
}

/// A list of types without `null`.
fn without_null(kind: &SchemaType) -> SchemaType {
    let SchemaType::Array(kinds) = kind else { return kind.clone() };
    match kinds.iter().filter(|kind| **kind != Type::Null).collect::<Vec<_>>().as_slice() {
        [only] => SchemaType::Type((*only).clone()),
        _ => kind.clone(),
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}
