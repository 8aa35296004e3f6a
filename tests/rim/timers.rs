//! Timers through a worker, by exact bytes and in order.

use std::collections::BTreeMap;
use std::time::Duration;

use ferrobeam::element::{Coder, Firing, Nesting, Pane, TimerRecord, WindowBytes, encoded};
use ferrobeam::exec::Registry;
use ferrobeam::model::descriptor::PlanSpec;
use ferrobeam::prelude::*;
use ferrobeam::testing::{
    BundleOutcome, Chaos, Descriptor, Endpoints, FakeRunner, Windowing, in_windows,
};
use ferrobeam::window::{FixedWindows, IntervalWindow, WindowFn};
use serde::{Deserialize, Serialize};

use crate::support::Gate;

/// Sets timers as its elements say: `flush 10; flush clear; retry a 20; poll 30; later 5`. A timer that fires says so, and
/// does what `then` says: `flush@10` and the like are the names of firings.
#[derive(Default, Serialize, Deserialize, DoFn)]
#[beam(name = "rim.Timed/v1")]
struct Timed {
    then: BTreeMap<String, String>,
}

struct Flush;
struct Retry;
struct Poll;

#[derive(Ports)]
struct TimedIo {
    fired: Out<String>,
    flush: Timer<Flush>,
    retry: Timers<Retry>,
    poll: Timer<Poll, ProcessingTime>,
}

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

impl Timed {
    fn follow(&self, script: &str, cx: &mut Cx<'_>, io: &mut TimedIo) -> Result {
        for step in script.split(';').filter(|step| !step.trim().is_empty()) {
            let words: Vec<&str> = step.split_whitespace().collect();
            let tag = |tag: &str| {
                if tag == "-" {
                    String::new()
                } else {
                    tag.to_owned()
                }
            };
            match words.as_slice() {
                ["flush", "clear"] => io.flush.clear(cx),
                ["flush", at] => io.flush.set(cx, ms(at.parse()?)),
                ["later", by] => io.flush.set_after(cx, Duration::from_millis(by.parse()?)),
                ["hold", at, hold] => {
                    let hold = Hold::At(ms(hold.parse()?));
                    io.flush.set_holding(cx, ms(at.parse()?), hold);
                }
                ["free", at] => io.flush.set_holding(cx, ms(at.parse()?), Hold::Nothing),
                ["retry", of, "clear"] => io.retry.clear(cx, &tag(of)),
                ["retry", of, at] => io.retry.set(cx, &tag(of), ms(at.parse()?)),
                ["poll", "clear"] => io.poll.clear(cx),
                ["poll", at] => io.poll.set(cx, ms(at.parse()?)),
                ["wait", gate] => Gate::named(gate).pass()?,
                ["fail"] => return Err(Error::user("told to fail")),
                ["panic"] => panic!("told to panic"),
                _ => return Err(Error::user(format!("what is {step:?}?"))),
            }
        }
        Ok(())
    }

    fn fired(&self, name: String, key: &str, cx: &mut Cx<'_>, io: &mut TimedIo) -> Result {
        io.fired.emit(cx, format!("{key} {name}"));
        match self.then.get(&name) {
            Some(script) => self.follow(script, cx, io),
            None => Ok(()),
        }
    }
}

impl DoFn for Timed {
    type In = Kv<String, String>;
    type Io = TimedIo;

    fn process(&mut self, Kv(_, script): Self::In, cx: &mut Cx<'_>, io: &mut TimedIo) -> Result {
        self.follow(&script, cx, io)
    }
}

impl OnTimer<Flush> for Timed {
    fn on_timer(
        &mut self,
        key: &String,
        fired: Fired<'_>,
        cx: &mut Cx<'_>,
        io: &mut TimedIo,
    ) -> Result {
        self.fired(format!("flush@{}", fired.at.millis()), key, cx, io)
    }
}

