//! Configurations as clients write them. The payloads were written by Apache Beam 2.77.0 for Python.

use crate::transforms::{answer, request};

const SCHEMA_TRANSFORM: &str = "beam:expansion:payload:schematransform:v1";
const TELL: &str = "beam:schematransform:org.apache.beam:tell:v1";
const RENAME: &str = "beam:schematransform:org.apache.beam:rename:v1";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn told(urn: &str, hex: &str) -> String {
    answer(request(urn, &bytes(hex))).error
}

/// Payloads with a schema id of 36 bytes, which says nothing here.
const SCHEMA_ID: &str =
    "122463306465303030302d303030302d343030302d383030302d303030303030303030306631";

#[test]
fn a_field_called_like_a_keyword_finds_its_way() {
    let external =
        format!("0a3c0a0a0a0466726f6d1a0210070a080a02746f1a021007{SCHEMA_ID}1206020001610162");
    assert_eq!(
        told(RENAME, &external),
        format!("a to b (transform {RENAME:?})")
    );
    let schema_transform = concat!(
        "0a2e6265616d3a736368656d617472616e73666f726d3a6f72672e6170616368652e6265616d3a72656e616d653a7631",
        "123c0a0a0a0466726f6d1a0210070a080a02746f1a021007",
        "122463306465303030302d303030302d343030302d383030302d303030303030303030306631",
        "1a06020001610162"
    );
    assert_eq!(
        told(SCHEMA_TRANSFORM, schema_transform),
        format!("a to b (transform {RENAME:?})")
    );
}

#[test]
fn everything_may_be_nullable_and_narrower() {
    // {data: null, times: -1 as INT32}
    let schema =
        format!("0a430a0c0a04646174611a04080110070a0d0a0574696d65731a0408011003{SCHEMA_ID}");
    let error = told(TELL, &format!("{schema}1208020101ffffffff0f"));
    assert_eq!(
        error,
        format!("field `data`: it is required, but null (transform {TELL:?})")
    );
    // {data: "0", times: -1}
    let error = told(TELL, &format!("{schema}120902000130ffffffff0f"));
    assert_eq!(error, format!("\"0\" Some(-1) (transform {TELL:?})"));
}

#[test]
fn types_that_nobody_knows_matter_only_with_values() {
    // {data: "0", extra: null of Python's any type without representation}
    let schema = format!(
        "0a600a0a0a04646174611a0210070a2c0a0565787472611a2308013a1f0a1d6265616d3a6c6f676963616c3a707974686f6e73646b5f616e793a7631{SCHEMA_ID}"
    );
    let error = told(TELL, &format!("{schema}12050201020130"));
    assert_eq!(error, format!("\"0\" None (transform {TELL:?})"));
    // {data: "0", extra: true}
    let error = told(TELL, &format!("{schema}1206020001300901"));
    assert!(error.starts_with("field `extra` is unknown"), "{error}");
    // {data: "0" of a Java type that is written as text}
    let java = format!(
        "0a5a0a320a04646174611a2a3a280a1c6265616d3a6c6f676963616c5f747970653a6a61766173646b3a76311204aced00051a021007{SCHEMA_ID}120401000130"
    );
    assert_eq!(
        told(TELL, &java),
        format!("\"0\" None (transform {TELL:?})")
    );
}

#[test]
fn null_bits_of_permuted_fields_are_read_as_java_does_and_the_log_says_so_once() {
    // {data: text at 1, times: nullable at 0}, and of that {data: "0", times: null} and {data: "0", times: -1}.
    let schema =
        format!("0a450a0c0a04646174611a02100728010a0d0a0574696d65731a0408011004{SCHEMA_ID}2001");
    let lines = ferrobeam::testing::logged(|| {
        for (row, shown) in [
            ("12050201010130", "\"0\" None"),
            ("120e0200ffffffffffffffffff010130", "\"0\" Some(-1)"),
        ] {
            let error = told(TELL, &format!("{schema}{row}"));
            assert_eq!(error, format!("{shown} (transform {TELL:?})"));
        }
    });
    assert_eq!(
        lines,
        [
            "WARN schema c0de0000-0000-4000-8000-0000000000f1 permutes its encoding positions, and null bits are read as Java \
          does; Python numbers by declared index"
        ]
    );
}

#[test]
fn fields_that_share_a_position_are_named() {
    let schema = format!("0a410a0a0a04646174611a0210070a0b0a0574696d65731a021004{SCHEMA_ID}2001");
    let error = told(TELL, &format!("{schema}12050200013001"));
    for part in [
        "c0de0000-0000-4000-8000-0000000000f1",
        "`data`",
        "`times`",
        TELL,
    ] {
        assert!(error.contains(part), "{error}");
    }
    let lone = format!("0a340a0a0a04646174611a021007{SCHEMA_ID}2001");
    let error = told(TELL, &format!("{lone}120401000130"));
    assert_eq!(error, format!("\"0\" None (transform {TELL:?})"));
}

#[test]
fn damaged_configurations_are_errors() {
    let schema = format!("0a320a0a0a04646174611a021007{SCHEMA_ID}");
    for row in ["", "01", "010005", "0100013000"] {
        let payload = format!("{schema}12{:02x}{row}", row.len() / 2);
        let error = told(TELL, &payload);
        assert!(!error.is_empty() && error.contains(TELL), "{row}: {error}");
    }
    assert!(told(TELL, "ff").contains("ExternalConfigurationPayload"));
    assert!(told(SCHEMA_TRANSFORM, "ff").contains("SchemaTransformPayload"));
}

#[test]
fn unknown_names_are_answered_with_known_ones() {
    let error = answer(request("beam:transforms:xlang:test:prefx", b"")).error;
    let mut lines = error.lines();
    assert_eq!(
        lines.next(),
        Some(
            "this service knows no transform \"beam:transforms:xlang:test:prefx\"; did you mean \
             \"beam:transforms:xlang:test:prefix\"?"
        )
    );
    assert!(lines.any(|line| line.trim() == TELL), "{error}");
    let mistaken = "beam:schematransform:org.apache.beam:tel:v1";
    let payload = [&[10, mistaken.len() as u8], mistaken.as_bytes()].concat();
    let error = answer(request(SCHEMA_TRANSFORM, &payload)).error;
    assert!(error.contains(&format!("did you mean {TELL:?}")), "{error}");
    assert!(!error.contains("xlang"), "{error}");
}

#[test]
fn a_panic_is_an_answer() {
    let error = answer(request("test:panic", b"")).error;
    assert!(
        error.starts_with("the transform panicked: no reason"),
        "{error}"
    );
}
