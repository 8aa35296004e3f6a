//! `#[derive(Row)]`.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use ferrobeam::element::row::Decimal;
use ferrobeam::element::{Coder, Nesting, Transcoder, decoded, encoded};
use ferrobeam::{Element, Row, Timestamp};

use crate::support::{bytes, hex};

#[derive(Debug, Clone, PartialEq, Row)]
struct Everything {
    /// Eight bits.
    byte: u8,
    signed: i8,
    small: i16,
    medium: i32,
    large: i64,
    unsigned: u32,
    float: f32,
    double: f64,
    flag: bool,
    text: String,
    raw: Vec<u8>,
    shared: Bytes,
    maybe: Option<i64>,
    list: Vec<Option<String>>,
    lists: Vec<Vec<u8>>,
    map: BTreeMap<String, Option<f64>>,
    hashed: HashMap<i32, bool>,
    inner: Inner,
    inners: Vec<Option<Inner>>,
    time: Timestamp,
    price: Decimal,
}

#[derive(Debug, Clone, PartialEq, Row)]
struct Inner {
    x: Option<i64>,
    y: String,
}

fn everything() -> Everything {
    let inner = |x, y: &str| Inner { x, y: y.to_owned() };
    Everything {
        byte: 200,
        signed: -1,
        small: -2,
        medium: -3,
        large: i64::MIN,
        unsigned: u32::MAX,
        float: 9.001,
        double: -0.0,
        flag: true,
        text: "hé".into(),
        raw: vec![0, 255],
        shared: Bytes::from_static(b"ab"),
        maybe: None,
        list: vec![Some("a".into()), None],
        lists: vec![vec![1], vec![]],
        map: [("k".to_owned(), Some(1.5)), ("n".to_owned(), None)].into(),
        hashed: [(-7, true)].into(),
        inner: inner(None, "p"),
        inners: vec![None, Some(inner(Some(5), "q"))],
        time: Timestamp::from_millis(-1500),
        price: "12.50".parse().unwrap(),
    }
}

#[test]
fn the_schema_is_that_of_the_fields() {
    assert_eq!(
        Everything::schema().to_string(),
        "row<byte: byte, signed: byte, small: int16, medium: int32, large: int64, unsigned: int64, float: float, \
         double: double, flag: boolean, text: string, raw: bytes, shared: bytes, maybe: int64?, list: array<string?>, \
         lists: array<bytes>, map: map<string, double?>, hashed: map<int32, boolean>, \
         inner: row<x: int64?, y: string>, inners: array<row<x: int64?, y: string>?>, \
         time: beam:logical_type:micros_instant:v1, price: beam:logical_type:decimal:v1>"
    );
    assert_eq!(Everything::schema().fields()[0].description, "Eight bits.");
    assert_eq!(Everything::coder().urn, "beam:coder:row:v1");
}

#[test]
fn values_survive_both_ways_of_reading() {
    let value = everything();
    for at in [Nesting::Nested, Nesting::Outer] {
        let wire = encoded(&value, at);
        assert_eq!(decoded::<Everything>(&wire, at).unwrap(), value);
        let mut input = ferrobeam::element::Input::new(&wire);
        Everything::skip(&mut input, at).unwrap();
        assert!(input.is_empty());
    }
    let row = value.to_row().unwrap();
    assert_eq!(row.get("byte").unwrap().to_string(), "-56");
    assert_eq!(
        row.get("time").unwrap().to_string(),
        r#"{"seconds": -2, "micros": 500000}"#
    );
    assert_eq!(row.get("price").unwrap().to_string(), "12.50");
    assert_eq!(Everything::from_row(row).unwrap(), value);
}

#[test]
fn golden_bytes() {
    #[derive(Debug, Clone, PartialEq, Row)]
    struct Example {
        text: Option<String>,
        required: i64,
        number: Option<i64>,
    }
    let check = |text: Option<&str>, number, golden: &str| {
        let row = Example {
            text: text.map(str::to_owned),
            required: 5,
            number,
        };
        assert_eq!(hex(&encoded(&row, Nesting::Nested)), golden);
        assert_eq!(
            decoded::<Example>(&bytes(golden), Nesting::Nested).unwrap(),
            row
        );
    };
    check(Some("hi"), None, "03010402686905");
    check(Some("hi"), Some(1), "03000268690501");
    check(None, None, "03010505");
    // Written before `number` was added.
    let short: Example = decoded(&bytes("02010105"), Nesting::Outer).unwrap();
    assert_eq!((short.required, short.number), (5, None));
}

