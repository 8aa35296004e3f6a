//! Bundles that are split while they run.

use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::instruction_response::Response;
use beam_proto::fnexec::process_bundle_split_request::DesiredSplit;
use beam_proto::fnexec::process_bundle_split_response::ChannelSplit;
use beam_proto::fnexec::{ProcessBundleSplitRequest, ProcessBundleSplitResponse};
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window};

use crate::support::{At, Do, Gate, doing, passing, registry};

#[test]
fn a_bundle_stops_where_it_was_split() {
    let runner = FakeRunner::start(registry());
    let stage = doing("splitting", Do::wait(At::Element(3), "splitting"));
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window(0..16i64).concat());
    Gate::named("splitting").expect(1);
    // The element in hand is number 3: half of it counts as done.
    assert_eq!(bundle.split("source", 0.5, 16, &[]), Some(10));
    assert_eq!(bundle.split("source", 0.5, 16, &[2, 5, 9, 12]), Some(5));
    assert_eq!(bundle.split("source", 0.0, 16, &[1, 2, 3]), None);
    assert_eq!(bundle.split("source", 0.5, 16, &[9, 12]), None);
    assert_eq!(bundle.split("elsewhere", 0.0, 16, &[]), None);
    assert_eq!(bundle.split("source", 0.0, 16, &[]), Some(4));
    assert_eq!(bundle.split("source", 0.0, 16, &[]), None);
    Gate::named("splitting").open();
    bundle.end_all();
    let id = bundle.id().to_owned();
    let outcome = bundle.wait();
    assert_eq!(outcome.values::<i64>("sink"), [0, 1, 2, 3]);
    assert_eq!(outcome.metrics.read_index("source"), Some(4));
    assert_eq!(outcome.metrics.element_count("source.out"), Some(4));
    assert_eq!(outcome.splits["source"], 4);
    assert_eq!(runner.progress(&id).consuming, None);
    runner.close();
}

#[test]
fn the_nearest_place_that_helps_is_chosen() {
    let runner = FakeRunner::start(registry());
    let stage = doing("nearest", Do::wait(At::Element(0), "nearest"));
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window(0..16i64).concat());
    Gate::named("nearest").expect(1);
    assert_eq!(bundle.split("source", 0.5, 16, &[12]), Some(12));
    // 13 would be nearer to what is asked for, but the bundle ends before it already.
    assert_eq!(bundle.split("source", 1.0, 16, &[5, 13]), Some(5));
    Gate::named("nearest").open();
    bundle.end_all();
    assert_eq!(bundle.wait().values::<i64>("sink"), [0, 1, 2, 3, 4]);
    runner.close();
}

#[test]
fn a_bundle_may_give_everything_back() {
    let runner = FakeRunner::start(registry());
    let stage = passing::<i64>("everything");
    // The second bundle runs on a plan that has read elements before.
    for _ in 0..2 {
        let bundle = runner.bundle(&stage).start();
        // A bundle whose plan is ready may wait for the first message before it begins.
        bundle.send("source", Vec::new());
        bundle.expect_progress(|progress| progress.consuming == Some(false));
        assert_eq!(bundle.split("source", 0.0, 3, &[]), Some(0));
        bundle.send("source", in_global_window(0..3i64).concat());
        bundle.end_all();
        let outcome = bundle.wait();
        assert_eq!(outcome.values::<i64>("sink"), [0i64; 0]);
        assert_eq!(outcome.metrics.read_index("source").unwrap_or(0), 0);
        let input = in_global_window(0..3i64);
        let outcome = runner.bundle(&stage).input("source", input).run();
        assert_eq!(outcome.values::<i64>("sink"), [0, 1, 2]);
    }
    runner.close();
}

