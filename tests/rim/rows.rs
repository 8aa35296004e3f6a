//! Rows of other SDKs whose schemas say in which order fields are encoded.

use beam_proto::fnexec::log_entry::severity;
use ferrobeam::Row;
use ferrobeam::element::Coder;
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window};
use serde::{Deserialize, Serialize};

use crate::support::{passing, registry};

const A: &[u8] = b"\x0a\x07\x0a\x01a\x1a\x02\x10\x04";
const B: &[u8] = b"\x0a\x07\x0a\x01b\x1a\x02\x10\x04";
/// `s` is text, may be null and is encoded as the last; `i` is the first; `n` may be null.
const S: &[u8] = b"\x0a\x0b\x0a\x01s\x1a\x04\x08\x01\x10\x07\x28\x02";
const I: &[u8] = b"\x0a\x07\x0a\x01i\x1a\x02\x10\x04";
const N: &[u8] = b"\x0a\x0b\x0a\x01n\x1a\x04\x08\x01\x10\x04\x28\x01";
const ID: &str = "c0de0000-0000-4000-8000-000000000002";

/// A row coder with these fields, whose encoding positions count.
fn coder(fields: &[&[u8]]) -> Coder {
    let schema = [
        &fields.concat()[..],
        b"\x12\x24",
        ID.as_bytes(),
        b"\x20\x01",
    ];
    Coder::foreign("beam:coder:row:v1", schema.concat())
}

/// A row in the global window.
fn element(row: &[u8]) -> Vec<u8> {
    let mut element = in_global_window([0i64]).concat();
    element.pop();
    element.extend(row);
    element
}

/// Passes rows on as they are.
fn passing_rows(id: &str, fields: &[&[u8]]) -> Descriptor {
    let mut stage = Descriptor::new(id);
    let rows = stage.source("source", coder(fields));
    stage.sink("sink", &rows);
    stage
}

#[test]
fn fields_that_share_a_position_fail_a_bundle_and_not_the_next() {
    let runner = FakeRunner::start(registry());
    let shared = passing_rows("shared position", &[A, B]);
    let outcome = runner
        .bundle(&shared)
        .input("source", [element(&[2, 0, 7, 8])])
        .run();
    let error = outcome.expect_error();
    for part in [ID, "`a`", "`b`", "transform \"source\""] {
        assert!(error.contains(part), "{error}");
    }
    // A position of 0 that is not set is written like one that is.
    let lone = passing_rows("lone position", &[A]);
    let outcome = runner
        .bundle(&lone)
        .input("source", [element(&[1, 0, 7])])
        .run();
    outcome.assert_ok();
    assert_eq!(outcome.bytes("sink"), element(&[1, 0, 7]));
    assert_eq!(runner.unfinished(), 0);
    runner.close();
}

#[derive(Debug, Clone, Row)]
struct Permuted {
    s: Option<String>,
    i: i64,
    n: Option<i64>,
}

/// Shows what it reads.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.ShowRows/v1")]
struct Show;

#[derive(Ports)]
struct ShowIo {
    shown: Out<String>,
}

impl DoFn for Show {
    type In = Permuted;
    type Io = ShowIo;

    fn process(&mut self, row: Permuted, cx: &mut Cx<'_>, io: &mut ShowIo) -> Result {
        io.shown
            .emit(cx, format!("{:?} {} {:?}", row.s, row.i, row.n));
        Ok(())
    }
}

/// As Java writes them since 2.60: null bits in the order of encoding.
#[test]
fn null_bits_follow_the_encoding_and_the_log_says_so_once() {
    let mut registry = registry();
    registry.add::<Show>();
    let mut runner = FakeRunner::start(registry);
    let rows: [&[u8]; 3] = [
        b"\x03\x01\x04\x07\x03",
        b"\x03\x01\x02\x07\x01a",
        b"\x03\x00\x07\x03\x01a",
    ];
    for id in ["showing", "showing again"] {
        let mut stage = Descriptor::new(id);
        let input = stage.source("source", coder(&[S, I, N]));
        let out = stage.par_do("show", &Show, &input);
        stage.sink("shown", &out["shown"]);
        let outcome = runner
            .bundle(&stage)
            .input("source", rows.map(element))
            .run();
        assert_eq!(
            outcome.values::<String>("shown"),
            [
                r#"None 7 Some(3)"#,
                r#"Some("a") 7 None"#,
                r#"Some("a") 7 Some(3)"#
            ]
        );
    }
    // Without a null, or without an order of its own, there is nothing to tell.
    runner.bundle(&passing::<i64>("numbers")).run().assert_ok();
    runner.end_control();
    runner.expect_end().unwrap();
    runner.expect_gone();
    let told: Vec<_> = runner
        .logs()
        .into_iter()
        .filter(|entry| entry.severity() >= severity::Enum::Warn)
        .collect();
    let messages: Vec<&str> = told.iter().map(|entry| entry.message.as_str()).collect();
    let expected = format!(
        "schema {ID} permutes its encoding positions, and null bits are read as Java does; Python numbers by declared index"
    );
    assert_eq!(messages, [expected]);
    runner.settle();
}

#[test]
fn rows_in_an_order_without_nulls_are_not_talked_about() {
    let mut runner = FakeRunner::start(registry());
    let required: &[u8] = b"\x0a\x09\x0a\x01s\x1a\x02\x10\x07\x28\x01";
    let stage = passing_rows("no nulls", &[required, I]);
    let row = element(b"\x02\x00\x07\x01a");
    let outcome = runner.bundle(&stage).input("source", [row.clone()]).run();
    outcome.assert_ok();
    assert_eq!(outcome.bytes("sink"), row);
    runner.end_control();
    runner.expect_end().unwrap();
    runner.expect_gone();
    assert!(
        runner
            .logs()
            .iter()
            .all(|entry| entry.severity() < severity::Enum::Warn)
    );
    runner.settle();
}
