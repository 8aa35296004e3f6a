//! How a worker ends.

use std::time::{Duration, Instant};

use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window, iterable_key};

use crate::support::{At, Deed, Do, Gate, doing, passing, registry};

#[test]
fn functions_are_torn_down_and_may_log() {
    let runner = FakeRunner::start(registry());
    let stage = doing(
        "leaving",
        Do::new(At::Teardown, Deed::Log("good bye".into())),
    );
    runner.bundle(&stage).run().assert_ok();
    runner.end_control();
    runner.expect_end().unwrap();
    runner.expect_log(|entry| entry.message == "good bye");
}

#[test]
fn a_teardown_that_does_not_end_is_left_behind() {
    let mut runner = FakeRunner::start(registry());
    let stage = doing("staying", Do::wait(At::Teardown, "staying"));
    runner.bundle(&stage).run().assert_ok();
    let start = Instant::now();
    runner.end_control();
    Gate::named("staying").expect(1);
    runner.expect_end().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    Gate::named("staying").open();
    runner.expect_gone();
}

#[test]
fn log_entries_name_bundle_and_transform_and_arrive_before_the_end() {
    let mut runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("logging");
    let numbers = stage.source("source", i64::coder());
    let first = Do::new(At::Element(1), Deed::Log("first".into()));
    let out = stage.par_do("one", &first, &numbers);
    let second = Do::new(At::Finish, Deed::Log("second".into()));
    stage.par_do("two", &second, &out["output"]);
    let input = in_global_window([1i64]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    outcome.assert_ok();
    runner.end_control();
    runner.expect_end().unwrap();
    runner.expect_gone();
    for (message, transform) in [("first", "one"), ("second", "two")] {
        let logs = runner.logs();
        let entry = logs.iter().find(|entry| entry.message == message);
        let entry = entry.expect("it arrived before the worker ended");
        assert_eq!(entry.instruction_id, outcome.id);
        assert_eq!(entry.transform_id, transform);
        assert!(entry.log_location.contains("support.rs:"), "{entry:?}");
    }
}

#[test]
fn bundles_come_to_their_end_first() {
    let mut runner = FakeRunner::start(registry());
    let stage = doing("late", Do::wait(At::Element(1), "late"));
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([1i64]).concat());
    bundle.end_all();
    Gate::named("late").expect(1);
    runner.end_control();
    Gate::named("late").open();
    let id = bundle.id().to_owned();
    let size = in_global_window([1i64]).concat().len();
    runner.expect_output(&id, "sink", size);
    drop(bundle);
    runner.expect_end().unwrap();
    runner.expect_gone();
}

#[test]
fn a_broken_control_stream_is_an_error() {
    let mut runner = FakeRunner::start(registry());
    let stage = doing("broken", Do::wait(At::Element(1), "broken"));
    let busy = runner.bundle(&stage).start();
    busy.send("source", in_global_window([1i64]).concat());
    let hungry = runner.bundle(&passing::<i64>("hungry")).start();
    hungry.send("source", in_global_window([1i64]).concat());
    Gate::named("broken").expect(1);
    let start = Instant::now();
    runner.cut_control();
    let error = runner.expect_end().unwrap_err();
    assert!(error.contains("the control stream broke"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    Gate::named("broken").open();
    drop((busy, hungry));
    runner.expect_gone();
}

#[test]
fn a_bundle_that_waits_for_state_does_not_outlive_its_worker() {
    let mut runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("waits for state");
    let numbers = stage.source("source", i64::coder());
    let side = stage.collection("side", i64::coder(), ferrobeam::window::WindowFn::Global);
    stage.par_do_with("look", &crate::support::Look, &numbers, &[("side", &side)]);
    runner.set_state(iterable_key("look", "side", ""), vec![1]);
    runner.hold_state();
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([1i64]).concat());
    runner.expect_held_state(1);
    runner.cut_control();
    runner.expect_end().unwrap_err();
    drop(bundle);
    runner.expect_gone();
}

#[test]
fn a_runner_that_reads_no_logs_does_not_hold_the_worker() {
    let mut runner = FakeRunner::start(registry());
    runner.read_logs(false);
    let line = "x".repeat(500_000);
    let stage = doing("talkative", Do::new(At::Elements, Deed::Log(line)));
    let input = in_global_window(0..20i64);
    let outcome = runner.bundle(&stage).input("source", input).run();
    outcome.assert_ok();
    let start = Instant::now();
    runner.end_control();
    runner.expect_end().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    runner.expect_gone();
}
