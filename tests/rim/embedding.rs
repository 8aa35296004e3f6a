//! Elements that stand in requests and answers, and named data streams.

use beam_proto::fnexec::elements::Data;
use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::instruction_response::Response;
use beam_proto::fnexec::{Elements, InstructionResponse, ProcessBundleRequest};
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window};

use crate::support::{At, Deed, Do, Gate, doing, doubled, passing, registry, zeros};

/// A stage with two sources on two data services.
fn two_sources(id: &str) -> Descriptor {
    let mut stage = Descriptor::new(id);
    let one = stage.source("one", i64::coder());
    let two = stage.data_service(1).source("two", i64::coder());
    let two = stage.steps("double", &doubled(), &two);
    let both = stage.flatten("both", &[&one, &two]);
    stage.data_service(0).sink("sink", &both);
    stage.data_service(1).sink("also", &two);
    stage
}

/// An entry of embedded input, which needs no instruction id.
fn entry(source: &str, data: Vec<u8>, is_last: bool) -> Data {
    Data {
        transform_id: source.into(),
        data: data.into(),
        is_last,
        ..Data::default()
    }
}

/// Runs a bundle whose request holds these entries.
fn run(runner: &FakeRunner, stage: &Descriptor, data: Vec<Data>) -> InstructionResponse {
    runner.define(stage);
    runner.ask(Request::ProcessBundle(ProcessBundleRequest {
        process_bundle_descriptor_id: stage.id().into(),
        elements: Some(Elements {
            data,
            ..Elements::default()
        }),
        ..ProcessBundleRequest::default()
    }))
}

#[test]
fn input_may_stand_in_the_request() {
    let runner = FakeRunner::of(registry()).data_services(2).start();
    let stage = two_sources("in the request");
    for _ in 0..3 {
        let bundle = runner.bundle(&stage).embedded();
        let bundle = bundle.input("one", in_global_window([1i64, 2]));
        let outcome = bundle.input("two", in_global_window([3i64])).run();
        let mut all = outcome.values::<i64>("sink");
        all.sort_unstable();
        assert_eq!(all, [1, 2, 6]);
        assert_eq!(outcome.values::<i64>("also"), [6]);
        assert_eq!(outcome.metrics.read_index("one"), Some(2));
        assert!(!outcome.is_embedded);
    }
    runner.close();
}

#[test]
fn embedded_input_must_have_its_ends() {
    let runner = FakeRunner::start(registry());
    let stage = passing::<i64>("no end");
    let elements = in_global_window([1i64, 2]).concat();
    for data in [vec![], vec![entry("source", elements.clone(), false)]] {
        let answer = run(&runner, &stage, data);
        let error = "embedded the bundle's input in its request, but not the ends";
        assert!(answer.error.contains(error), "{answer:?}");
    }
    // Data next to an end counts.
    let answer = run(
        &runner,
        &stage,
        vec![entry("source", elements.clone(), true)],
    );
    assert_eq!(answer.error, "");
    runner.expect_output(&answer.instruction_id, "sink", elements.len());
    assert_eq!(runner.output(&answer.instruction_id, "sink"), elements);
    runner.close();
}

#[test]
fn embedded_input_is_not_bounded_by_a_budget() {
    let budgets = ferrobeam::harness::Budgets {
        inbound: 100,
        outbound: 1 << 20,
    };
    let runner = FakeRunner::of(registry()).budgets(budgets).start();
    let stage = passing::<i64>("much embedded");
    let bundle = runner.bundle(&stage).embedded();
    let outcome = bundle.input("source", in_global_window(0..5000i64)).run();
    assert_eq!(outcome.values::<i64>("sink"), (0..5000).collect::<Vec<_>>());
    runner.close();
}

#[test]
fn a_small_output_stands_in_the_answer() {
    let runner = FakeRunner::of(registry()).data_services(2);
    let runner = runner.embedded_output().start();
    let stage = two_sources("in the answer");
    let bundle = runner.bundle(&stage);
    let outcome = bundle.input("two", in_global_window([1i64, 2])).run();
    assert!(outcome.is_embedded);
    assert_eq!(outcome.values::<i64>("sink"), [2, 4]);
    assert_eq!(outcome.values::<i64>("also"), [2, 4]);
    // An empty output has ends, too.
    let outcome = runner.bundle(&stage).embedded().run();
    assert!(outcome.is_embedded);
    assert_eq!(outcome.values::<i64>("sink"), [0i64; 0]);
    runner.close();
}

#[test]
fn a_bundle_without_outputs_embeds_nothing() {
    let runner = FakeRunner::of(registry()).embedded_output().start();
    let mut stage = Descriptor::new("no outputs");
    let numbers = stage.source("source", i64::coder());
    stage.steps("double", &doubled(), &numbers);
    let bundle = runner.bundle(&stage);
    let outcome = bundle.input("source", in_global_window([1i64])).run();
    outcome.assert_ok();
    assert!(!outcome.is_embedded);
    runner.close();
}

