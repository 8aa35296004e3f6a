//! What pipeline options do.

use std::sync::atomic::{AtomicUsize, Ordering};

use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window};
use serde::{Deserialize, Serialize};

use crate::support::{At, Deed, Do, Gate, doing, registry};

/// Says what an option is.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.Ask/v1")]
struct Ask;

#[derive(Ports)]
struct AskIo {
    out: Out<String>,
    options: Options,
}

impl DoFn for Ask {
    type In = String;
    type Io = AskIo;

    fn process(&mut self, name: String, cx: &mut Cx<'_>, io: &mut AskIo) -> Result {
        let value = io.options.get(&name).map(ToString::to_string);
        let answer = format!("{name}: {}", value.unwrap_or_default());
        io.out.emit(cx, answer);
        Ok(())
    }
}

#[test]
fn functions_read_options_as_they_were_submitted() {
    let mut functions = registry();
    functions.add::<Ask>();
    let runner = FakeRunner::of(functions)
        .option("max_rows", 12)
        .option("names", vec!["a", "b"])
        .option("text", "12")
        .start();
    let mut stage = Descriptor::new("asking");
    let names = stage.source("source", String::coder());
    let out = stage.par_do("ask", &Ask, &names);
    stage.sink("sink", &out["out"]);
    let names = ["maxRows", "names", "text", "none"].map(str::to_owned);
    let outcome = runner
        .bundle(&stage)
        .input("source", in_global_window(names))
        .run();
    assert_eq!(
        outcome.values::<String>("sink"),
        [
            "maxRows: 12",
            r#"names: ["a","b"]"#,
            r#"text: "12""#,
            "none: "
        ]
    );
    runner.close();
}

#[test]
fn a_bad_value_is_logged_with_its_name() {
    let runner = FakeRunner::of(registry())
        .option("harness_threads", "many")
        .start();
    let entry = runner.expect_log(|entry| entry.message.contains("harness_threads"));
    assert_eq!(
        entry.message,
        "the pipeline option harness_threads is ignored: its value is \"many\", but should be a number from 1 to 65536"
    );
    runner.close();
}

/// Counts the bundles that are in it at once.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.Crowd/v1")]
struct Crowd;

static INSIDE: AtomicUsize = AtomicUsize::new(0);
static MOST_INSIDE: AtomicUsize = AtomicUsize::new(0);

impl DoFn for Crowd {
    type In = i64;
    type Io = Out<i64>;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        let inside = INSIDE.fetch_add(1, Ordering::SeqCst) + 1;
        MOST_INSIDE.fetch_max(inside, Ordering::SeqCst);
        // Others that may come in do so meanwhile.
        for _ in 0..2000 {
            std::thread::yield_now();
        }
        INSIDE.fetch_sub(1, Ordering::SeqCst);
        out.emit(cx, n);
        Ok(())
    }
}

#[test]
fn no_more_bundles_run_at_once_than_an_option_allows() {
    let mut functions = registry();
    functions.add::<Crowd>();
    let runner = FakeRunner::of(functions)
        .option("harness_threads", 3)
        .start();
    let mut stage = Descriptor::new("crowded");
    let numbers = stage.source("source", i64::coder());
    let out = stage.par_do("crowd", &Crowd, &numbers);
    stage.sink("sink", &out["output"]);
    let bundles: Vec<_> = (0..20i64)
        .map(|n| {
            let bundle = runner.bundle(&stage).start();
            bundle.send("source", in_global_window([n]).concat());
            bundle.end_all();
            (n, bundle)
        })
        .collect();
    for (n, bundle) in bundles {
        assert_eq!(bundle.wait().values::<i64>("sink"), [n]);
    }
    assert_eq!(MOST_INSIDE.load(Ordering::SeqCst), 3);
    runner.close();
}

/// Bytes of a number in the global window.
const ELEMENT: usize = 14;

#[test]
fn output_of_a_slow_streaming_bundle_is_sent_on_while_it_runs() {
    let runner = FakeRunner::of(registry()).option("streaming", true).start();
    let stage = doing("slow", Do::wait(At::Element(3), "slow"));
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([1i64, 2]).concat());
    // The bundle waits for input.
    runner.expect_output(bundle.id(), "sink", 2 * ELEMENT);
    bundle.send("source", in_global_window([2i64, 3, 4]).concat());
    // A function is at work.
    Gate::named("slow").expect(1);
    runner.expect_output(bundle.id(), "sink", 3 * ELEMENT);
    Gate::named("slow").open();
    bundle.end_all();
    assert_eq!(bundle.wait().values::<i64>("sink"), [1, 2, 2, 3, 4]);
    // The next bundle of the plan begins with nothing.
    let input = in_global_window([7i64]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert_eq!(outcome.values::<i64>("sink"), [7]);
    runner.close();
}

#[test]
fn output_is_sent_once_it_is_as_large_as_an_experiment_says() {
    let runner = FakeRunner::of(registry())
        .option("experiments", vec!["data_buffer_size_limit=28"])
        .start();
    let stage = doing("small", Do::wait(At::Element(4), "small"));
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([1i64, 2, 3, 4]).concat());
    Gate::named("small").expect(1);
    // Two were enough; the third waits for the fourth.
    runner.expect_output(bundle.id(), "sink", 2 * ELEMENT);
    runner.settle();
    assert_eq!(runner.output(bundle.id(), "sink").len(), 2 * ELEMENT);
    Gate::named("small").open();
    bundle.end_all();
    assert_eq!(bundle.wait().values::<i64>("sink"), [1, 2, 3, 4]);
    runner.close();
}

#[test]
fn a_failed_streaming_bundle_sends_no_ends() {
    let runner = FakeRunner::of(registry()).option("streaming", true).start();
    let stage = doing("failing", Do::new(At::Element(3), Deed::Fail));
    let input = in_global_window([1i64, 2, 3]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert!(outcome.expect_error().contains("told to fail"));
    let input = in_global_window([5i64]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert_eq!(outcome.values::<i64>("sink"), [5]);
    runner.close();
}
