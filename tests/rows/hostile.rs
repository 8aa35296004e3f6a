//! Bytes that lie: errors in no time, and nothing allocated on their word.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrobeam::element::row::{Field, FieldType, Kind};
use ferrobeam::element::{Input, Layout, Nesting};
use ferrobeam::{DynRow, Schema};

use crate::schemas::*;
use crate::support::{bytes, read, row_bytes, schema};

/// Much more than any honest error takes, much less than a loop over a claimed count.
const LIMIT: Duration = Duration::from_millis(10);

#[test]
fn lengths_that_lie() {
    let cases = [
        ("text of 2^63-1 bytes", PAIR, "0200ffffffffffffffff7f"),
        ("a bitmap of -1 bytes", PAIR, "02ffffffffffffffffff0101"),
        ("2^63-1 fields", PAIR, "ffffffffffffffff7f00"),
        ("null where nothing may be null", PAIR, "020101ff"),
        ("2^31-1 numbers in one byte", INTS, "01007fffffff01"),
        ("2^31-1 empty rows in no byte", EMPTY_ROWS, "01007fffffff"),
        (
            "a block of 2^63-1 numbers",
            INTS,
            "0100ffffffffffffffffffffffff7f01",
        ),
        (
            "a list of 2^63-1 values of any type",
            ANY,
            "010005ffffffffffffffff7f01",
        ),
    ];
    for (lie, schema_hex, row_hex) in cases {
        let (schema, wire) = (schema(schema_hex), bytes(row_hex));
        let layout = Layout::of(&schema.coder()).unwrap();
        let start = Instant::now();
        for at in [Nesting::Outer, Nesting::Nested] {
            let mut input = Input::new(&wire);
            assert!(DynRow::decode(&schema, &mut input, at).is_err(), "{lie}");
            assert!(layout.skip(&mut Input::new(&wire), at).is_err(), "{lie}");
        }
        assert!(start.elapsed() < LIMIT, "{lie} took {:?}", start.elapsed());
    }
}

/// With static encoding a row without fields would have no bytes, and nothing would bound their number.
#[test]
fn rows_without_bytes_are_refused() {
    let option = "1a2b0a1f6265616d3a6f7074696f6e3a726f773a7374617469635f656e636f64696e67120210081a040a024001";
    let error = Schema::from_proto(&bytes(option)).unwrap_err().to_string();
    assert!(error.contains("no bytes"), "{error}");
}

