//! Captured requests, and what is new in the answers.

use beam_proto::expansion::{ExpansionRequest, ExpansionResponse};
use prost::Message;

use crate::text::{fixture, read, write};
use crate::transforms::answer;

/// The response without what the request holds already. It must hold all of that unchanged.
fn news(request: &ExpansionRequest, mut response: ExpansionResponse) -> ExpansionResponse {
    let (Some(sent), Some(got)) = (&request.components, &mut response.components) else {
        panic!("no components: {}", response.error);
    };
    macro_rules! drop_echo {
        ($($field:ident),*) => {$(
            for (id, value) in &sent.$field {
                assert_eq!(got.$field.remove(id).as_ref(), Some(value), "{id}");
            }
        )*};
    }
    drop_echo!(
        transforms,
        pcollections,
        windowing_strategies,
        coders,
        environments
    );
    response
}

fn check(name: &str) {
    let request: ExpansionRequest = read("ExpansionRequest", &format!("{name}.request.txtpb"));
    let response = answer(request.clone());
    assert_eq!(response.error, "", "{name}");
    let again = answer(request.clone());
    assert_eq!(
        again.encode_to_vec(),
        response.encode_to_vec(),
        "{name}: equal requests, equal bytes"
    );
    let news = news(&request, response);
    let file = format!("{name}.response.txtpb");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(fixture(&file), write("ExpansionResponse", &news)).unwrap();
    }
    let golden: ExpansionResponse = read("ExpansionResponse", &file);
    assert!(
        news == golden,
        "{name}: {}",
        write("ExpansionResponse", &news)
    );
}

#[test]
fn python_prefix() {
    check("python_prefix");
}

#[test]
fn java_prefix() {
    check("java_prefix");
}

#[test]
fn java_multi() {
    check("java_multi");
}

#[test]
fn java_schema_transform() {
    check("java_schema_transform");
}

#[test]
fn typescript_prefix() {
    check("typescript_prefix");
}

#[test]
fn go_prefix() {
    check("go_prefix");
}
