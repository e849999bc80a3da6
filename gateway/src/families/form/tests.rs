use proptest::prelude::*;

use bytes::Bytes;

use super::{Form, Kind, MAX_VALUE_BYTES, Role, Schema};
use crate::fault::Fault;

const SCHEMA: Schema = Schema {
    pictures: &["image"],
    object: Some("face"),
    document: Some("reference"),
    values: &[("imageType", Kind::Text), ("rotate", Kind::Flag), ("age", Kind::Integer)],
};

fn form(parts: &[(&str, &str)]) -> Result<Form, Fault> {
    let mut form = Form::new(&SCHEMA);
    for (name, content) in parts {
        if let Some(role) = SCHEMA.role(name) {
            form.insert(role, Bytes::copy_from_slice(content.as_bytes()))?;
        }
    }
    Ok(form)
}

fn message(parts: &[(&str, &str)]) -> String {
    form(parts).unwrap_err().to_string()
}

#[test]
fn a_value_may_stand_in_the_json_part_or_alone() {
    for parts in [
        &[("face", r#"{"imageType":"SELFIE","rotate":true}"#)][..],
        &[("imageType", "SELFIE"), ("rotate", "True")],
        &[("imageType", "\u{feff} \"SELFIE\"\r\n"), ("rotate", "\"TRUE\"\n")],
        &[("face", r#"{"imageType":"SELFIE","rotate":"true"}"#), ("rotate", "true")],
        &[("face", "\u{feff}{\"imageType\":\"SELFIE\",\"rotate\":\"TRUE\",\"other\":[1]}\n")],
        &[("face", r#"{"imageType":" \"SELFIE\" ","rotate":" true"}"#), ("imageType", "SELFIE")],
    ] {
        let form = form(parts).unwrap();
        assert_eq!(form.text("imageType"), Some("SELFIE"), "{parts:?}");
        assert_eq!(form.flag("rotate"), Some(true), "{parts:?}");
    }
}

#[test]
fn two_different_values_are_refused_and_the_same_twice_is_not() {
    let two = "`imageType` has two different values";
    assert_eq!(message(&[("imageType", "A"), ("imageType", "B")]), two);
    assert_eq!(message(&[("imageType", "A"), ("face", r#"{"imageType":"B"}"#)]), two);
    assert_eq!(message(&[("face", r#"{"imageType":"A","imageType":"B"}"#)]), two);
    assert_eq!(message(&[("image", "A"), ("image", "B")]), "`image` has two different values");
    assert!(form(&[("image", "A"), ("image", "A"), ("imageType", "\"A\""), ("imageType", "A")]).is_ok());
}

#[test]
fn a_whole_number_may_be_a_number_or_a_text() {
    for part in [r#"{"age":18}"#, r#"{"age":"18"}"#, r#"{"age":18.0}"#, r#"{"age":1.8e1}"#] {
        assert_eq!(form(&[("face", part), ("age", "\"18\"")]).unwrap().integer("age"), Some(18), "{part}");
    }
    assert_eq!(form(&[("age", "-1")]).unwrap().integer("age"), Some(-1));
    for wrong in ["18.5", "1e99", "NaN", "inf", "eighteen", "0x12"] {
        assert_eq!(message(&[("age", wrong)]), "`age` must be a whole number", "{wrong}");
    }
    assert_eq!(form(&[]).unwrap().required_integer("age").unwrap_err().to_string(), "`age` is missing");
}

#[test]
fn null_and_empty_values_are_absent() {
    let form = form(&[("face", r#"{"imageType":null,"age":""}"#), ("rotate", "")]).unwrap();
    assert_eq!((form.text("imageType"), form.flag("rotate")), (None, None));
    assert_eq!(form.required_text("imageType").unwrap_err().to_string(), "`imageType` is missing");
    assert_eq!(form.picture("image").unwrap_err().to_string(), "`image` is missing");
}

#[test]
fn a_text_has_an_end() {
    let longest = "x".repeat(MAX_VALUE_BYTES);
    assert!(form(&[("imageType", &longest)]).is_ok());
    let longer = longest + "x";
    assert_eq!(message(&[("imageType", &longer)]), "`imageType` is longer than 1024 bytes");
    let member = format!(r#"{{"imageType":"{longer}"}}"#);
    assert_eq!(message(&[("face", &member)]), "`imageType` is longer than 1024 bytes");
}

#[test]
fn what_was_sent_is_not_repeated() {
    let secret = format!(r#""{}""#, "template".repeat(9));
    assert_eq!(
        message(&[("face", &secret)]),
        "`face` is not a JSON object: not of the form at line 1 column 74"
    );
    assert_eq!(
        message(&[("face", "{\"a\":nonsense}")]),
        "`face` is not a JSON object: no JSON at line 1 column 7"
    );
}

#[test]
fn what_is_not_of_the_form_is_named() {
    assert_eq!(message(&[("rotate", "perhaps")]), "`rotate` must be true or false");
    assert_eq!(message(&[("face", r#"{"imageType":["A"]}"#)]), "`imageType` must be a plain value");
    assert!(message(&[("face", "[1]")]).starts_with("`face` is not a JSON object"));
    assert!(message(&[("face", "{")]).starts_with("`face` is not a JSON object"));
    assert_eq!(message(&[("image", "")]), "`image` is empty");
    let mut form = Form::new(&SCHEMA);
    let broken = form.insert(Role::Value("imageType", Kind::Text), Bytes::from_static(b"\xff"));
    assert_eq!(broken.unwrap_err().to_string(), "`imageType` is not UTF-8");
}

proptest! {
    #[test]
    fn a_text_is_the_same_as_a_part_and_as_a_member(value in "[^\"\\s\u{feff}]([^\"]*[^\"\\s])?") {
        let json = serde_json::json!({"imageType": value}).to_string();
        let form = form(&[("face", &json), ("imageType", &value)]).unwrap();
        prop_assert_eq!(form.text("imageType"), Some(value.as_str()));
    }

    #[test]
    fn any_part_is_taken_or_refused(name in "image|face|reference|imageType|rotate", content in any::<Vec<u8>>()) {
        let role = SCHEMA.role(&name).unwrap();
        // This must return. The tests above check which parts are accepted.
        let _ = Form::new(&SCHEMA).insert(role, content.into());
    }
}
