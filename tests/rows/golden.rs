//! Rows as other SDKs write them, byte for byte.

use ferrobeam::element::Nesting;
use ferrobeam::element::row::NullBits;
use ferrobeam::{DynRow, Schema};

use crate::schemas::*;
use crate::support::{bytes, hex, layout_of, read, row_bytes, schema};

/// Whether bytes are also what we write, or one of several forms that we only read.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Both,
    DecodeOnly,
}

use Form::{Both, DecodeOnly};

#[test]
fn rows_of_other_sdks() {
    let cases = [
        (
            TEN_NULLABLE,
            "0a02ff000102",
            r#"{"f0": null, "f1": null, "f2": null, "f3": null, "f4": null, "f5": null, "f6": null, "f7": null, "f8": 1, "f9": 2}"#,
            Both,
        ),
        (
            TEN_NULLABLE,
            "0a01ff0102",
            r#"{"f0": null, "f1": null, "f2": null, "f3": null, "f4": null, "f5": null, "f6": null, "f7": null, "f8": 1, "f9": 2}"#,
            DecodeOnly,
        ),
        (
            TEN_NULLABLE,
            "0a02ff03",
            r#"{"f0": null, "f1": null, "f2": null, "f3": null, "f4": null, "f5": null, "f6": null, "f7": null, "f8": null, "f9": null}"#,
            Both,
        ),
        (INT16, "010003e7", r#"{"i": 999}"#, Both),
        (INT16, "0100ffff", r#"{"i": -1}"#, Both),
        (INT16, "01008000", r#"{"i": -32768}"#, Both),
        (
            NULL_ROWS,
            "030104000000030102010101700001020005017100000001016b00",
            r#"{"rows": [{"x": null, "y": "p"}, null, {"x": 5, "y": "q"}], "m": {"k": null}, "opt": null}"#,
            Both,
        ),
        (
            NULL_ROWS,
            "03000000000000000001016b01020101017a02000100",
            r#"{"rows": [], "m": {"k": {"x": null, "y": "z"}}, "opt": {"x": 1, "y": ""}}"#,
            Both,
        ),
        (
            NULL_LISTS,
            "0100000000030100000002010100000100000000",
            r#"{"a": [[1, null], null, []]}"#,
            Both,
        ),
        (
            MILLIS_ARRAY,
            "0100000000020180000000000003e800",
            r#"{"t": [1000, null]}"#,
            Both,
        ),
        (MILLIS, "01007ffffffffffffa24", r#"{"t": -1500}"#, Both),
        (
            MICROS,
            "0100020001a0c21e",
            r#"{"t": {"seconds": 1, "micros": 500000}}"#,
            Both,
        ),
        (
            MICROS,
            "01000200ffffffffffffffffff01e4f83c",
            r#"{"t": {"seconds": -1, "micros": 998500}}"#,
            Both,
        ),
        (
            MICROS,
            "01000200ffffffffffffffffff01bf843d",
            r#"{"t": {"seconds": -1, "micros": 999999}}"#,
            Both,
        ),
        (
            TIMESTAMP_9,
            "0100020001e8d1b5ee01",
            r#"{"t": {"seconds": 1, "subseconds": 500001000}}"#,
            Both,
        ),
        (
            TIMESTAMP_6,
            "01000200ffffffffffffffffff01e4f83c",
            r#"{"t": {"seconds": -1, "subseconds": 998500}}"#,
            Both,
        ),
        (
            TIMESTAMP_3,
            "010002000100ea",
            r#"{"t": {"seconds": 1, "subseconds": 234}}"#,
            Both,
        ),
        (DATE, "0100ffffffffffffffffff01", r#"{"d": -1}"#, Both),
        (DATE, "0100c69a01", r#"{"d": 19782}"#, Both),
        (STATIC, "070178", r#"{"a": 7, "b": "x"}"#, Both),
        (ITERABLE, "01000000000201ac02", r#"{"v": [1, 300]}"#, Both),
        (
            ITERABLE,
            "0100ffffffff0201ac0200",
            r#"{"v": [1, 300]}"#,
            DecodeOnly,
        ),
        (
            ITERABLE,
            "0100ffffffff010101ac0200",
            r#"{"v": [1, 300]}"#,
            DecodeOnly,
        ),
        (
            FLOATS,
            "0200411004198000000000000000",
            r#"{"f": 9.001, "d": -0.0}"#,
            Both,
        ),
        (
            FLOATS,
            "02007fc000007ff8000000000000",
            r#"{"f": NaN, "d": NaN}"#,
            Both,
        ),
        (
            FLOATS,
            "02007f800000fff0000000000000",
            r#"{"f": inf, "d": -inf}"#,
            Both,
        ),
        (
            FLOATS,
            "02007fc00001fff8000000000001",
            r#"{"f": NaN, "d": NaN}"#,
            Both,
        ),
        (ANY, "01000101", r#"{"x": 1}"#, Both),
        (ANY, "0100024004000000000000", r#"{"x": 2.5}"#, Both),
        (ANY, "0100040161", r#"{"x": "a"}"#, Both),
        (ANY, "01000901", r#"{"x": true}"#, Both),
        (ANY, "010101", r#"{"x": null}"#, Both),
        (ANY, "010001ffffffffffffffffff01", r#"{"x": -1}"#, Both),
        (ANY, "010005010101", r#"{"x": [1]}"#, Both),
        (ANY, "0100070104016b0101", r#"{"x": {"k": 1}}"#, Both),
    ];
    for (schema_hex, row_hex, shown, form) in cases {
        let schema = schema(schema_hex);
        let row = read(&schema, row_hex).unwrap_or_else(|e| panic!("{row_hex}: {e}"));
        assert_eq!(row.to_string(), shown, "{row_hex}");
        if form == Both {
            assert_eq!(row_bytes(&row), row_hex);
        } else {
            assert_eq!(read(&schema, &row_bytes(&row)).unwrap(), row);
        }
        let wire = bytes(row_hex);
        for at in [Nesting::Nested, Nesting::Outer] {
            let mut input = ferrobeam::element::Input::new(&wire);
            layout_of(schema_hex).skip(&mut input, at).unwrap();
            assert!(input.is_empty(), "{row_hex}");
        }
    }
}

#[test]
fn schemas_are_written_as_they_were_read() {
    for schema_hex in [
        PERMUTED,
        TEN_NULLABLE,
        INT16,
        NULL_ROWS,
        NULL_LISTS,
        MILLIS_ARRAY,
        MILLIS,
        MICROS,
        TIMESTAMP_9,
        TIMESTAMP_6,
        TIMESTAMP_3,
        DATE,
        STATIC,
        ITERABLE,
        FLOATS,
        PAIR,
        INTS,
        EMPTY_ROWS,
        ANY,
    ] {
        let schema = schema(schema_hex);
        assert_eq!(hex(&schema.to_proto()), schema_hex);
        // The generated messages, which the element layer does not use, agree.
        use prost::Message;
        let message = beam_proto::pipeline::Schema::decode(&bytes(schema_hex)[..]).unwrap();
        assert_eq!(hex(&message.encode_to_vec()), schema_hex);
        assert_eq!(message.fields.len(), schema.fields().len());
    }
}

/// Declared as s, i, n; encoded as i, n, s. Java numbers null bits as encoded, Python as declared.
#[test]
fn permuted_rows_by_either_rule() {
    let java = schema(PERMUTED);
    assert!(java.is_permuted() && java.null_bits_matter());
    let python = std::sync::Arc::new(Schema::clone(&java).with_null_bits(NullBits::DeclaredIndex));
    let cases = [
        (r#"{"s": null, "i": 7, "n": 3}"#, "0301040703", "0301010703"),
        (
            r#"{"s": "a", "i": 7, "n": null}"#,
            "030102070161",
            "030104070161",
        ),
        (
            r#"{"s": "a", "i": 7, "n": 3}"#,
            "030007030161",
            "030007030161",
        ),
    ];
    for (shown, java_hex, python_hex) in cases {
        for (schema, row_hex) in [(&java, java_hex), (&python, python_hex)] {
            let row = read(schema, row_hex).unwrap();
            assert_eq!(row.to_string(), shown);
            assert_eq!(row_bytes(&row), row_hex);
        }
    }
    let error = read(&python, "0301040703").unwrap_err().to_string();
    assert!(
        error.contains("`s`") && error.contains("encoding positions"),
        "{error}"
    );
    let error = read(&java, "0301010703").unwrap_err().to_string();
    assert!(error.contains("encoding positions"), "{error}");
    // What is left over betrays the wrong rule, too.
    let error = read(&java, "030104070301").unwrap_err().to_string();
    assert!(
        error.contains("left over") && error.contains("encoding positions"),
        "{error}"
    );
}

#[test]
fn fields_that_share_a_position_are_refused() {
    let error = Schema::from_proto(&bytes(TWINS)).unwrap_err().to_string();
    for part in ["c0de0000-0000-4000-8000-000000000002", "`a`", "`b`"] {
        assert!(error.contains(part), "{error}");
    }
    // One field at position 0: unset and 0 are the same in proto3.
    let lone = schema("0a070a01611a0210042001");
    assert_eq!(read(&lone, "010007").unwrap().to_string(), r#"{"a": 7}"#);
}

#[test]
fn a_static_encoding_has_no_room_for_null() {
    let nullable = STATIC.replace("0a070a01611a021004", "0a090a01611a0408011004");
    let error = Schema::from_proto(&bytes(&nullable))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("beam:option:row:static_encoding") && error.contains("`a`"),
        "{error}"
    );
    // The option set to false changes nothing.
    let plain = schema(&STATIC.replace("0a024001", "0a024000"));
    assert_eq!(
        read(&plain, "0200070178").unwrap().to_string(),
        r#"{"a": 7, "b": "x"}"#
    );
}

#[test]
fn rows_of_fewer_and_more_fields() {
    // Written before `b` was added.
    assert_eq!(
        read(&schema(PAIR), "010007").unwrap().to_string(),
        r#"{"a": 7, "b": null}"#
    );
    let error = read(&schema(PAIR), "0000").unwrap_err().to_string();
    assert_eq!(
        error,
        "field `a`: it is missing, but its type is not nullable"
    );
    // A third field that we do not know: fine at the end of all bytes only.
    assert_eq!(
        read(&schema(PAIR), "03000701780203").unwrap().to_string(),
        r#"{"a": 7, "b": "x"}"#
    );
    let wire = bytes("03000701780203");
    let mut input = ferrobeam::element::Input::new(&wire);
    let error = DynRow::decode(&schema(PAIR), &mut input, Nesting::Nested).unwrap_err();
    assert!(
        error.to_string().contains("3 fields, but only 2 are known"),
        "{error}"
    );
}

#[test]
fn int32_is_read_leniently() {
    let int32 = schema("0a070a01691a021003");
    for row_hex in ["0100feffffff0f", "0100feffffffffffffffff01"] {
        assert_eq!(read(&int32, row_hex).unwrap().to_string(), r#"{"i": -2}"#);
    }
    assert_eq!(
        row_bytes(&read(&int32, "0100feffffff0f").unwrap()),
        "0100feffffff0f"
    );
    assert!(read(&int32, "0100ffffffffff01").is_err());
}

/// A two-byte varint of Go's has the length of an INT16, and cannot be told from one.
#[test]
fn a_varint_in_place_of_an_int16_is_another_number() {
    assert_eq!(
        read(&schema(INT16), "0100e707").unwrap().to_string(),
        r#"{"i": -6393}"#
    );
}

#[test]
fn unstable_keys_are_named() {
    assert_eq!(schema(FLOATS).unstable_field(), Some("f"));
    assert_eq!(schema(NULL_ROWS).unstable_field(), Some("m"));
    assert_eq!(schema(PAIR).unstable_field(), None);
}

#[test]
fn pickled_objects_of_python_are_refused_with_the_cure() {
    let error = read(&schema(ANY), "0100ff0161").unwrap_err().to_string();
    assert!(
        error.starts_with("field `x`") && error.contains("output_type"),
        "{error}"
    );
}

#[test]
fn a_state_token_cannot_be_in_a_row() {
    let error = read(&schema(ITERABLE), "0100ffffffffffffffffffffffffff0100").unwrap_err();
    assert!(error.to_string().contains("block of -1"), "{error}");
}

#[test]
fn a_schema_transform_config() {
    let schema_hex = "0a0c0a067072656669781a0210070a0d0a0574696d65731a04080110040a0e0a04746167731a061a040a021007\
                      122430303030303030302d303030302d343030302d383030302d303030303030303030303031";
    let schema = schema(schema_hex);
    assert_eq!(
        schema.to_string(),
        "row<prefix: string, times: int64?, tags: array<string>>"
    );
    for (row_hex, shown) in [
        (
            "03010202612d0000000201780179",
            r#"{"prefix": "a-", "times": null, "tags": ["x", "y"]}"#,
        ),
        (
            "030002612d0200000000",
            r#"{"prefix": "a-", "times": 2, "tags": []}"#,
        ),
    ] {
        let row = read(&schema, row_hex).unwrap();
        assert_eq!(row.to_string(), shown);
        assert_eq!(row_bytes(&row), row_hex);
    }
}

#[test]
fn nineteen_nulls() {
    let fields: String = (0..19)
        .map(|i| format!("0a0a0a02{:02x}611a0408011004", 0x61 + i))
        .collect();
    let row = read(&schema(&fields), "1303ffff07").unwrap();
    assert_eq!(row_bytes(&row), "1303ffff07");
}
