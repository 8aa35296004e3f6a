//! Configurations: rows of whatever schema a client infers, read into a struct.

use ferrobeam::element::Value;
use ferrobeam::element::row::{Decimal, Field, FieldType, Kind};
use ferrobeam::{DynRow, Result, Row, Schema, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;

use crate::support::{read, schema};

#[derive(Debug, Clone, PartialEq, Row)]
struct Prefix {
    data: String,
    /// How often.
    #[beam(default = 1)]
    times: i64,
}

/// Splits an `ExternalConfigurationPayload`, or the same fields of a `SchemaTransformPayload`, into schema and row.
fn payload<C: Row>(hex: &str) -> Result<C> {
    use prost::Message;
    let payload = crate::support::bytes(hex);
    let message = beam_proto::pipeline::ExternalConfigurationPayload::decode(&payload[..]).unwrap();
    let schema = Arc::new(Schema::from_proto(
        &message.schema.unwrap().encode_to_vec(),
    )?);
    C::from_row(read(&schema, &crate::support::hex(&message.payload))?)
}

fn row(fields: Vec<(&'static str, FieldType, Value)>) -> DynRow {
    let (fields, values): (Vec<_>, Vec<_>) = fields
        .into_iter()
        .map(|(name, field_type, value)| (Field::new(name, field_type), value))
        .unzip();
    DynRow::new(Arc::new(Schema::new("", fields).unwrap()), values).unwrap()
}

fn nullable(kind: Kind) -> FieldType {
    FieldType::from(kind).nullable()
}

#[test]
fn a_field_called_from() {
    #[derive(Debug, PartialEq, Clone, Row)]
    struct Rename {
        from: String,
        to: String,
    }
    let config: Rename = payload(
        "0a3c0a0a0a0466726f6d1a0210070a080a02746f1a021007122463306465303030302d303030302d343030302d383030302d303030303030\
         3030303066311206020001610162",
    )
    .unwrap();
    assert_eq!(
        config,
        Rename {
            from: "a".into(),
            to: "b".into()
        }
    );
}

#[test]
fn everything_nullable_and_narrow() {
    // {data: null, times: INT32 -1}
    let error = payload::<Prefix>(
        "0a430a0c0a04646174611a04080110070a0d0a0574696d65731a0408011003122463306465303030302d303030302d343030302d38303030\
         2d3030303030303030303066321208020101ffffffff0f",
    )
    .unwrap_err()
    .to_string();
    assert_eq!(error, "field `data`: it is required, but null");
    let config = Prefix::from_row(row(vec![
        ("data", nullable(Kind::String), "0".into()),
        ("times", nullable(Kind::Int32), Value::Int32(-1)),
    ]));
    assert_eq!(
        config.unwrap(),
        Prefix {
            data: "0".into(),
            times: -1
        }
    );
}

#[test]
fn defaults_are_published_and_applied() {
    let times = &Prefix::schema().fields()[1];
    assert_eq!(times.field_type, nullable(Kind::Int64));
    assert_eq!(times.description, "How often. Default: 1");
    for config in [
        row(vec![("data", Kind::String.into(), "0".into())]),
        row(vec![
            ("times", nullable(Kind::Int64), Value::Null),
            ("data", Kind::String.into(), "0".into()),
        ]),
    ] {
        assert_eq!(
            Prefix::from_row(config).unwrap(),
            Prefix {
                data: "0".into(),
                times: 1
            }
        );
    }

    #[derive(Debug, Clone, PartialEq, Row)]
    struct Defaults {
        #[beam(default = "a")]
        text: String,
        #[beam(default = vec![1, 2])]
        list: Vec<i64>,
        #[beam(default = -0.5)]
        float: f64,
    }
    let defaults = Defaults::from_row(row(vec![])).unwrap();
    assert_eq!(
        defaults,
        Defaults {
            text: "a".into(),
            list: vec![1, 2],
            float: -0.5
        }
    );
    let described = Defaults::schema()
        .fields()
        .iter()
        .map(|f| f.description.to_string());
    assert_eq!(
        described.collect::<Vec<_>>(),
        [r#"Default: "a""#, "Default: [1, 2]", "Default: -0.5"]
    );
}

#[test]
fn an_unknown_type_hurts_only_where_it_has_a_value() {
    // extra: any without representation, null
    let config: Prefix = payload(
        "0a600a0a0a04646174611a0210070a2c0a0565787472611a2308013a1f0a1d6265616d3a6c6f676963616c3a707974686f6e73646b5f616e\
         793a7631122463306465303030302d303030302d343030302d383030302d30303030303030303030663212050201020130",
    )
    .unwrap();
    assert_eq!(config.data, "0");
    // data: javasdk:v1 over STRING
    let config: Prefix = payload(
        "0a5a0a320a04646174611a2a3a280a1c6265616d3a6c6f676963616c5f747970653a6a61766173646b3a76311204aced00051a0210071224\
         63306465303030302d303030302d343030302d383030302d303030303030303030306632120401000130",
    )
    .unwrap();
    assert_eq!(config.data, "0");
    let error = Prefix::from_row(row(vec![
        ("data", Kind::String.into(), "0".into()),
        ("extra", nullable(Kind::Int64), Value::Int64(1)),
    ]));
    assert_eq!(
        error.unwrap_err().to_string(),
        "field `extra` is unknown; the fields are data, times"
    );
    // A type of another SDK that does not say how it is represented: readable while null.
    let unknown = schema(
        "0a0a0a04646174611a0210070a200a0565787472611a1708013a130a11636f6d3a6578616d706c653a7468696e67",
    );
    assert_eq!(
        read(&unknown, "0201020130").unwrap().to_string(),
        r#"{"data": "0", "extra": null}"#
    );
    let error = read(&unknown, "0200013001").unwrap_err().to_string();
    assert!(
        error.starts_with("field `extra`: the type com:example:thing"),
        "{error}"
    );
}

#[test]
fn names_match_without_case_and_underscores() {
    #[derive(Debug, Clone, PartialEq, Row)]
    struct Config {
        file_pattern: String,
    }
    for name in ["file_pattern", "filePattern", "FilePattern"] {
        let config = row(vec![(name, Kind::String.into(), "x".into())]);
        assert_eq!(Config::from_row(config).unwrap().file_pattern, "x");
    }
    let both = row(vec![
        ("filePattern", Kind::String.into(), "x".into()),
        ("FilePattern", Kind::String.into(), "y".into()),
    ]);
    assert_eq!(
        Config::from_row(both).unwrap_err().to_string(),
        "field `file_pattern` is ambiguous: `filePattern` and `FilePattern` both match it"
    );
    assert_eq!(
        Config::from_row(row(vec![])).unwrap_err().to_string(),
        "field `file_pattern` (string) is required, but missing from row<>"
    );
}

#[derive(Debug, Clone, PartialEq, Row)]
struct Mixed {
    ratio: f64,
    small: i16,
    names: Vec<String>,
    labels: HashMap<String, String>,
    nested: Option<Nested>,
    price: Option<Decimal>,
    since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Row)]
struct Nested {
    a: i64,
    b: Option<String>,
}

fn any() -> FieldType {
    FieldType::logical("beam:logical:pythonsdk_any:v1", Kind::Bytes).nullable()
}

#[test]
fn values_are_converted_where_they_keep_their_meaning() {
    let text = || FieldType::from(Kind::String);
    let config = Mixed::from_row(row(vec![
        ("ratio", Kind::Int64.into(), Value::Int64(2)),
        ("small", Kind::Int64.into(), Value::Int64(-3)),
        (
            "names",
            Kind::Iterable(Box::new(any())).into(),
            Value::List(vec![]),
        ),
        ("labels", FieldType::map(any(), any()), Value::Map(vec![])),
        (
            "nested",
            FieldType::map(text(), any()),
            Value::Map(vec![
                ("a".into(), Value::Int64(1)),
                ("b".into(), "x".into()),
            ]),
        ),
        ("price", text(), "1.25".into()),
        (
            "since",
            FieldType::logical("beam:logical_type:millis_instant:v1", Kind::Int64),
            Value::Int64(-1500),
        ),
    ]))
    .unwrap();
    assert_eq!(
        config,
        Mixed {
            ratio: 2.0,
            small: -3,
            names: vec![],
            labels: HashMap::new(),
            nested: Some(Nested {
                a: 1,
                b: Some("x".into())
            }),
            price: Some(Decimal::new(125, 2)),
            since: Some(Timestamp::from_millis(-1500)),
        }
    );
}

#[test]
fn what_does_not_fit_is_named_with_its_path() {
    let base = |name, field_type: FieldType, value: Value| {
        let mut fields = vec![
            ("ratio", Kind::Double.into(), Value::Double(0.5)),
            ("small", Kind::Int16.into(), Value::Int16(1)),
            ("names", FieldType::array(Kind::String), Value::List(vec![])),
            (
                "labels",
                FieldType::map(Kind::String, Kind::String),
                Value::Map(vec![]),
            ),
        ];
        fields.retain(|(n, ..)| *n != name);
        fields.push((name, field_type, value));
        Mixed::from_row(row(fields)).unwrap_err().to_string()
    };
    assert_eq!(
        base("small", Kind::Int64.into(), Value::Int64(40_000)),
        "field `small`: 40000 does not fit int16"
    );
    assert_eq!(
        base("ratio", Kind::String.into(), "x".into()),
        "field `ratio`: string does not fit double"
    );
    assert_eq!(
        base(
            "names",
            FieldType::array(any()),
            Value::List(vec!["a".into(), Value::Int64(1)])
        ),
        "field `names`: int64 does not fit string"
    );
    assert_eq!(
        base(
            "nested",
            FieldType::map(Kind::String, any()),
            Value::Map(vec![("a".into(), "x".into())])
        ),
        "field `nested.a`: string does not fit int64"
    );
    assert_eq!(
        base(
            "nested",
            FieldType::map(Kind::String, Kind::Int64),
            Value::Map(vec![("c".into(), Value::Int64(1))])
        ),
        "field `nested.a` (int64) is required, but missing from row<c: int64>"
    );
    assert_eq!(
        base("price", Kind::String.into(), "dear".into()),
        "field `price`: `dear` is not a decimal number of at most 38 digits"
    );
}

/// YAML infers Python's any type for a column of 1 and 2.5.
#[test]
fn numbers_of_any_type_are_numbers() {
    #[derive(Debug, Clone, PartialEq, Row)]
    struct Column {
        x: f64,
    }
    for (row_hex, x) in [("01000101", 1.0), ("0100024004000000000000", 2.5)] {
        let row = read(&schema(crate::schemas::ANY), row_hex).unwrap();
        assert_eq!(Column::from_row(row).unwrap(), Column { x });
    }
}
