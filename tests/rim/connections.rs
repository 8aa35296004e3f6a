//! Connections that break, stall and come back.

use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window, iterable_key};
use ferrobeam::window::WindowFn;

use crate::support::{At, Deed, Do, Gate, Look, doing, passing, registry, zeros};

/// Runs a bundle that must succeed.
#[track_caller]
fn succeeds(runner: &FakeRunner, stage: &Descriptor) {
    let input = in_global_window([1i64, 2]);
    // The worker may not have noticed yet that a stream is gone.
    let bundle = runner.bundle(stage).input("source", input).retries(5);
    assert_eq!(bundle.run().values::<i64>("sink"), [1, 2]);
}

#[test]
fn the_next_bundle_gets_a_new_data_stream() {
    let runner = FakeRunner::start(registry());
    let stage = passing::<i64>("data");
    for round in 0..3 {
        succeeds(&runner, &stage);
        if round == 1 {
            runner.end_data(0);
        } else {
            runner.cut_data(0);
        }
    }
    succeeds(&runner, &stage);
    runner.close();
}

#[test]
fn bundles_that_wait_for_input_fail_with_the_stream() {
    let runner = FakeRunner::start(registry());
    let stage = passing::<i64>("waiting");
    let bundles = [(); 3].map(|()| runner.bundle(&stage).start());
    for bundle in &bundles {
        bundle.send("source", in_global_window([1i64]).concat());
        bundle.expect_progress(|progress| progress.metrics.read_index("source") == Some(0));
    }
    runner.cut_data(0);
    for bundle in bundles {
        let outcome = bundle.wait();
        let error = outcome.expect_error();
        assert!(error.contains("data stream broke"), "{error}");
    }
    succeeds(&runner, &stage);
    runner.close();
}

#[test]
fn a_stream_that_breaks_during_setup_fails_the_bundle() {
    let runner = FakeRunner::start(registry());
    let stage = doing("setup", Do::wait(At::Setup, "breaks during setup"));
    let bundle = runner.bundle(&stage).start();
    Gate::named("breaks during setup").expect(1);
    runner.expect_data_stream(0);
    runner.cut_data(0);
    runner.expect_log(|entry| entry.message.contains("data stream of"));
    Gate::named("breaks during setup").open();
    let outcome = bundle.wait();
    let error = outcome.expect_error();
    assert!(error.contains("data stream broke"), "{error}");
    succeeds(&runner, &stage);
    runner.close();
}

#[test]
fn a_bundle_whose_input_never_came_fails_with_the_stream() {
    let runner = FakeRunner::start(registry());
    let stage = passing::<i64>("nothing came");
    succeeds(&runner, &stage);
    // The plan is ready, so the bundle waits for its first message.
    let bundle = runner.bundle(&stage).start();
    assert_eq!(bundle.progress().consuming, None);
    runner.cut_data(0);
    let outcome = bundle.wait();
    let error = outcome.expect_error();
    assert!(error.contains("data stream broke"), "{error}");
    runner.close();
}

#[test]
fn a_bundle_whose_early_input_was_cut_short_fails() {
    let runner = FakeRunner::start(registry());
    let stage = passing::<i64>("cut short");
    for is_idle in [false, true] {
        succeeds(&runner, &stage);
        let id = format!("early {is_idle}");
        let other = passing::<i64>(&format!("other {is_idle}"));
        runner.define(&other);
        runner.send_data(&id, "source", in_global_window([1i64]).concat(), false);
        // Once this bundle has ended, the message before it has arrived, too.
        succeeds(&runner, &stage);
        let broken = runner.logs().len();
        runner.cut_data(0);
        runner.expect_log_after(broken, |entry| entry.message.contains("data stream of"));
        let stage = if is_idle { stage.id() } else { other.id() };
        runner.instruction(&id, crate::basics::process(stage));
        let answer = runner.expect_response(&id);
        assert!(answer.error.contains("data stream broke"), "{answer:?}");
    }
    assert_eq!(runner.unfinished(), 0);
    runner.close();
}

#[test]
fn all_input_that_came_is_processed() {
    let runner = FakeRunner::start(registry());
    let stage = doing("slow", Do::wait(At::Element(1), "all input that came"));
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([1i64, 2]).concat());
    bundle.end_all();
    Gate::named("all input that came").expect(1);
    // A second bundle shows that the end of the first one's input has arrived, too.
    succeeds(&runner, &passing::<i64>("second"));
    runner.cut_data(0);
    runner.expect_log(|entry| entry.message.contains("data stream of"));
    Gate::named("all input that came").open();
    // There is no stream left that the output could take.
    let outcome = bundle.wait();
    assert!(outcome.expect_error().contains("broke"), "{outcome:?}");
    runner.close();
}

fn looking(runner: &FakeRunner, id: &str) -> Descriptor {
    let mut stage = Descriptor::new(id);
    let numbers = stage.source("source", i64::coder());
    let side = stage.collection("side", i64::coder(), WindowFn::Global);
    let out = stage.par_do_with("look", &Look, &numbers, &[("side", &side)]);
    stage.sink("sink", &out["out"]);
    runner.set_state(iterable_key("look", "side", ""), vec![0u8, 0, 0]);
    stage
}

#[test]
fn the_next_bundle_gets_a_new_state_stream() {
    let runner = FakeRunner::start(registry());
    let stage = looking(&runner, "state");
    for _ in 0..3 {
        succeeds(&runner, &stage);
        runner.cut_state_stream();
    }
    runner.close();
}

#[test]
fn bundles_that_wait_for_state_fail_with_the_stream() {
    let runner = FakeRunner::start(registry());
    let stage = looking(&runner, "waiting for state");
    runner.hold_state();
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([1i64]).concat());
    bundle.end_all();
    runner.expect_held_state(1);
    runner.cut_state_stream();
    let outcome = bundle.wait();
    let error = outcome.expect_error();
    assert!(error.contains("side input side of look"), "{error}");
    runner.release_state();
    succeeds(&runner, &stage);
    runner.close();
}