impl OnTimer<Retry> for Timed {
    fn on_timer(
        &mut self,
        key: &String,
        fired: Fired<'_>,
        cx: &mut Cx<'_>,
        io: &mut TimedIo,
    ) -> Result {
        let name = format!("retry {}@{}", fired.tag, fired.at.millis());
        self.fired(name, key, cx, io)
    }
}

impl OnTimer<Poll> for Timed {
    fn on_timer(
        &mut self,
        key: &String,
        fired: Fired<'_>,
        cx: &mut Cx<'_>,
        io: &mut TimedIo,
    ) -> Result {
        self.fired(format!("poll@{}", fired.at.millis()), key, cx, io)
    }
}

/// Says which windows of which keys have expired.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.Expiring/v1")]
struct Expiring;

#[derive(Ports)]
struct ExpiringIo {
    expired: Out<String>,
    window: InWindow<IntervalWindow>,
    end: WindowExpiration,
}

impl DoFn for Expiring {
    type In = Kv<String, i64>;
    type Io = ExpiringIo;

    fn process(&mut self, _: Self::In, _: &mut Cx<'_>, _: &mut ExpiringIo) -> Result {
        Ok(())
    }
}

impl OnWindowExpiration for Expiring {
    fn on_window_expiration(
        &mut self,
        key: &String,
        cx: &mut Cx<'_>,
        io: &mut ExpiringIo,
    ) -> Result {
        let end = io.window.get()?.end.millis();
        io.expired.emit(cx, format!("{key} until {end}"));
        Ok(())
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.add::<Timed>().add::<Expiring>();
    registry
}

/// A stage of [`Timed`], which follows up on firings as `then` says.
fn timed(windows: WindowFn, then: &[(&str, &str)]) -> Descriptor {
    let then = then
        .iter()
        .map(|(name, script)| ((*name).to_owned(), (*script).to_owned()));
    let function = Timed {
        then: then.collect(),
    };
    let mut stage = Descriptor::new("timed");
    let input = stage.source_in("source", <Kv<String, String>>::coder(), windows);
    let outputs = stage.par_do("do", &function, &input);
    stage.sink("sink", &outputs["fired"]);
    stage
}

/// Scripts for keys at one second, in the global window.
fn scripts(scripts: &[(&str, &str)]) -> Vec<bytes::Bytes> {
    let scripts = scripts
        .iter()
        .map(|(key, script)| (ms(1_000), Kv((*key).to_owned(), (*script).to_owned())));
    in_windows(&WindowFn::Global, scripts)
}

/// A timer of a key that fires in the global window, holding at its own time.
fn firing(key: &str, tag: &str, at: i64) -> TimerRecord {
    TimerRecord {
        key: encoded(&key.to_owned(), Nesting::Nested).into(),
        tag: tag.into(),
        windows: WindowBytes::global(),
        firing: Some(Firing {
            at: ms(at),
            hold: ms(at),
            pane: Pane::NO_FIRING,
        }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn said(outcomes: &[BundleOutcome]) -> Vec<Vec<String>> {
    outcomes
        .iter()
        .map(|outcome| outcome.values::<String>("sink"))
        .collect()
}

/// The times of a family's timers that a bundle has set, with their tags, or that it has cleared.
fn written(outcome: &BundleOutcome, family: &str) -> Vec<(String, Option<i64>)> {
    let timers = outcome.timers("do", family).into_iter();
    timers
        .map(|timer| (timer.tag, timer.firing.map(|firing| firing.at.millis())))
        .collect()
}

#[test]
fn the_last_write_to_each_timer_goes_out_once() {
    let stage = timed(WindowFn::Global, &[]);
    let runner = FakeRunner::start(registry());
    let input = [
        ("k", "retry - 10000; retry - clear; retry - 20000"),
        ("k", "retry a 10000; retry b 5000"),
    ];
    let outcome = runner.bundle(&stage).input("source", scripts(&input)).run();
    outcome.assert_ok();
    let mut bytes = hex(outcome.timer_bytes("do", "retry"));
    for expected in [
        "016b0000000001008000000000004e208000000000004e200f",
        "016b0161000000010080000000000027108000000000002710 0f",
        "016b0162000000010080000000000013888000000000001388 0f",
    ] {
        let expected = expected.replace(' ', "");
        assert!(bytes.contains(&expected), "{bytes}");
        bytes = bytes.replacen(&expected, "", 1);
    }
    assert_eq!(bytes, "");
    assert!(outcome.timer_bytes("do", "flush").is_empty());

    let input = [("k", "retry - 10000; retry - clear")];
    let outcome = runner.bundle(&stage).input("source", scripts(&input)).run();
    outcome.assert_ok();
    assert_eq!(hex(outcome.timer_bytes("do", "retry")), "016b000000000101");
    assert_eq!(
        runner
            .timers(&stage)
            .iter()
            .map(|timer| timer.record.tag.as_str())
            .collect::<Vec<_>>(),
        ["b", "a"]
    );
    runner.close();
}

#[test]
fn timers_fire_when_the_runner_says() {
    let stage = timed(WindowFn::Global, &[]);
    let runner = FakeRunner::start(registry());
    let input = [
        ("x", "flush 5000; poll 70; retry a 3000"),
        ("y", "flush 4000"),
    ];
    runner
        .bundle(&stage)
        .input("source", scripts(&input))
        .run()
        .assert_ok();
    assert!(runner.advance_watermark(&stage, ms(2_999)).is_empty());
    let fired = runner.advance_watermark(&stage, ms(4_500));
    ferrobeam::testing::assert_in_any_order(
        said(&fired).concat(),
        ["x retry a@3000".to_owned(), "y flush@4000".to_owned()],
    );
    let fired = runner.advance_processing_time(&stage, ms(70));
    assert_eq!(said(&fired), [["x poll@70"]]);
    // A processing-time timer holds at the timestamp of the element that set it.
    assert_eq!(
        fired[0].elements::<String>("sink")[0].timestamp(),
        ms(1_000)
    );
    let fired = runner.advance_watermark(&stage, ms(60_000));
    assert_eq!(said(&fired), [["x flush@5000"]]);
    assert_eq!(
        fired[0].elements::<String>("sink")[0].timestamp(),
        ms(5_000)
    );
    assert!(runner.timers(&stage).is_empty());
    runner.close();
}

#[test]
fn timers_can_be_moved_and_cleared_in_a_later_bundle() {
    let stage = timed(WindowFn::Global, &[]);
    let runner = FakeRunner::start(registry());
    let run = |key: &str, script: &str| {
        let bundle = runner.bundle(&stage);
        bundle
            .input("source", scripts(&[(key, script)]))
            .run()
            .assert_ok();
    };
    for key in ["cleared", "later", "earlier"] {
        run(key, "flush 5000");
    }
    run("cleared", "flush clear");
    run("later", "flush 9000");
    run("earlier", "flush 2000");
    let fired = |to| said(&runner.advance_watermark(&stage, ms(to))).concat();
    assert_eq!(fired(2_000), ["earlier flush@2000"]);
    assert_eq!(fired(8_999), [""; 0]);
    assert_eq!(fired(9_000), ["later flush@9000"]);
    runner.close();
}

#[test]
fn timers_may_set_timers() {
    let stage = timed(
        WindowFn::Global,
        &[
            ("flush@1000", "later 1000"),
            ("flush@2000", "later 1000"),
            ("flush@3000", "later 1000"),
            ("flush@4000", "later 1000"),
        ],
    );
    let runner = FakeRunner::start(registry());
    let input = scripts(&[("k", "flush 1000")]);
    runner
        .bundle(&stage)
        .input("source", input)
        .run()
        .assert_ok();
    let fired = runner.advance_watermark(&stage, ms(10_000));
    assert_eq!(
        said(&fired).concat(),
        [1, 2, 3, 4, 5].map(|n| format!("k flush@{n}000"))
    );
    runner.close();
}

#[test]
fn timers_that_a_bundle_sets_fire_in_their_turn() {
    let stage = timed(
        WindowFn::Global,
        &[
            (
                "flush@10",
                "retry a 15; retry b 40; retry c 15; retry c clear",
            ),
            ("retry a@15", "retry d 20"),
        ],
    );
    let runner = FakeRunner::start(registry());
    let outcome = runner
        .bundle(&stage)
        .fire("do", "flush", [firing("k", "", 10), firing("k", "", 30)])
        .run();
    assert_eq!(
        outcome.values::<String>("sink"),
        ["k flush@10", "k retry a@15", "k retry d@20", "k flush@30"]
    );
    // What has fired here must not fire again: the runner may know of an older one.
    assert_eq!(
        written(&outcome, "retry"),
        [
            ("a".to_owned(), None),
            ("b".to_owned(), Some(40)),
            ("c".to_owned(), None),
            ("d".to_owned(), None),
        ]
    );
    assert_eq!(written(&outcome, "flush"), []);
    runner.close();
}

#[test]
fn a_timer_that_the_bundle_has_moved_or_cleared_does_not_fire_as_it_was() {
    let stage = timed(
        WindowFn::Global,
        &[(
            "flush@10",
            "retry moved 50; retry cleared clear; retry same 20",
        )],
    );
    let runner = FakeRunner::start(registry());
    let retries = ["moved", "cleared", "same", "other"].map(|tag| firing("k", tag, 20));
    let bundle = runner.bundle(&stage).start();
    let bytes = |timers: &[TimerRecord]| {
        let mut bytes = Vec::new();
        timers.iter().for_each(|timer| timer.encode(&mut bytes));
        bytes
    };
    bundle.send_timers("do", "flush", bytes(&[firing("k", "", 10)]));
    // A record may go on in the next message.
    let all = bytes(&retries);
    for part in all.chunks(7) {
        bundle.send_timers("do", "retry", part.to_vec());
    }
    bundle.end_all();
    let outcome = bundle.wait();
    assert_eq!(
        outcome.values::<String>("sink"),
        ["k flush@10", "k retry same@20", "k retry other@20"]
    );
    assert_eq!(
        written(&outcome, "retry"),
        [
            ("cleared".to_owned(), None),
            ("moved".to_owned(), Some(50)),
            ("same".to_owned(), None),
        ]
    );
    runner.close();
}

#[test]
fn data_and_timers_are_processed_in_the_order_in_which_they_come() {
    let stage = timed(WindowFn::Global, &[]);
    let runner = FakeRunner::start(registry());
    let mut record = Vec::new();
    firing("k", "", 10).encode(&mut record);
    let script = |script: &str| scripts(&[("k", script)]).concat();
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", script("flush 10"));
    bundle.send_timers("do", "flush", record.clone());
    bundle.send("source", script("flush clear"));
    bundle.send_timers("do", "flush", record);
    bundle.end_all();
    let outcome = bundle.wait();
    assert_eq!(outcome.values::<String>("sink"), ["k flush@10"]);
    assert_eq!(written(&outcome, "flush"), [(String::new(), None)]);
    runner.close();
}

#[test]
fn elements_in_several_windows_have_timers_in_each() {
    let windows = WindowFn::Sliding(ferrobeam::window::SlidingWindows {
        size: 10_000,
        period: 5_000,
        offset: 0,
    });
    let stage = timed(windows, &[]);
    let runner = FakeRunner::start(registry());
    let element = Kv("k".to_owned(), "flush 8000".to_owned());
    let outcome = runner
        .bundle(&stage)
        .input("source", in_windows(&windows, [(ms(7_000), element)]))
        .run();
    let timers = outcome.timers("do", "flush");
    let window = |start| {
        encoded(
            &IntervalWindow::from_millis(start, start + 10_000),
            Nesting::Nested,
        )
    };
    ferrobeam::testing::assert_in_any_order(
        timers
            .iter()
            .map(|timer| (timer.windows.count(), timer.windows.bytes().to_vec())),
        [(1, window(0)), (1, window(5_000))],
    );
    let fired = runner.advance_watermark(&stage, ms(8_000));
    let elements = fired[0].elements::<String>("sink");
    let windows = elements
        .iter()
        .map(|e| e.windows::<IntervalWindow>().unwrap());
    ferrobeam::testing::assert_in_any_order(
        windows,
        [0, 5_000].map(|start| vec![IntervalWindow::from_millis(start, start + 10_000)]),
    );
    runner.close();
}

#[test]
fn holds_are_as_they_were_set() {
    let stage = timed(WindowFn::Global, &[]);
    let runner = FakeRunner::start(registry());
    let input = [("held", "hold 9000 2000"), ("free", "free 9000")];
    let outcome = runner.bundle(&stage).input("source", scripts(&input)).run();
    let holds: Vec<Timestamp> = outcome
        .timers("do", "flush")
        .iter()
        .filter_map(|timer| Some(timer.firing?.hold))
        .collect();
    assert_eq!(holds, [ms(2_000), Timestamp::MAX]);
    let fired = runner.advance_watermark(&stage, ms(9_000));
    let elements = fired[0].elements::<String>("sink");
    let at = elements.iter().map(|e| (e.value.clone(), e.timestamp()));
    ferrobeam::testing::assert_in_any_order(
        at,
        [
            ("held flush@9000".to_owned(), ms(2_000)),
            ("free flush@9000".to_owned(), ms(9_000)),
        ],
    );
    runner.close();
}

#[test]
fn a_timer_after_its_window_is_refused() {
    let windows = WindowFn::Fixed(FixedWindows {
        size: 10_000,
        offset: 0,
    });
    let stage = timed(windows, &[]);
    let runner = FakeRunner::start(registry());
    let run = |script: &str| {
        let element = Kv("k".to_owned(), script.to_owned());
        runner
            .bundle(&stage)
            .input("source", in_windows(&windows, [(ms(1_000), element)]))
            .run()
    };
    run("flush 9999").assert_ok();
    let outcome = run("flush 10000");
    assert!(
        outcome.expect_error().contains(
            "a timer at 10000 ms is later than its window, which expires at 9999 ms; set it earlier, or give its input \
             wider windows or more allowed lateness"
        ),
        "{:?}",
        outcome.error
    );
    assert!(outcome.expect_error().contains("flush"));
    // A relative one fires when the window expires, at the latest.
    let outcome = run("later 60000");
    assert_eq!(written(&outcome, "flush"), [(String::new(), Some(9_999))]);

    let mut stage = Descriptor::new("late");
    let late = Windowing {
        allowed_lateness: Duration::from_secs(5),
        ..windows.into()
    };
    let input = stage.source_in("source", <Kv<String, String>>::coder(), late);
    let outputs = stage.par_do("do", &Timed::default(), &input);
    stage.sink("sink", &outputs["fired"]);
    let run = |script: &str| {
        let element = Kv("k".to_owned(), script.to_owned());
        let input = in_windows(&windows, [(ms(1_000), element)]);
        runner.bundle(&stage).input("source", input).run()
    };
    let outcome = run("flush 14999");
    assert_eq!(written(&outcome, "flush"), [(String::new(), Some(14_999))]);
    let outcome = run("flush 15000");
    let error = outcome.expect_error();
    assert!(error.contains("expires at 14999 ms"), "{error}");
    runner.close();
}

#[test]
fn what_goes_wrong_in_a_handler_names_its_timer() {
    let stage = timed(
        WindowFn::Global,
        &[("flush@10", "fail"), ("retry a@10", "panic")],
    );
    let runner = FakeRunner::start(registry());
    let outcome = runner
        .bundle(&stage)
        .fire("do", "flush", [firing("k", "", 10)])
        .run();
    let error = outcome.expect_error();
    assert!(
        error.contains("told to fail") && error.contains("flush") && error.contains("\"do\""),
        "{error}"
    );
    assert!(outcome.timer_bytes("do", "flush").is_empty());
    let outcome = runner
        .bundle(&stage)
        .fire("do", "retry", [firing("k", "a", 10)])
        .run();
    let error = outcome.expect_error();
    assert!(
        error.contains("panic: told to panic") && error.contains("transform \"do\""),
        "{error}"
    );
    // The worker lives, and so does the next bundle.
    let outcome = runner
        .bundle(&stage)
        .fire("do", "flush", [firing("k", "", 11)])
        .run();
    assert_eq!(outcome.values::<String>("sink"), ["k flush@11"]);
    runner.close();
}

#[test]
fn the_time_of_handlers_is_that_of_their_function() {
    let stage = timed(WindowFn::Global, &[("flush@10", "wait handler")]);
    let runner = FakeRunner::start(registry());
    let bundle = runner.bundle(&stage).start();
    let mut record = Vec::new();
    firing("k", "", 10).encode(&mut record);
    bundle.send_timers("do", "flush", record);
    Gate::named("handler").expect(1);
    let page = runner.status_page();
    let place = "transform \"do\" for PTransform{name=do, state=process-timers-msecs}, ";
    assert!(page.contains(place), "{page}");
    let progress = bundle.expect_progress(|told| told.metrics.total_millis("do") > Some(0));
    assert_eq!(progress.metrics.total_millis("source"), None);
    Gate::named("handler").open();
    bundle.end_all();
    let outcome = bundle.wait();
    assert_eq!(outcome.values::<String>("sink"), ["k flush@10"]);
    assert!(outcome.metrics.total_millis("do") > Some(0));
    runner.close();
}

#[test]
fn keys_keep_the_bytes_that_the_runner_gave_them() {
    // The runner wraps keys in length prefixes, in the collection and in the timers.
    let function = Timed::default();
    let mut stage = Descriptor::new("wrapped");
    let key = Coder::length_prefix(String::coder());
    let input = stage.source("source", Coder::kv(key, String::coder()));
    let outputs = stage.par_do("do", &function, &input);
    stage.sink("sink", &outputs["fired"]);
    let runner = FakeRunner::start(registry());
    let mut header = Vec::new();
    ferrobeam::element::Header::global(ms(0)).encode(&mut header);
    let mut element = header;
    element.extend_from_slice(b"\x01k\x08flush 10");
    let outcome = runner.bundle(&stage).input("source", [element]).run();
    outcome.assert_ok();
    assert!(hex(outcome.timer_bytes("do", "flush")).starts_with("016b00"));
    let fired = runner.advance_watermark(&stage, ms(10));
    assert_eq!(said(&fired), [["k flush@10"]]);
    runner.close();
}

#[test]
fn timers_may_have_a_data_service_of_their_own() {
    let mut stage = timed(WindowFn::Global, &[]);
    stage.data_service(1);
    let runner = FakeRunner::of(registry()).data_services(2).start();
    let input = scripts(&[("k", "flush 10")]);
    let bundle = runner.bundle(&stage).input("source", input.clone());
    bundle.run().assert_ok();
    let fired = runner.advance_watermark(&stage, ms(10));
    assert_eq!(said(&fired), [["k flush@10"]]);

    // A bundle that waits for timers learns that none will come.
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", input.concat());
    bundle.end("source");
    bundle.expect_progress(|progress| {
        progress.metrics.read_index("source") == Some(0) && progress.consuming == Some(false)
    });
    runner.cut_data(1);
    let outcome = bundle.wait();
    assert!(
        outcome.expect_error().contains("the data stream broke"),
        "{:?}",
        outcome.error
    );
    runner.close();

    let endpoints = Endpoints {
        data: vec!["data:1".into(), "timers:2".into()],
        state: None,
    };
    let endpoint = |descriptor| PlanSpec::try_from(descriptor).unwrap().timer_endpoint;
    let mut descriptor = stage.build(&endpoints);
    assert_eq!(endpoint(descriptor.clone()).unwrap(), "timers:2");
    // A runner with one service for all need not name it again.
    descriptor.timer_api_service_descriptor = None;
    assert_eq!(endpoint(descriptor).unwrap(), "data:1");
}

#[test]
fn windows_expire_once_for_each_key() {
    let windows = WindowFn::Fixed(FixedWindows {
        size: 10_000,
        offset: 0,
    });
    let mut stage = Descriptor::new("expiring");
    let input = stage.source_in("source", <Kv<String, i64>>::coder(), windows);
    let outputs = stage.par_do("do", &Expiring, &input);
    stage.sink("sink", &outputs["expired"]);
    let runner = FakeRunner::start(registry());
    let element = Kv("k".to_owned(), 1);
    let outcome = runner
        .bundle(&stage)
        .input("source", in_windows(&windows, [(ms(1_000), element)]))
        .run();
    outcome.assert_ok();
    assert!(outcome.timer_bytes("do", "end").is_empty());
    let mut expiry = firing("k", "", 9_999);
    expiry.windows.clear();
    let window = IntervalWindow::from_millis(0, 10_000);
    expiry.windows.push(&encoded(&window, Nesting::Nested));
    let outcome = runner.bundle(&stage).fire("do", "end", [expiry]).run();
    assert_eq!(outcome.values::<String>("sink"), ["k until 10000"]);
    assert_eq!(outcome.elements::<String>("sink")[0].timestamp(), ms(9_999));
    runner.close();
}

#[test]
fn timers_of_many_bundles_keep_apart_whatever_happens() {
    for seed in 0..8 {
        let stage = timed(
            WindowFn::Global,
            &[("flush@10", "retry x 20; poll 9000000000000")],
        );
        let runner = FakeRunner::of(registry()).seed(seed);
        let runner = if seed % 2 == 0 {
            runner.start()
        } else {
            runner.embedded_output().start()
        };
        let bundles: Vec<_> = (0..6)
            .map(|n| {
                let key = format!("k{n}");
                runner
                    .bundle(&stage)
                    .input("source", scripts(&[(&key, "retry y 30")]))
                    .fire("do", "flush", [firing(&key, "", 10)])
                    .fire("do", "retry", [firing(&key, "z", 25)])
            })
            .collect();
        let chaos = Chaos {
            splits: false,
            cuts: false,
            ..Chaos::all()
        };
        let outcomes = runner.run_all(bundles, chaos);
        for (n, outcome) in outcomes.iter().enumerate() {
            let mut fired = outcome.values::<String>("sink");
            fired.sort();
            let expected = ["flush@10", "retry x@20", "retry z@25"];
            let came_first = fired.len() == 3;
            if came_first {
                assert_eq!(fired, expected.map(|name| format!("k{n} {name}")));
            } else {
                // The retry came before the flush that sets another.
                assert_eq!(
                    fired,
                    ["flush@10", "retry z@25"].map(|name| format!("k{n} {name}"))
                );
            }
            let x = if came_first { None } else { Some(20) };
            assert_eq!(
                written(outcome, "retry"),
                [("x".to_owned(), x), ("y".to_owned(), Some(30))]
            );
            assert_eq!(
                written(outcome, "poll"),
                [(String::new(), Some(9_000_000_000_000))]
            );
        }
        runner.close();
    }
}