/// Rows written before a thousand fields were added: their nulls take no memory and no time.
#[test]
fn absent_fields_cost_nothing() {
    let fields =
        (0..1000).map(|i| Field::new(format!("f{i}"), FieldType::from(Kind::Int64).nullable()));
    let inner = Arc::new(Schema::new("inner", fields.collect()).unwrap());
    let rows = Field::new("rows", FieldType::array(Kind::Row(inner)));
    let schema = Arc::new(Schema::new("outer", vec![rows]).unwrap());
    let mut wire = bytes("0100000186a0");
    wire.resize(wire.len() + 2 * 100_000, 0);
    let start = Instant::now();
    DynRow::decode(&schema, &mut Input::new(&wire), Nesting::Outer).unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

/// A schema of `depth` rows in each other, with one number inside.
fn nested_rows(depth: usize) -> Vec<u8> {
    let message = |tag: u8, content: &[u8]| {
        let mut out = vec![tag];
        ferrobeam::element::put_varint(&mut out, content.len() as u64);
        out.extend_from_slice(content);
        out
    };
    let field = |field_type: &[u8]| {
        message(
            0x0a,
            &[&[0x0a, 1, b'f'], &message(0x1a, field_type)[..]].concat(),
        )
    };
    (0..depth).fold(field(&[0x10, 4]), |schema, _| {
        field(&message(0x32, &message(0x0a, &schema)))
    })
}

fn nested_arrays(depth: usize) -> Vec<u8> {
    let message = |tag: u8, content: &[u8]| {
        let mut out = vec![tag];
        ferrobeam::element::put_varint(&mut out, content.len() as u64);
        out.extend_from_slice(content);
        out
    };
    let array = (0..depth).fold(vec![0x10, 4], |element, _| {
        message(0x1a, &message(0x0a, &element))
    });
    message(
        0x0a,
        &[&[0x0a, 1, b'f'], &message(0x1a, &array)[..]].concat(),
    )
}

#[test]
fn deep_schemas_are_refused_on_small_stacks() {
    let on_small_stack = std::thread::Builder::new().stack_size(512 << 10).spawn(|| {
        for depth in [10, 24] {
            let schema = Arc::new(Schema::from_proto(&nested_rows(depth)).unwrap());
            let row_hex = format!("{}07", "0100".repeat(depth + 1));
            let row = read(&schema, &row_hex).unwrap();
            assert_eq!(row_bytes(&row), row_hex);
            Layout::of(&schema.coder()).unwrap();
        }
        for deep in [nested_rows(25), nested_rows(1000), nested_arrays(200)] {
            let mut coder = schema(PAIR).coder();
            coder.payload = deep.into();
            let error = Layout::of(&coder).unwrap_err().to_string();
            assert!(error.contains("nesting"), "{error}");
        }
        // Python's any type nests without a schema.
        let deep = format!("0100{}0101", "0501".repeat(1000));
        let error = read(&schema(ANY), &deep).unwrap_err().to_string();
        assert!(error.contains("nesting"), "{error}");
    });
    on_small_stack.unwrap().join().unwrap();
}

#[test]
fn schemas_that_are_none_are_errors() {
    let whole = bytes(NULL_ROWS);
    for end in 0..whole.len() {
        let _ = Schema::from_proto(&whole[..end]);
    }
    for (broken, what) in [
        ("0a030a0161", "no type"),
        ("0a070a01611a021063", "99 is unknown"),
        (
            "0a070a01611a0210040a070a01611a021004",
            "two fields called `a`",
        ),
        ("0a070a01611a020801", "`a`"),
        ("0a070a01ff1a021004", "UTF-8"),
        ("0a050a01611a00", "`a`"),
        ("0b", "wire type"),
    ] {
        let error = Schema::from_proto(&bytes(broken)).unwrap_err();
        assert_eq!(error.kind(), ferrobeam::ErrorKind::Descriptor);
        assert!(error.to_string().contains(what), "{error}");
    }
}

/// A small generator: which bytes it yields does not matter, that they are the same each time does.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.next() % 48;
        // Small numbers are likelier to be counts and lengths that hold.
        (0..length)
            .map(|_| (self.next() >> (self.next() % 8 + 56)) as u8)
            .collect()
    }
}

#[test]
fn random_bytes_never_panic() {
    let schemas: Vec<_> = [
        PERMUTED,
        TEN_NULLABLE,
        INT16,
        NULL_ROWS,
        NULL_LISTS,
        MILLIS_ARRAY,
        MILLIS,
        MICROS,
        TIMESTAMP_9,
        DATE,
        STATIC,
        ITERABLE,
        FLOATS,
        PAIR,
        INTS,
        EMPTY_ROWS,
        ANY,
    ]
    .map(schema)
    .to_vec();
    let decimal = FieldType::logical("beam:logical_type:decimal:v1", Kind::Bytes);
    let decimal = Arc::new(Schema::new("", vec![Field::new("d", decimal)]).unwrap());
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for schema in schemas.iter().chain([&decimal]) {
        let layout = Layout::of(&schema.coder()).unwrap();
        for _ in 0..3000 {
            let wire = noise.bytes();
            for at in [Nesting::Outer, Nesting::Nested] {
                let (mut read, mut skipped) = (Input::new(&wire), Input::new(&wire));
                let row = DynRow::decode(schema, &mut read, at);
                let skip = layout.skip(&mut skipped, at);
                if let Ok(row) = &row {
                    // What can be read can be stepped over, written, and read again as the same bytes.
                    assert!(skip.is_ok());
                    assert_eq!(read.remaining(), skipped.remaining());
                    let written = row_bytes(row);
                    let again = crate::support::read(schema, &written).unwrap();
                    assert_eq!(row_bytes(&again), written);
                }
            }
        }
        // Schemas of noise, too.
        for _ in 0..300 {
            let mut proto = schema.to_proto();
            for _ in 0..3 {
                let at = noise.next() as usize % proto.len();
                proto[at] = noise.next() as u8;
            }
            if let Ok(schema) = Schema::from_proto(&proto) {
                let schema = Arc::new(schema);
                let _ = DynRow::decode(&schema, &mut Input::new(&noise.bytes()), Nesting::Outer);
            }
        }
    }
}