#[test]
fn a_runner_that_reads_no_output_makes_bundles_wait() {
    let runner = FakeRunner::of(registry())
        .budgets(ferrobeam::harness::Budgets {
            inbound: 1 << 20,
            outbound: 1 << 20,
        })
        .start();
    let mut stage = Descriptor::new("much output");
    let sizes = stage.source("source", i64::coder());
    let zeros = stage.steps("zeros", &zeros(), &sizes);
    stage.sink("sink", &zeros);
    runner.read_output(false);
    let bundle = runner.bundle(&stage).start();
    // More than all that fits between worker and runner.
    bundle.send("source", in_global_window([1i64 << 20; 40]).concat());
    bundle.end_all();
    // Progress is answered meanwhile.
    bundle.expect_progress(|progress| progress.metrics.read_index("source") >= Some(2));
    let before = bundle.progress().metrics.read_index("source");
    assert!(before < Some(39), "{before:?}");
    runner.read_output(true);
    let outcome = bundle.wait();
    assert_eq!(outcome.metrics.element_count("zeros.output"), Some(40));
    assert!(outcome.bytes("sink").len() > 40 << 20);
    runner.close();
}

#[test]
fn input_of_bundles_that_have_ended_is_dropped() {
    let runner = FakeRunner::start(registry());
    let good = passing::<i64>("good");
    let bad = doing("bad", Do::new(At::Setup, Deed::Fail));
    let input = in_global_window([1i64]).concat();
    let failed = runner.bundle(&bad).start();
    let failed_id = failed.id().to_owned();
    failed.wait().expect_error();
    let ended = runner.bundle(&good).start();
    let ended_id = ended.id().to_owned();
    ended.end_all();
    ended.wait().assert_ok();
    for id in [&failed_id, &ended_id] {
        runner.send_data(id, "source", input.clone(), false);
        runner.send_data(id, "source", input.clone(), true);
    }
    succeeds(&runner, &good);
    assert_eq!(runner.unfinished(), 0);
    runner.close();
}

#[test]
fn input_after_the_last_harms_nobody() {
    let runner = FakeRunner::of(registry())
        .budgets(ferrobeam::harness::Budgets {
            inbound: 1 << 16,
            outbound: 1 << 16,
        })
        .start();
    let stage = doing("over", Do::wait(At::Finish, "after the last"));
    let bundle = runner.bundle(&stage).start();
    bundle.end_all();
    Gate::named("after the last").expect(1);
    // More than the worker keeps for a bundle, so that its reader has to wait with the last of it.
    let much = vec![0u8; 40_000];
    for _ in 0..3 {
        bundle.send("source", much.clone());
    }
    Gate::named("after the last").open();
    bundle.wait().assert_ok();
    succeeds(&runner, &passing::<i64>("other"));
    runner.close();
}

#[test]
fn a_stalled_bundle_does_not_delay_others() {
    let runner = FakeRunner::of(registry())
        .budgets(ferrobeam::harness::Budgets {
            inbound: 1 << 16,
            outbound: 1 << 16,
        })
        .start();
    let quick = passing::<i64>("quick");
    succeeds(&runner, &quick);
    let mut stage = Descriptor::new("stalled");
    let numbers = stage.source("source", i64::coder());
    stage.par_do("do", &Do::wait(At::Element(0), "stalled"), &numbers);
    let stalled = runner.bundle(&stage).start();
    stalled.send("source", in_global_window([0i64]).concat());
    Gate::named("stalled").expect(1);
    let much = in_global_window((1..2000i64).collect::<Vec<_>>()).concat();
    for round in 0..20 {
        // Both a bundle that waits for its thread, and one that has it, wait behind the stalled one's input.
        let waiting = runner.bundle(&quick).start();
        let running = runner
            .bundle(&passing::<i64>(&format!("quick {round}")))
            .start();
        for _ in 0..5 {
            stalled.send("source", much.clone());
        }
        for bundle in [&waiting, &running] {
            bundle.send("source", in_global_window([7i64]).concat());
            bundle.end_all();
        }
        assert_eq!(running.wait().values::<i64>("sink"), [7]);
        assert_eq!(waiting.wait().values::<i64>("sink"), [7]);
    }
    stalled.end_all();
    Gate::named("stalled").open();
    let outcome = stalled.wait();
    outcome.assert_ok();
    assert_eq!(outcome.metrics.read_index("source"), Some(1 + 100 * 1999));
    runner.close();
}

#[test]
fn a_stalled_bundle_does_not_delay_one_that_waits_for_its_first_message() {
    let runner = FakeRunner::of(registry())
        .budgets(ferrobeam::harness::Budgets {
            inbound: 1 << 16,
            outbound: 1 << 16,
        })
        .start();
    let quick = passing::<i64>("quick");
    succeeds(&runner, &quick);
    let stage = doing("stalled first", Do::wait(At::Element(0), "stalled first"));
    let stalled = runner.bundle(&stage).start();
    stalled.send("source", in_global_window([0i64]).concat());
    Gate::named("stalled first").expect(1);
    let much = in_global_window(vec![1i64; 10_000]).concat();
    let waiting = runner.bundle(&quick).start();
    for _ in 0..5 {
        stalled.send("source", much.clone());
    }
    waiting.send("source", in_global_window([7i64]).concat());
    waiting.end_all();
    assert_eq!(waiting.wait().values::<i64>("sink"), [7]);
    Gate::named("stalled first").open();
    stalled.end_all();
    stalled.wait().assert_ok();
    runner.close();
}