#[test]
fn a_split_before_the_start_is_kept() {
    let runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("before the start");
    let one = stage.source("one", i64::coder());
    let one = stage.par_do("do", &Do::wait(At::Start, "before the start"), &one);
    stage.sink("first", &one["output"]);
    let two = stage.source("two", i64::coder());
    stage.sink("second", &two);
    for _ in 0..2 {
        let bundle = runner.bundle(&stage).start();
        bundle.send("one", Vec::new());
        // The functions after the first source start first, so the second has not started.
        Gate::named("before the start").expect(1);
        assert_eq!(bundle.split("two", 0.0, 4, &[]), Some(0));
        Gate::named("before the start").open();
        bundle.send("one", in_global_window(0..4i64).concat());
        bundle.send("two", in_global_window(0..4i64).concat());
        bundle.end_all();
        let outcome = bundle.wait();
        assert_eq!(outcome.values::<i64>("second"), [0i64; 0]);
        assert_eq!(outcome.values::<i64>("first"), [0, 1, 2, 3]);
        Gate::named("before the start").shut();
    }
    runner.close();
}

#[test]
fn all_sources_that_a_request_names_are_split() {
    let runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("both sources");
    for source in ["one", "two", "three"] {
        let numbers = stage.source(source, i64::coder());
        let wait = Do::wait(At::Element(100), "both sources");
        let out = stage.par_do(&format!("do {source}"), &wait, &numbers);
        stage.sink(&format!("sink {source}"), &out["output"]);
    }
    let bundle = runner.bundle(&stage).start();
    bundle.send("one", in_global_window(100..108i64).concat());
    Gate::named("both sources").expect(1);
    let desired = || DesiredSplit {
        fraction_of_remainder: 0.5,
        estimated_input_elements: 8,
        ..DesiredSplit::default()
    };
    let named = ["one", "two", "elsewhere"].map(|source| (source.to_owned(), desired()));
    let answer = runner.ask(Request::ProcessBundleSplit(ProcessBundleSplitRequest {
        instruction_id: bundle.id().to_owned(),
        desired_splits: named.into(),
    }));
    let cut = |source: &str| ChannelSplit {
        transform_id: source.into(),
        last_primary_element: 3,
        first_residual_element: 4,
    };
    let expected = ProcessBundleSplitResponse {
        channel_splits: vec![cut("one"), cut("two")],
        ..ProcessBundleSplitResponse::default()
    };
    assert_eq!(
        answer.response,
        Some(Response::ProcessBundleSplit(expected))
    );
    Gate::named("both sources").open();
    for source in ["two", "three"] {
        bundle.send(source, in_global_window(0..8i64).concat());
    }
    bundle.end_all();
    let outcome = bundle.wait();
    assert_eq!(outcome.values::<i64>("sink one"), [100, 101, 102, 103]);
    assert_eq!(outcome.values::<i64>("sink two"), [0, 1, 2, 3]);
    assert_eq!(outcome.values::<i64>("sink three"), Vec::from_iter(0..8));
    for (source, read) in [("one", 4), ("two", 4), ("three", 8)] {
        assert_eq!(outcome.metrics.read_index(source), Some(read));
    }
    runner.close();
}

#[test]
fn splits_of_bundles_that_do_not_run_are_empty() {
    let runner = FakeRunner::start(registry());
    let stage = doing("setting up", Do::wait(At::Setup, "setting up"));
    let bundle = runner.bundle(&stage).start();
    Gate::named("setting up").expect(1);
    assert_eq!(bundle.split("source", 0.0, 4, &[]), None);
    Gate::named("setting up").open();
    bundle.end_all();
    let outcome = bundle.wait();
    outcome.assert_ok();
    // One that has ended, and one that never was.
    for id in [outcome.id.as_str(), "never heard of"] {
        let desired = DesiredSplit {
            estimated_input_elements: 4,
            ..DesiredSplit::default()
        };
        let answer = runner.ask(Request::ProcessBundleSplit(ProcessBundleSplitRequest {
            instruction_id: id.to_owned(),
            desired_splits: [("source".to_owned(), desired)].into(),
        }));
        assert_eq!(answer.error, "");
        let nothing = ProcessBundleSplitResponse::default();
        assert_eq!(answer.response, Some(Response::ProcessBundleSplit(nothing)));
    }
    runner.close();
}