#[test]
fn nulls_and_gaps_in_required_fields_are_errors_that_name_them() {
    let error = |golden: &str| {
        decoded::<Inner>(&bytes(golden), Nesting::Outer)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error("02010207"),
        "field `y`: it is null, but its type is not nullable"
    );
    assert_eq!(
        error("010007"),
        "field `y`: it is missing, but its type is not nullable"
    );
    assert_eq!(
        error("0200070261"),
        "field `y`: a length of 2 bytes exceeds the 1 bytes that are left"
    );
    // One more field: fine at the end, an error where its end cannot be seen.
    let more = bytes("030007016101");
    assert_eq!(decoded::<Inner>(&more, Nesting::Outer).unwrap().y, "a");
    assert!(decoded::<Inner>(&more, Nesting::Nested).is_err());
}

#[test]
fn renamed_and_raw_names() {
    #[derive(Debug, Clone, PartialEq, Row)]
    struct Renamed {
        #[beam(rename = "from")]
        from_field: String,
        r#type: i64,
    }
    assert_eq!(
        Renamed::schema().to_string(),
        "row<from: string, type: int64>"
    );
    let _ = Renamed {
        from_field: String::new(),
        r#type: 0,
    };
}

#[test]
fn ids_come_from_the_content() {
    #[derive(Clone, Row)]
    struct Same {
        x: Option<i64>,
        y: String,
    }
    #[derive(Clone, Row)]
    struct Other {
        x: i64,
        y: String,
    }
    let _ = (
        Same {
            x: None,
            y: String::new(),
        }
        .x,
        Other {
            x: 0,
            y: String::new(),
        }
        .x,
    );
    let id = Inner::schema().id();
    assert_eq!((id.len(), &id[14..15]), (36, "5"));
    assert_eq!(id, Same::schema().id());
    assert_ne!(id, Other::schema().id());
}

#[test]
fn rows_are_keys_values_and_lists() {
    let inner = Inner {
        x: Some(1),
        y: "a".into(),
    };
    let pair = ferrobeam::Kv(inner.clone(), vec![inner]);
    let wire = encoded(&pair, Nesting::Outer);
    assert_eq!(hex(&wire), "0200010161000000010200010161");
    assert_eq!(
        decoded::<ferrobeam::Kv<Inner, Vec<Inner>>>(&wire, Nesting::Outer).unwrap(),
        pair
    );
}

/// A Python collection whose columns stand in another order, with more of them, and wider.
#[test]
fn a_transcoder_matches_fields_by_name() {
    #[derive(Clone, Row)]
    struct Wire {
        extra: String,
        y: String,
        #[beam(rename = "X")]
        x: i32,
    }
    let wire = Wire {
        extra: "e".into(),
        y: "a".into(),
        x: -7,
    };
    let transcoder = Transcoder::between(&Coder::length_prefix(Wire::coder()), &Inner::coder());
    let transcoder = transcoder.unwrap().unwrap();
    let mut prefixed = Vec::new();
    let row = encoded(&wire, Nesting::Outer);
    ferrobeam::element::put_varint(&mut prefixed, row.len() as u64);
    prefixed.extend(row);
    let mut own = Vec::new();
    let mut input = ferrobeam::element::Input::new(&prefixed);
    transcoder
        .convert(&mut input, Nesting::Nested, &mut own, Nesting::Nested)
        .unwrap();
    let inner: Inner = decoded(&own, Nesting::Nested).unwrap();
    assert_eq!(
        inner,
        Inner {
            x: Some(-7),
            y: "a".into()
        }
    );

    // Ids and descriptions make no difference.
    #[derive(Clone, Row)]
    struct Described {
        /// Where.
        x: Option<i64>,
        y: String,
    }
    let _ = Described {
        x: None,
        y: String::new(),
    };
    assert!(
        Transcoder::between(&Described::coder(), &Inner::coder())
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_collection_that_cannot_fit_is_refused_before_it_runs() {
    #[derive(Clone, Row)]
    struct Nullable {
        year: Option<i64>,
    }
    #[derive(Clone, Row)]
    struct Year {
        year: i64,
    }
    #[derive(Clone, Row)]
    struct Text {
        year: String,
    }
    let _ = (
        Nullable { year: None }.year,
        Year { year: 0 }.year,
        Text {
            year: String::new(),
        }
        .year,
    );
    let error = |from: Coder| {
        Transcoder::between(&from, &Year::coder())
            .unwrap_err()
            .to_string()
    };
    assert!(error(Nullable::coder()).contains("field `year`: it is nullable"));
    assert!(error(Text::coder()).contains("field `year`: string does not fit int64"));
    assert!(
        error(Inner::coder()).contains(
            "field `year` (int64) is required, but missing from row<x: int64?, y: string>"
        )
    );
}
