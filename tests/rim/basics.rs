//! Bundles that go well, and instructions about nothing in particular.

use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::instruction_response::Response;
use beam_proto::fnexec::{
    FinalizeBundleRequest, HarnessMonitoringInfosRequest, ProcessBundleRequest, RegisterRequest,
    SampleDataRequest,
};
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window};
use ferrobeam::window::GlobalWindow;
use serde::{Deserialize, Serialize};

use crate::support::{At, Do, Gate, doing, doubled, passing, registry};

#[test]
fn a_function_between_source_and_sink() {
    let runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("doubling");
    let numbers = stage.source("source", i64::coder());
    let doubled = stage.steps("double", &doubled(), &numbers);
    stage.sink("sink", &doubled);
    for round in 0..3 {
        let input = in_global_window(0..1000i64);
        let outcome = runner.bundle(&stage).input("source", input).run();
        let expected: Vec<i64> = (0..1000).map(|n| n * 2).collect();
        assert_eq!(outcome.values::<i64>("sink"), expected, "round {round}");
        assert_eq!(outcome.metrics.element_count("double.output"), Some(1000));
        assert_eq!(outcome.metrics.read_index("source"), Some(1000));
    }
    runner.close();
}

#[test]
fn an_empty_bundle_ends_its_sinks() {
    let runner = FakeRunner::start(registry());
    let outcome = runner.bundle(&passing::<i64>("empty")).run();
    assert_eq!(outcome.values::<i64>("sink"), [0i64; 0]);
    runner.close();
}

#[test]
fn a_sink_that_nothing_feeds_is_ended() {
    let runner = FakeRunner::start(registry());
    let mut stage = passing::<i64>("unfed");
    let nothing = stage.flatten("flatten", &[]);
    stage.sink("unfed", &nothing);
    let outcome = runner
        .bundle(&stage)
        .input("source", in_global_window([7i64]))
        .run();
    assert_eq!(outcome.values::<i64>("sink"), [7]);
    assert_eq!(outcome.values::<Vec<u8>>("unfed"), [[0u8; 0]; 0]);
    runner.close();
}

#[test]
fn data_services_are_independent() {
    let runner = FakeRunner::of(registry()).data_services(3).start();
    let mut stage = Descriptor::new("three services");
    let one = stage.source("one", i64::coder());
    let two = stage.data_service(1).source("two", i64::coder());
    let both = stage.flatten("both", &[&one, &two]);
    stage.data_service(2).sink("sink", &both);
    stage.data_service(0).sink("also", &two);
    let outcome = runner
        .bundle(&stage)
        .input("one", in_global_window(0..10i64))
        .input("two", in_global_window(10..20i64))
        .run();
    let mut all = outcome.values::<i64>("sink");
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    assert_eq!(outcome.values::<i64>("also"), (10..20).collect::<Vec<_>>());
    runner.close();
}

/// Passes numbers on, and at the end of the bundle how many there were.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.Tally/v1")]
struct Tally {
    #[serde(skip)]
    count: i64,
}

impl DoFn for Tally {
    type In = i64;
    type Io = Out<i64>;

    fn start_bundle(&mut self, _out: &mut Out<i64>) -> Result {
        self.count = 1000;
        Ok(())
    }

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        self.count += 1;
        out.emit(cx, n);
        Ok(())
    }

    fn finish_bundle(&mut self, cx: &mut BundleCx, out: &mut Out<i64>) -> Result {
        let at = Timestamp::from_millis(0);
        out.emit_in(cx, &GlobalWindow, at, self.count);
        Ok(())
    }
}

/// Functions behind a flatten finish when all in front of it have, and those in front of others first.
#[test]
fn what_is_emitted_at_the_end_reaches_those_that_come_after() {
    let mut registry = registry();
    registry.add::<Tally>();
    let runner = FakeRunner::start(registry);
    let mut stage = Descriptor::new("at the end");
    let one = stage.source("one", i64::coder());
    let two = stage.source("two", i64::coder());
    let both = stage.flatten("both", &[&one, &two]);
    let first = stage.par_do("first", &Tally { count: 0 }, &both);
    let second = stage.par_do("second", &Tally { count: 0 }, &first["output"]);
    stage.sink("sink", &second["output"]);
    for _ in 0..2 {
        let bundle = runner
            .bundle(&stage)
            .input("one", in_global_window([1i64, 1]));
        let outcome = bundle.input("two", in_global_window([1i64])).run();
        assert_eq!(outcome.values::<i64>("sink"), [1, 1, 1, 1003, 1004]);
    }
    runner.close();
}

#[test]
fn bundles_run_side_by_side() {
    let runner = FakeRunner::start(registry());
    let gate = Gate::named("side by side");
    let stage = doing("waiting", Do::wait(At::Element(1), "side by side"));
    let bundles: Vec<_> = (0..20).map(|_| runner.bundle(&stage).start()).collect();
    for bundle in &bundles {
        bundle.send("source", in_global_window([1i64]).concat());
        bundle.end_all();
    }
    gate.expect(20);
    let other = runner.bundle(&passing::<i64>("other")).run();
    other.assert_ok();
    gate.open();
    for bundle in bundles {
        assert_eq!(bundle.wait().values::<i64>("sink"), [1]);
    }
    runner.close();
}

