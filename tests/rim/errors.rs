//! Bundles that go wrong, one at a time.

use ferrobeam::dofn::FunctionPayload;
use ferrobeam::element::{Coder, Nesting, encoded};
use ferrobeam::model::descriptor::CombineStage;
use ferrobeam::prelude::*;
use ferrobeam::testing::{BundleOutcome, Descriptor, FakeRunner, Write, bag_key, in_global_window};
use serde_json::json;

use crate::support::{At, Deed, Do, Gate, doing, passing, registry};

/// The last value; panics when it is dropped.
#[derive(serde::Serialize, serde::Deserialize, CombineFn)]
#[beam(name = "rim.Last/v1")]
struct Last;

impl CombineFn for Last {
    type In = i64;
    type Acc = i64;
    type Out = i64;

    fn zero(&self) -> i64 {
        0
    }

    fn add(&self, acc: &mut i64, value: i64) {
        *acc = value;
    }

    fn merge(&self, into: &mut i64, from: i64) {
        *into = from;
    }

    fn finish(&self, acc: i64) -> i64 {
        acc
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        let thread = std::thread::current();
        let is_in_worker = thread.name().is_some_and(|name| !name.contains("combiner"));
        if is_in_worker && !std::thread::panicking() {
            panic!("the combiner goes");
        }
    }
}

/// Runs a bundle that must fail, and then one that must not.
#[track_caller]
fn fails(runner: &FakeRunner, stage: &Descriptor) -> BundleOutcome {
    let input = in_global_window([1i64, 2, 3]);
    let outcome = runner.bundle(stage).input("source", input.clone()).run();
    outcome.expect_error();
    let good = runner
        .bundle(&passing::<i64>("good"))
        .input("source", input)
        .run();
    assert_eq!(good.values::<i64>("sink"), [1, 2, 3]);
    assert_eq!(runner.unfinished(), 0);
    outcome
}

