//! The outputs that a client names.

use std::collections::BTreeMap;

use beam_proto::expansion::{ExpansionRequest, ExpansionResponse};

use crate::text::read;
use crate::transforms::answer;

fn go(outputs: &[&str]) -> ExpansionResponse {
    let mut request: ExpansionRequest = read("ExpansionRequest", "go_prefix.request.txtpb");
    let root = request.transform.as_mut().unwrap();
    root.outputs = outputs
        .iter()
        .map(|tag| ((*tag).to_owned(), "n2".to_owned()))
        .collect();
    answer(request)
}

#[test]
fn a_single_output_has_the_callers_tag() {
    for (named, expected) in [(&["setOutput"][..], "setOutput"), (&[], "output")] {
        let response = go(named);
        assert_eq!(response.error, "");
        let outputs = response.transform.unwrap().outputs;
        let (tag, id) = outputs.iter().next().unwrap();
        assert_eq!((outputs.len(), &tag[..]), (1, expected));
        assert!(id.starts_with("xkcdabcd_"), "{id}");
    }
}

#[test]
fn outputs_that_do_not_exist_are_named() {
    let error = go(&["a", "b"]).error;
    assert!(
        error.contains(r#"wants the outputs ["a", "b"], but the transform has ["output"]"#),
        "{error}"
    );
}

#[test]
fn inputs_of_the_wrong_type_are_explained() {
    let mut request: ExpansionRequest = read("ExpansionRequest", "python_prefix.request.txtpb");
    let components = request.components.as_mut().unwrap();
    for collection in components.pcollections.values_mut() {
        collection.coder_id = "ref_Coder_FastPrimitivesCoder_3".into();
    }
    let error = answer(request).error;
    assert!(
        error.contains("`input`") && error.contains("beam:coder:pickled_python:v1"),
        "{error}"
    );
    assert!(error.contains(".with_output_types"), "{error}");
}

#[test]
fn nullable_fields_for_required_ones_are_named() {
    // `name` becomes nullable: flags 08 01 before its type 10 07.
    let mut request: ExpansionRequest =
        read("ExpansionRequest", "java_schema_transform.request.txtpb");
    let coder = request
        .components
        .as_mut()
        .unwrap()
        .coders
        .get_mut("RowCoder")
        .unwrap();
    let schema =
        b"\x0a\x0c\x0a\x04name\x1a\x04\x08\x01\x10\x07\x0a\x09\x0a\x01n\x1a\x04\x08\x01\x10\x03";
    coder.spec.as_mut().unwrap().payload = schema.to_vec().into();
    let error = answer(request).error;
    assert!(
        error.contains("field `name`") && error.contains("nullable"),
        "{error}"
    );
}

#[test]
fn inputs_without_a_use_are_refused() {
    let mut request: ExpansionRequest = read("ExpansionRequest", "python_prefix.request.txtpb");
    let root = request.transform.as_mut().unwrap();
    root.spec.as_mut().unwrap().urn = "beam:schematransform:org.apache.beam:tell:v1".into();
    let error = answer(request).error;
    assert!(
        error.contains(r#"no use for the inputs ["input"]"#),
        "{error}"
    );
}

#[test]
fn missing_components_are_named() {
    let mut request: ExpansionRequest = read("ExpansionRequest", "python_prefix.request.txtpb");
    request.components.as_mut().unwrap().coders = BTreeMap::new();
    let error = answer(request).error;
    assert!(
        error.contains(r#"the coder "ref_Coder_StrUtf8Coder_1""#),
        "{error}"
    );
}