#[test]
fn input_may_come_before_its_bundle() {
    let runner = FakeRunner::start(registry());
    let stage = passing::<i64>("early");
    runner.bundle(&stage).run().assert_ok();
    runner.send_data(
        "early",
        "source",
        in_global_window([1i64, 2]).concat(),
        false,
    );
    runner.send_data("early", "source", in_global_window([3i64]).concat(), true);
    runner.instruction("early", process("early"));
    runner.expect_response("early");
    let expected = in_global_window([1i64, 2, 3]).concat();
    runner.expect_output("early", "sink", expected.len());
    assert_eq!(runner.output("early", "sink"), expected);
    runner.close();
}

pub(crate) fn process(stage: &str) -> Request {
    Request::ProcessBundle(ProcessBundleRequest {
        process_bundle_descriptor_id: stage.into(),
        ..ProcessBundleRequest::default()
    })
}

#[test]
fn an_id_is_used_once() {
    let runner = FakeRunner::start(registry());
    let stage = passing::<i64>("twice");
    let bundle = runner.bundle(&stage).start();
    let id = bundle.id().to_owned();
    runner.instruction(&id, process("twice"));
    bundle.send("source", in_global_window([1i64]).concat());
    bundle.end_all();
    assert_eq!(bundle.wait().values::<i64>("sink"), [1]);
    // The bundle lives on; its id has been asked for twice and is answered twice.
    runner.instruction(&id, process("twice"));
    let answer = runner.expect_response(&id);
    assert!(answer.error.contains("twice"), "{answer:?}");
    runner.close();
}

#[test]
fn descriptors_may_be_registered() {
    let runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("registered");
    let numbers = stage.source("source", i64::coder());
    let doubled = stage.steps("double", &doubled(), &numbers);
    stage.sink("sink", &doubled);
    let descriptor = stage.build(&runner.endpoints());
    let answer = runner.ask(Request::Register(RegisterRequest {
        process_bundle_descriptor: vec![descriptor],
    }));
    assert!(
        matches!(answer.response, Some(Response::Register(_))),
        "{answer:?}"
    );
    // Whoever asked the runner for it would get another.
    let other = passing::<i64>("registered");
    let input = in_global_window([5i64]);
    let outcome = runner.bundle(&other).input("source", input).run();
    assert_eq!(outcome.values::<i64>("sink"), [10]);
    runner.close();
}

#[test]
fn a_descriptor_is_fetched_once_for_all_plans() {
    let runner = FakeRunner::start(registry());
    let gate = Gate::named("fetched once");
    let stage = doing("fetched once", Do::wait(At::Element(1), "fetched once"));
    let first = runner.bundle(&stage).start();
    first.send("source", in_global_window([1i64]).concat());
    gate.expect(1);
    // While one plan is in use, the next bundle needs another; the runner would now name a stage that does not wait.
    let second = runner.bundle(&passing::<i64>("fetched once")).start();
    second.send("source", in_global_window([1i64]).concat());
    gate.expect(2);
    gate.open();
    for bundle in [first, second] {
        bundle.end_all();
        assert_eq!(bundle.wait().values::<i64>("sink"), [1]);
    }
    runner.close();
}

#[test]
fn unknown_instructions_are_answered() {
    let runner = FakeRunner::start(registry());
    let answer = runner.ask(None);
    assert!(
        answer.error.contains("does not know the request"),
        "{answer:?}"
    );
    let answer = runner.ask(Request::FinalizeBundle(FinalizeBundleRequest {
        instruction_id: "long ago".into(),
    }));
    assert_eq!(answer.error, "");
    assert!(matches!(answer.response, Some(Response::FinalizeBundle(_))));
    let answer = runner.ask(Request::SampleData(SampleDataRequest {
        pcollection_ids: vec!["none".into()],
    }));
    assert!(matches!(answer.response, Some(Response::SampleData(_))));
    let request = HarnessMonitoringInfosRequest::default();
    let answer = runner.ask(Request::HarnessMonitoringInfos(request));
    assert!(matches!(
        answer.response,
        Some(Response::HarnessMonitoringInfos(_))
    ));
    assert_eq!(runner.progress("never heard of").consuming, None);
    runner.bundle(&passing::<i64>("after")).run().assert_ok();
    runner.close();
}

#[test]
fn all_endpoints_may_come_from_the_provision_service() {
    let runner = FakeRunner::of(registry()).provisions().start();
    runner
        .bundle(&passing::<String>("provisioned"))
        .run()
        .assert_ok();
    runner.expect_log(|entry| entry.message.contains("functions"));
    runner.close();
}