#[test]
fn a_large_output_does_not() {
    let runner = FakeRunner::of(registry()).embedded_output().start();
    let mut stage = Descriptor::new("not in the answer");
    let sizes = stage.source("source", i64::coder());
    let blobs = stage.steps("zeros", &zeros(), &sizes);
    stage.sink("sink", &blobs);
    stage.sink("small", &sizes);
    // One that was flushed, and one that was not but is too large with the rest.
    for (sizes, is_embedded) in [
        (vec![2 << 20, 1], false),
        (vec![1 << 20], false),
        (vec![1 << 19], true),
    ] {
        let count = sizes.len();
        let bundle = runner.bundle(&stage);
        let outcome = bundle
            .input("source", in_global_window(sizes.clone()))
            .run();
        assert_eq!(outcome.is_embedded, is_embedded, "{sizes:?}");
        assert_eq!(outcome.values::<i64>("small"), sizes);
        assert_eq!(outcome.values::<Vec<u8>>("sink").len(), count);
    }
    runner.close();
}

#[test]
fn a_bundle_that_fails_embeds_nothing() {
    let runner = FakeRunner::of(registry()).embedded_output().start();
    let stage = doing("fails", Do::new(At::Finish, Deed::Fail));
    let bundle = runner.bundle(&stage).embedded();
    let outcome = bundle.input("source", in_global_window([1i64])).run();
    assert!(outcome.expect_error().contains("told to fail"));
    assert_eq!(outcome.bytes("sink"), b"");
    runner.close();
}

#[test]
fn a_bundle_has_the_data_stream_that_it_names() {
    let runner = FakeRunner::of(registry()).data_services(2).start();
    let stage = two_sources("named");
    for stream in ["one", "", "two", "one"] {
        let bundle = runner.bundle(&stage).on_stream(stream);
        let bundle = bundle.input("one", in_global_window([1i64]));
        let outcome = bundle.input("two", in_global_window([2i64])).run();
        assert_eq!(outcome.values::<i64>("also"), [4], "{stream:?}");
    }
    // One plan served them all.
    for service in 0..2 {
        for stream in ["", "one", "two"] {
            assert!(runner.has_named_stream(service, stream), "{stream:?}");
        }
        assert!(!runner.has_named_stream(service, "three"));
    }
    runner.close();
}

#[test]
fn a_plan_goes_from_stream_to_stream() {
    let runner = FakeRunner::start(registry());
    let gate = Gate::named("stream to stream");
    gate.open();
    let stage = doing("moving", Do::wait(At::Setup, "stream to stream"));
    for stream in ["one", "", "two", "one"] {
        let bundle = runner.bundle(&stage).on_stream(stream);
        let outcome = bundle.input("source", in_global_window([1i64])).run();
        assert_eq!(outcome.values::<i64>("sink"), [1]);
        // It waits for its first message on the stream that it names.
        let bundle = runner.bundle(&stage).on_stream(stream).start();
        assert_eq!(bundle.progress().consuming, None);
        bundle.send("source", in_global_window([2i64]).concat());
        bundle.end_all();
        assert_eq!(bundle.wait().values::<i64>("sink"), [2]);
    }
    assert_eq!(gate.arrived(), 1);
    runner.close();
}

#[test]
fn a_broken_stream_breaks_its_bundles_only() {
    let runner = FakeRunner::start(registry());
    let stage = passing::<i64>("broken");
    let start = |stream: &str| {
        let bundle = runner.bundle(&stage).on_stream(stream).start();
        bundle.send("source", in_global_window([1i64]).concat());
        bundle.expect_progress(|progress| progress.metrics.read_index("source") == Some(0));
        bundle
    };
    let (one, two) = (start("one"), start("two"));
    runner.end_named_stream(0, "one");
    let outcome = one.wait();
    let error = outcome.expect_error();
    assert!(error.contains("data stream broke"), "{error}");
    two.end_all();
    assert_eq!(two.wait().values::<i64>("sink"), [1]);
    let again = runner.bundle(&stage).on_stream("one").retries(5);
    again.run().assert_ok();
    runner.close();
}

#[test]
fn a_stream_name_that_cannot_be_sent_fails_the_bundle() {
    let runner = FakeRunner::start(registry());
    let stage = passing::<i64>("bad name");
    let bundle = runner.bundle(&stage).on_stream("a\nb").start();
    let outcome = bundle.wait();
    let error = outcome.expect_error();
    assert!(error.contains("cannot be sent as a header"), "{error}");
    runner.bundle(&stage).run().assert_ok();
    runner.close();
}

#[test]
fn answers_hold_every_end_once() {
    let runner = FakeRunner::of(registry()).embedded_output().start();
    let stage = passing::<i64>("exact");
    let element = in_global_window([7i64]).concat();
    let answer = run(
        &runner,
        &stage,
        vec![entry("source", element.clone(), true)],
    );
    let Some(Response::ProcessBundle(processed)) = answer.response else {
        panic!("{answer:?}");
    };
    let data = |data: Vec<u8>, is_last| Data {
        instruction_id: answer.instruction_id.clone(),
        transform_id: "sink".into(),
        data: data.into(),
        is_last,
    };
    let expected = Elements {
        data: vec![data(element, false), data(Vec::new(), true)],
        ..Elements::default()
    };
    assert_eq!(processed.elements, Some(expected));
    assert!(!processed.requires_finalization);
    runner.close();
}