#[track_caller]
fn assert_says(outcome: &BundleOutcome, parts: &[&str]) {
    let error = outcome.expect_error();
    for part in parts {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

#[test]
fn errors_name_transform_and_step() {
    let runner = FakeRunner::start(registry());
    for (at, step) in [
        (At::Setup, "setup"),
        (At::Start, "start_bundle"),
        (At::Element(2), "told to fail"),
        (At::Finish, "finish_bundle"),
    ] {
        let stage = doing(&format!("failing {at:?}"), Do::new(at, Deed::Fail));
        let outcome = fails(&runner, &stage);
        assert_says(
            &outcome,
            &["told to fail", "transform \"do\"", step, "instruction"],
        );
    }
    runner.close();
}

#[test]
fn panics_of_every_kind_are_errors() {
    let runner = FakeRunner::start(registry());
    let elements = [
        (Deed::Panic, "told to panic"),
        (Deed::PanicAny, "panic"),
        (Deed::PanicBadly, "panic"),
        (Deed::Unwrap, "None"),
        (Deed::Overflow, "overflow"),
        (Deed::Index, "index out of bounds"),
    ];
    for (what, text) in elements {
        let stage = doing(&format!("{what:?}"), Do::new(At::Element(2), what));
        let outcome = fails(&runner, &stage);
        assert_says(&outcome, &["panic", text, "transform \"do\""]);
    }
    for at in [At::Setup, At::Start, At::Finish] {
        let stage = doing(&format!("panic in {at:?}"), Do::new(at, Deed::Panic));
        let outcome = fails(&runner, &stage);
        assert_says(
            &outcome,
            &["panic: told to panic", "transform \"do\"", "support.rs:"],
        );
    }
    runner.close();
}

#[test]
fn a_function_that_panics_when_it_goes_harms_nobody() {
    let runner = FakeRunner::start(registry());
    for (at, what) in [
        (At::Teardown, Deed::Panic),
        (At::Drop, Deed::Panic),
        (At::Teardown, Deed::PanicBadly),
        (At::Drop, Deed::PanicBadly),
    ] {
        // One that fails first, so that it goes at once; and one that goes with the worker.
        let mut stage = Descriptor::new(format!("fails, then {what:?} in {at:?}"));
        let numbers = stage.source("source", i64::coder());
        let first = stage.par_do("first", &Do::new(at, what.clone()), &numbers);
        let second = stage.par_do("second", &Do::new(at, what.clone()), &first["output"]);
        let failing = Do::new(At::Element(3), Deed::Index);
        let third = stage.par_do("third", &failing, &second["output"]);
        stage.sink("sink", &third["output"]);
        let before = runner.logs().len();
        let outcome = fails(&runner, &stage);
        assert_says(&outcome, &["index out of bounds", "transform \"third\""]);
        // The log has both, each with its place.
        let told = runner.expect_log_after(before, |entry| {
            entry.message.starts_with(
                "a function panicked when it was torn down or dropped, at tests/rim/support.rs:",
            )
        });
        assert_eq!(told.instruction_id, outcome.id);
        let failed =
            runner.expect_log_after(before, |entry| entry.message.starts_with("bundle failed"));
        assert!(failed.log_location.starts_with("tests/rim/support.rs:"));
        assert!(!told.message.ends_with(&failed.log_location), "{told:?}");

        let stage = doing(&format!("{what:?} in {at:?}"), Do::new(at, what));
        let input = in_global_window([1i64]);
        let outcome = runner.bundle(&stage).input("source", input).run();
        assert_eq!(outcome.values::<i64>("sink"), [1]);
    }
    runner.close();
}

/// Forgets what it kept, and keeps something new.
#[derive(serde::Serialize, serde::Deserialize, DoFn)]
#[beam(name = "rim.Anew/v1")]
struct Anew;

#[derive(Ports)]
struct AnewIo {
    out: Out<i64>,
    kept: BagState<i64>,
}

impl DoFn for Anew {
    type In = Kv<String, i64>;
    type Io = AnewIo;

    fn process(&mut self, Kv(_, n): Self::In, cx: &mut Cx<'_>, io: &mut AnewIo) -> Result {
        io.kept.clear()?;
        io.kept.add(&n)?;
        io.out.emit(cx, n);
        Ok(())
    }
}

/// Each plan sets its function up once.
#[test]
fn a_plan_whose_bundle_failed_is_not_used_again() {
    let mut registry = registry();
    registry.add::<Anew>();
    let runner = FakeRunner::start(registry);
    let setups = Gate::named("not used again");
    setups.open();
    let mut stage = Descriptor::new("not used again");
    let pairs = stage.source("source", <Kv<String, i64>>::coder());
    let anew = stage.par_do("anew", &Anew, &pairs);
    let numbers = stage.par_do("do", &Do::wait(At::Setup, "not used again"), &anew["out"]);
    let picky = Do::new(At::Element(13), Deed::Fail);
    let numbers = stage.par_do("picky", &picky, &numbers["output"]);
    stage.sink("sink", &numbers["output"]);
    let run = |n: i64| {
        let input = in_global_window([Kv("k".to_owned(), n)]);
        runner.bundle(&stage).input("source", input).run()
    };
    for _ in 0..2 {
        assert_eq!(run(7).values::<i64>("sink"), [7]);
    }
    assert_eq!(setups.arrived(), 1);
    assert_says(&run(13), &["told to fail"]);
    for _ in 0..2 {
        assert_eq!(run(7).values::<i64>("sink"), [7]);
    }
    assert_eq!(setups.arrived(), 2);
    // What fails last: the clear, although the append works.
    let key = encoded(&"k".to_owned(), Nesting::Nested);
    let kept = bag_key("anew", "kept", "", key);
    runner.refuse_state_write(kept.clone(), Write::Clear, "backend down");
    assert_says(&run(7), &["backend down", "state \"kept of anew\""]);
    assert_eq!(setups.arrived(), 2);
    run(7).expect_error();
    assert_eq!(setups.arrived(), 3);
    runner.close();
}

#[test]
fn a_combiner_that_panics_when_it_goes_harms_nobody() {
    let mut registry = registry();
    registry.add_combine::<Last>();
    let runner = FakeRunner::start(registry);
    for at in [At::Setup, At::Element(3), At::Drop] {
        let mut stage = Descriptor::new(format!("combiner, {at:?}"));
        let numbers = stage.source("source", i64::coder());
        let numbers = stage.par_do("do", &Do::new(at, Deed::Fail), &numbers);
        stage.sink("sink", &numbers["output"]);
        let pairs = stage.source("pairs", <Kv<i64, i64>>::coder());
        let combined = stage.combine("last", CombineStage::Precombine, &Last, &pairs);
        stage.sink("combined", &combined);
        let bundle = runner
            .bundle(&stage)
            .input("source", in_global_window([3i64]))
            .input("pairs", in_global_window([Kv(1i64, 2i64)]));
        let outcome = bundle.run();
        assert_eq!(outcome.error.is_some(), at != At::Drop);
    }
    assert_eq!(runner.unfinished(), 0);
    runner.close();
}

#[test]
fn a_panic_within_a_panic_names_the_bundle_before_the_process_ends() {
    let output = crate::child::output(
        "errors::a_panic_within_a_panic_names_the_bundle_before_the_process_ends",
        || {
            let runner = FakeRunner::start(registry());
            let stage = doing("twice", Do::new(At::Element(1), Deed::PanicTwice));
            let input = in_global_window([1i64]);
            runner.bundle(&stage).input("source", input).run();
        },
    );
    let Some(output) = output else { return };
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    let named = "the panic is in bundle \"i1\", transform \"do\"";
    // Only the standard library's own farewell comes after it.
    let (_, farewell) = said.rsplit_once(named).expect("the bundle is named");
    let farewell = farewell.trim_ascii();
    assert!(
        farewell.contains("abort") && farewell.lines().count() == 1,
        "{said}"
    );
}

#[test]
fn an_unknown_function_is_named_with_those_that_are_known() {
    let runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("unknown function");
    let numbers = stage.source("source", i64::coder());
    let payload = FunctionPayload {
        format: 1,
        name: "shop.Price/v1".into(),
        config: json!({}),
    };
    stage.function::<Do>("price", &payload, &numbers, &[]);
    let outcome = fails(&runner, &stage);
    assert_says(
        &outcome,
        &["\"shop.Price/v1\"", "rim.Do/v1", "transform \"price\""],
    );
    runner.close();
}

#[test]
fn a_configuration_that_does_not_fit_is_an_error() {
    let runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("wrong config");
    let numbers = stage.source("source", i64::coder());
    let payload = FunctionPayload {
        format: 1,
        name: "rim.Do/v1".into(),
        config: json!({"at": "Nowhere"}),
    };
    stage.function::<Do>("do", &payload, &numbers, &[]);
    let outcome = fails(&runner, &stage);
    assert_says(&outcome, &["rim.Do/v1", "Nowhere", "transform \"do\""]);
    runner.close();
}

#[test]
fn a_descriptor_that_cannot_be_run_says_why() {
    let runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("unknown transform");
    let numbers = stage.source("source", i64::coder());
    stage.transform(
        "odd",
        "beam:transform:odd:v1",
        Vec::new(),
        &[("in", &numbers)],
        &[],
    );
    let outcome = runner.bundle(&stage).start();
    let outcome = outcome.wait();
    assert_says(
        &outcome,
        &[
            "beam:transform:odd:v1",
            "transform \"odd\"",
            "unknown transform",
        ],
    );

    let mut stage = Descriptor::new("types that differ");
    let texts = stage.source("source", String::coder());
    stage.par_do("do", &Do::new(At::Drop, Deed::Fail), &texts);
    let outcome = fails(&runner, &stage);
    assert_says(&outcome, &["string_utf8", "varint", "transform"]);

    let mut stage = Descriptor::new("no visible end");
    let odd = stage.source("source", Coder::foreign("test:coder:odd", Vec::new()));
    stage.sink("sink", &odd);
    let outcome = fails(&runner, &stage);
    assert_says(&outcome, &["test:coder:odd", "length_prefix", "transform"]);
    runner.close();
}

#[test]
fn a_descriptor_that_the_runner_does_not_have_is_an_error() {
    let runner = FakeRunner::start(registry());
    let bundle = runner.bundle(&passing::<i64>("good")).start();
    bundle.end_all();
    bundle.wait().assert_ok();
    runner.instruction("lost", crate::basics::process("nowhere"));
    let answer = runner.expect_response("lost");
    assert!(answer.error.contains("\"nowhere\""), "{answer:?}");
    assert_eq!(runner.unfinished(), 0);
    runner.close();
}

#[test]
fn a_circle_in_a_descriptor_is_an_error() {
    let runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("circle");
    let numbers = stage.source("source", i64::coder());
    let again = stage.collection(
        "flatten.out",
        i64::coder(),
        ferrobeam::window::WindowFn::Global,
    );
    let around = stage.flatten("flatten", &[&numbers, &again]);
    stage.sink("sink", &around);
    let outcome = fails(&runner, &stage);
    assert_says(&outcome, &["circle", "flatten"]);
    runner.close();
}

#[test]
fn input_that_does_not_decode_names_its_source() {
    let runner = FakeRunner::start(registry());
    let stage = doing("damaged", Do::new(At::Drop, Deed::Log("gone".into())));
    // A varint of eleven bytes.
    let mut element = in_global_window([1i64]).concat();
    element.pop();
    element.extend([0x80; 11]);
    let outcome = runner.bundle(&stage).input("source", [element]).run();
    assert_says(&outcome, &["varint", "transform \"source\""]);

    let mut half = in_global_window([1i64]).concat();
    half.pop();
    let outcome = runner.bundle(&stage).input("source", [half]).run();
    assert_says(&outcome, &["ends", "transform \"source\""]);
    runner.close();
}

#[test]
fn damaged_content_does_not_wait_for_more() {
    let runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("damaged content");
    let pair = Coder::length_prefix(<Kv<i64, i64>>::coder());
    let pairs = stage.source("source", pair);
    stage.steps("swap", &crate::support::swapped(), &pairs);
    let bundle = runner.bundle(&stage).start();
    // One byte where two varints should be. No input that follows can cure it.
    let mut element = in_global_window([1i64]).concat();
    element.extend([7]);
    bundle.send("source", element);
    let outcome = bundle.wait();
    assert_says(&outcome, &["transform \"source\""]);
    runner.close();
}

#[test]
fn lengths_that_lie_are_errors() {
    let runner = FakeRunner::start(registry());
    let stage = passing::<String>("lies");
    for lie in [
        // A text of 2^63 - 1 bytes.
        vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, b'a'],
        // One whose length has no end.
        vec![0xff; 20],
    ] {
        let bundle = runner.bundle(&stage).start();
        let mut element = in_global_window([0i64]).concat();
        element.pop();
        element.extend(lie);
        bundle.send("source", element);
        assert_says(&bundle.wait(), &["transform \"source\""]);
    }
    // Four billion windows.
    let bundle = runner.bundle(&stage).start();
    let mut element = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
    element.extend([1, b'a']);
    bundle.send("source", element);
    assert_says(&bundle.wait(), &["windows", "transform \"source\""]);
    runner.close();
}

#[test]
fn input_for_a_transform_that_is_no_source_is_an_error() {
    let runner = FakeRunner::start(registry());
    let bundle = runner.bundle(&passing::<i64>("astray")).start();
    runner.send_data(
        bundle.id(),
        "elsewhere",
        in_global_window([1i64]).concat(),
        false,
    );
    assert_says(&bundle.wait(), &["elsewhere", "not a source"]);

    let mut stage = Descriptor::new("two sources");
    let one = stage.source("one", i64::coder());
    let two = stage.source("two", i64::coder());
    stage.sink("a", &one);
    stage.sink("b", &two);
    let bundle = runner.bundle(&stage).start();
    bundle.end("one");
    bundle.send("one", in_global_window([1i64]).concat());
    assert_says(&bundle.wait(), &["after its end", "transform \"one\""]);
    runner.close();
}
