//! Messages beyond what gRPC allows by default.

use beam_proto::fnexec::ProcessBundleRequest;
use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::process_bundle_request::CacheToken;
use ferrobeam::dofn::FunctionPayload;
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window, iterable_key};
use ferrobeam::window::WindowFn;
use serde_json::json;

use crate::support::{At, Deed, Do, Look, passing, registry, sizes};

const MIB: usize = 1 << 20;

#[test]
fn a_descriptor_of_6_mib() {
    let runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("large descriptor");
    let numbers = stage.source("source", i64::coder());
    let payload = FunctionPayload {
        format: 1,
        name: "rim.Do/v1".into(),
        config: json!({"at": "Drop", "what": {"Log": "x".repeat(6 * MIB)}}),
    };
    let out = stage.function::<Do>("do", &payload, &numbers, &[]);
    stage.sink("sink", &out["output"]);
    let input = in_global_window([1i64]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert_eq!(outcome.values::<i64>("sink"), [1]);
    runner.close();
}

#[test]
fn a_request_of_5_mib() {
    let runner = FakeRunner::start(registry());
    let stage = passing::<i64>("large request");
    runner.define(&stage);
    let token = CacheToken {
        token: vec![7; MIB].into(),
        ..CacheToken::default()
    };
    runner.instruction(
        "large",
        Request::ProcessBundle(ProcessBundleRequest {
            process_bundle_descriptor_id: stage.id().into(),
            cache_tokens: vec![token; 5],
            ..ProcessBundleRequest::default()
        }),
    );
    runner.send_data("large", "source", Vec::new(), true);
    assert_eq!(runner.expect_response("large").error, "");
    runner.close();
}

#[test]
fn a_page_of_20_mib() {
    let runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("large page");
    let numbers = stage.source("source", i64::coder());
    let side = stage.collection("side", i64::coder(), WindowFn::Global);
    let out = stage.par_do_with("look", &Look, &numbers, &[("side", &side)]);
    stage.sink("sink", &out["out"]);
    let mut value = Vec::new();
    i64::MAX.encode(&mut value, ferrobeam::element::Nesting::Nested);
    runner.set_state(
        iterable_key("look", "side", ""),
        value.repeat(20 * MIB / value.len()),
    );
    let input = in_global_window([0i64]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    let count = (20 * MIB / value.len()) as i64;
    assert_eq!(
        outcome.values::<i64>("sink"),
        [i64::MAX.wrapping_mul(count)]
    );
    runner.close();
}

#[test]
fn elements_of_30_mib() {
    let runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("large elements");
    let blobs = stage.source("source", Vec::<u8>::coder());
    let sizes = stage.steps("sizes", &sizes(), &blobs);
    stage.sink("sizes sink", &sizes);
    stage.sink("sink", &blobs);
    let bundle = runner.bundle(&stage).start();
    let blob = vec![7u8; 30 * MIB];
    let input = in_global_window([blob.clone(), Vec::new(), blob]).concat();
    bundle.send("source", input.clone());
    bundle.end_all();
    let outcome = bundle.wait();
    let size = 30 * MIB as i64;
    assert_eq!(outcome.values::<i64>("sizes sink"), [size, 0, size]);
    assert!(outcome.bytes("sink") == input, "the elements have changed");
    runner.close();
}

#[test]
fn an_element_in_many_messages() {
    let runner = FakeRunner::start(registry());
    let stage = passing::<Vec<u8>>("many messages");
    let bundle = runner.bundle(&stage).start();
    let input = in_global_window([vec![7u8; 4 * MIB]]).concat();
    for piece in input.chunks(64 << 10) {
        bundle.send("source", piece.to_vec());
    }
    bundle.end_all();
    assert!(
        bundle.wait().bytes("sink") == input,
        "the element has changed"
    );
    runner.close();
}

#[test]
fn a_log_message_of_2_mib_is_shortened() {
    let runner = FakeRunner::start(registry());
    let line = "ä".repeat(MIB);
    let stage = crate::support::doing("long line", Do::new(At::Element(1), Deed::Log(line)));
    let input = in_global_window([1i64]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    outcome.assert_ok();
    let entry = runner.expect_log(|entry| entry.message.ends_with("(shortened)"));
    assert!(entry.message.len() < MIB + 100);
    runner.close();
}
