//! What the worker counts, and how it says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::instruction_response::Response;
use beam_proto::fnexec::{HarnessMonitoringInfosRequest, MonitoringInfosMetadataRequest};
use beam_proto::pipeline::{BoundedTrie as BoundedTrieProto, HistogramValue};
use ferrobeam::dofn::{ApiCall, Linear, Spread};
use ferrobeam::element::{Nesting, encoded};
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, Metrics, in_global_window};
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::support::{At, Do, Gate, doing, registry};

/// Counts in all ways.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.Measure/v3")]
struct Measure;

#[derive(Ports)]
struct MeasureIo {
    out: Out<String>,
    hits: Counter,
    #[port(name = "odd name: ä/%")]
    odd: Counter,
    sizes: Distribution,
    level: Gauge,
    names: StringSet,
    files: BoundedTrie,
    millis: Histogram<Linear<0, 10, 3>>,
    untouched: Counter,
    untouched_names: StringSet,
    untouched_files: BoundedTrie,
    untouched_millis: Histogram,
}

impl DoFn for Measure {
    type In = String;
    type Io = MeasureIo;

    fn process(&mut self, text: String, cx: &mut Cx<'_>, io: &mut MeasureIo) -> Result {
        for n in [-5, 2] {
            io.hits.add(n);
        }
        for n in [1, 2, 9] {
            io.sizes.add(n);
        }
        for n in [5, 7] {
            io.level.set(n);
        }
        for name in ["y", "x", "y"] {
            io.names.add(name);
        }
        for file in [&["a", "1"], &["b", "2"], &["a", "3"]] {
            io.files.add(file);
        }
        for millis in [0.0, 12.5, 13.0, 31.0] {
            io.millis.add(millis);
        }
        io.odd.inc();
        io.out.emit(cx, text);
        Ok(())
    }
}

fn measuring(id: &str) -> Descriptor {
    let mut stage = Descriptor::new(id);
    let texts = stage.source("source", String::coder());
    let out = stage.par_do("measure", &Measure, &texts);
    let out = stage.par_do("again", &Measure, &out["out"]);
    stage.sink("sink", &out["out"]);
    stage
}

fn registry_with_measure() -> ferrobeam::exec::Registry {
    let mut registry = registry();
    registry.add::<Measure>();
    registry
}

fn payload<'a>(metrics: &'a Metrics, transform: &str, name: &str) -> &'a [u8] {
    let info = metrics.infos().iter().find(|info| {
        let is = |label: &str, value: &str| info.labels.get(label).is_some_and(|v| v == value);
        is("PTRANSFORM", transform) && is("NAME", name)
    });
    &info.expect("it was sent").payload
}

fn check_files(files: BoundedTrieProto) {
    assert_eq!(files.bound, 100);
    let children = files.root.unwrap().children;
    let children: BTreeMap<_, Vec<_>> = children
        .into_iter()
        .map(|(name, node)| (name, node.children.into_keys().collect()))
        .collect();
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    let expected = [("a", names(&["1", "3"])), ("b", names(&["2"]))];
    let expected = expected.map(|(name, below)| (name.to_owned(), below));
    assert_eq!(children, expected.into());
}

#[track_caller]
fn check(metrics: &Metrics) {
    for transform in ["measure", "again"] {
        let hits = payload(metrics, transform, "hits");
        assert_eq!(hits, [0xfd, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        assert_eq!(payload(metrics, transform, "sizes"), [3, 12, 1, 9]);
        let (millis, value) = metrics.gauge(transform, "level").unwrap();
        assert_eq!(value, 7);
        // After this test was written, and before the year 2100.
        assert!((1_700_000_000_000..4_102_444_800_000).contains(&millis));
        // The time as a varint, and then the value, and nothing else.
        let level = [encoded(&millis, Nesting::Nested), vec![7]].concat();
        assert_eq!(payload(metrics, transform, "level"), level);
        assert_eq!(metrics.counter(transform, "odd name: ä/%"), Some(1));
        assert_eq!(
            payload(metrics, transform, "names"),
            b"\0\0\0\x02\x01x\x01y"
        );
        let files = payload(metrics, transform, "files");
        check_files(BoundedTrieProto::decode(files).unwrap());
        let millis = HistogramValue::decode(payload(metrics, transform, "millis")).unwrap();
        assert_eq!(
            (millis.count, millis.bucket_counts),
            (Some(4), vec![1, 2, 0])
        );
        let untouched = metrics.infos().iter();
        let untouched = untouched.filter(|info| {
            info.labels
                .get("NAME")
                .is_some_and(|n| n.contains("untouched"))
        });
        assert_eq!(untouched.count(), 0);
    }
    for info in metrics.infos() {
        let (urn, value_type) = (info.urn.as_str(), info.r#type.as_str());
        let expected = match urn {
            "beam:metric:user:distribution_int64:v1" | "beam:metric:sampled_byte_size:v1" => {
                "beam:metrics:distribution_int64:v1"
            }
            "beam:metric:user:latest_int64:v1" => "beam:metrics:latest_int64:v1",
            "beam:metric:user:set_string:v1" => "beam:metrics:set_string:v1",
            "beam:metric:user:bounded_trie:v1" => "beam:metrics:bounded_trie:v1",
            "beam:metric:user:histogram_int64:v1" => "beam:metrics:histogram_int64:v1",
            _ => "beam:metrics:sum_int64:v1",
        };
        assert_eq!(value_type, expected, "{urn}");
        if urn.contains(":user:") {
            assert_eq!(info.labels["NAMESPACE"], "rim.Measure");
        }
    }
    // The header of an element takes 13 bytes, a length one.
    let size = Spread {
        count: 1,
        sum: 4,
        min: 4,
        max: 4,
    };
    assert_eq!(metrics.sampled_sizes("measure.out"), Some(size));
    for collection in ["source.out", "measure.out", "again.out"] {
        assert_eq!(metrics.element_count(collection), Some(1), "{collection}");
    }
    assert_eq!(metrics.read_index("source"), Some(1));
}

#[test]
fn payloads_are_exact_and_each_metric_comes_once() {
    let runner = FakeRunner::start(registry_with_measure());
    let stage = measuring("measuring");
    // The second bundle runs on the same plan: nothing of the first is left.
    for _ in 0..2 {
        let input = in_global_window(["abc".to_owned()]);
        let outcome = runner.bundle(&stage).input("source", input).run();
        check(&outcome.metrics);
    }
    let outcome = runner.bundle(&stage).run();
    let infos = outcome.metrics.infos().iter();
    let urns = infos.map(|info| info.urn.as_str());
    let urns: Vec<_> = urns.filter(|urn| !urn.contains("execution_time")).collect();
    assert_eq!(urns, ["beam:metric:data_channel:read_index:v1"]);
    runner.close();
}

#[test]
fn short_ids_stand_for_the_same_everywhere() {
    let runner = FakeRunner::of(registry_with_measure()).short_ids().start();
    let one = measuring("one");
    let input = || in_global_window(["abc".to_owned()]);
    check(&runner.bundle(&one).input("source", input()).run().metrics);
    check(&runner.bundle(&one).input("source", input()).run().metrics);
    // Another stage has the same names of transforms: they are the same metrics.
    check(
        &runner
            .bundle(&measuring("two"))
            .input("source", input())
            .run()
            .metrics,
    );
    // The same metric has the same id, and another one another.
    let names = |stage: &str| {
        let bundle = runner.bundle(&measuring(stage)).start();
        bundle.send("source", input().concat());
        bundle.end_all();
        let answer = runner.expect_response(bundle.id());
        let Some(Response::ProcessBundle(processed)) = answer.response else {
            panic!("{answer:?}");
        };
        let ids = processed.monitoring_data.into_keys();
        let request = MonitoringInfosMetadataRequest {
            monitoring_info_id: ids.chain(["?".into(), String::new()]).collect(),
        };
        let answer = runner.ask(Request::MonitoringInfos(request));
        let Some(Response::MonitoringInfos(known)) = answer.response else {
            panic!("{answer:?}");
        };
        let known = known.monitoring_info.into_iter();
        // Whether time was seen to pass is a matter of luck.
        known
            .filter(|(_, info)| !info.urn.contains("execution_time"))
            .map(|(id, info)| (id, format!("{} {:?}", info.urn, info.labels)))
            .collect::<BTreeMap<_, _>>()
    };
    let one = names("one");
    assert_eq!(one, names("two"));
    let kinds: BTreeSet<_> = one.values().collect();
    assert_eq!(kinds.len(), one.len());
    runner.close();
}

#[test]
fn progress_is_told_while_a_bundle_runs() {
    let runner = FakeRunner::start(registry());
    let stage = doing("progress", Do::wait(At::Element(3), "progress"));
    let bundle = runner.bundle(&stage).start();
    // It waits for input.
    let progress = bundle.expect_progress(|progress| progress.consuming == Some(false));
    assert_eq!(progress.metrics.read_index("source"), None);
    assert_eq!(progress.metrics.element_count("source.out"), None);
    bundle.send("source", in_global_window([1i64, 2, 3, 4]).concat());
    Gate::named("progress").expect(1);
    let progress = bundle.progress();
    assert_eq!(progress.consuming, Some(true));
    assert_eq!(progress.metrics.read_index("source"), Some(2));
    assert_eq!(progress.metrics.element_count("source.out"), Some(3));
    assert_eq!(progress.metrics.element_count("do.output"), Some(2));
    // Time passes, and is put down to the transform that is at it.
    bundle.expect_progress(|progress| progress.metrics.total_millis("do") > Some(0));
    Gate::named("progress").open();
    bundle.expect_progress(|progress| progress.consuming == Some(false));
    let id = bundle.id().to_owned();
    bundle.end_all();
    let outcome = bundle.wait();
    assert_eq!(outcome.metrics.read_index("source"), Some(4));
    assert_eq!(outcome.metrics.element_count("do.output"), Some(4));
    assert!(outcome.metrics.total_millis("do") > Some(0));
    // When it is over, there is nothing to tell.
    let progress = runner.progress(&id);
    assert_eq!(progress.consuming, None);
    assert_eq!(progress.metrics.infos(), []);
    runner.close();
}

#[test]
fn elements_of_flattened_and_windowed_collections_are_counted() {
    let runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("counting");
    let numbers = stage.source("source", i64::coder());
    let twice = stage.flatten("twice", &[&numbers, &numbers]);
    let windows = ferrobeam::window::WindowFn::Fixed(ferrobeam::window::FixedWindows {
        size: 1000,
        offset: 0,
    });
    let windowed = stage.window_into("windows", &twice, windows);
    stage.sink("sink", &windowed);
    let input = in_global_window(0..10i64);
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert_eq!(outcome.metrics.element_count("source.out"), Some(10));
    assert_eq!(outcome.metrics.element_count("twice.out"), Some(20));
    assert_eq!(outcome.metrics.element_count("windows.out"), Some(20));
    assert_eq!(outcome.values::<i64>("sink").len(), 20);
    runner.close();
}

#[test]
fn short_ids_that_stand_for_nothing_are_left_out() {
    let runner = FakeRunner::start(registry());
    let request = MonitoringInfosMetadataRequest {
        monitoring_info_id: vec!["?".into(), String::new(), "fb000000-0".into()],
    };
    let answer = runner.ask(Request::MonitoringInfos(request));
    let Some(Response::MonitoringInfos(known)) = answer.response else {
        panic!("{answer:?}");
    };
    assert_eq!(known.monitoring_info, BTreeMap::new());
    runner.close();
}

/// Counts and latencies of the calls of a service, by method and status.
fn calls(runner: &FakeRunner, service: &str) -> Vec<(String, i64)> {
    let request = HarnessMonitoringInfosRequest::default();
    let answer = runner.ask(Request::HarnessMonitoringInfos(request));
    let Some(Response::HarnessMonitoringInfos(infos)) = answer.response else {
        panic!("{answer:?}");
    };
    let request = MonitoringInfosMetadataRequest {
        monitoring_info_id: infos.monitoring_data.keys().cloned().collect(),
    };
    let answer = runner.ask(Request::MonitoringInfos(request));
    let Some(Response::MonitoringInfos(known)) = answer.response else {
        panic!("{answer:?}");
    };
    let mut calls = Vec::new();
    for (id, payload) in infos.monitoring_data {
        let info = &known.monitoring_info[&id];
        let label = |name: &str| info.labels.get(name).map_or("", String::as_str);
        if label("SERVICE") != service {
            continue;
        }
        assert_eq!(label("RESOURCE"), "orders");
        assert_eq!(label("PTRANSFORM"), "Read");
        assert_eq!(label("INSTANCE_ID"), "7");
        let (kind, count) = match info.r#type.as_str() {
            "beam:metrics:sum_int64:v1" => {
                assert_eq!(info.urn, "beam:metric:io:api_request_count:v1");
                ("calls", i64::from(payload[0]))
            }
            other => {
                assert_eq!(other, "beam:metrics:histogram_int64:v1");
                assert_eq!(info.urn, "beam:metric:io:api_request_latencies:v1");
                let histogram = HistogramValue::decode(payload).unwrap();
                // 12 ms lie between the seventh and the eighth power of the root of 2.
                assert_eq!(histogram.bucket_counts[7], histogram.count.unwrap());
                ("latencies", histogram.count.unwrap())
            }
        };
        calls.push((
            format!("{kind} {} {}", label("METHOD"), label("STATUS")),
            count,
        ));
    }
    calls.sort();
    calls
}

#[test]
fn calls_of_outside_services_are_told_for_the_whole_process() {
    let runner = FakeRunner::start(registry());
    assert_eq!(calls(&runner, "rim.Shop"), []);
    let call = |method, status| {
        let call = ApiCall {
            service: "rim.Shop",
            method,
            resource: "orders",
            transform: "Read",
            status,
            labels: &[("INSTANCE_ID", "7")],
        };
        call.record(Duration::from_millis(12));
    };
    call("list", "ok");
    call("list", "not_found");
    call("get", "ok");
    let expected = |list_ok: i64| {
        [
            ("calls get ok", 1),
            ("calls list not_found", 1),
            ("calls list ok", list_ok),
            ("latencies get ", 1),
            ("latencies list ", list_ok + 1),
        ]
        .map(|(name, count)| (name.to_owned(), count))
    };
    assert_eq!(calls(&runner, "rim.Shop"), expected(1));
    // Counts go on, and another worker of the process tells the same.
    call("list", "ok");
    assert_eq!(calls(&runner, "rim.Shop"), expected(2));
    let other = FakeRunner::start(registry());
    assert_eq!(calls(&other, "rim.Shop"), expected(2));
    other.close();
    runner.close();
}

fn work(metrics: &Metrics, urn: &str) -> Option<Vec<u8>> {
    let info = metrics.infos().iter().find(|info| info.urn == urn)?;
    assert_eq!(info.r#type, "beam:metrics:progress:v1");
    assert_eq!(info.labels["PTRANSFORM"], "source");
    Some(info.payload.to_vec())
}

#[test]
fn a_split_source_tells_what_is_done_and_what_is_left() {
    const COMPLETED: &str = "beam:metric:ptransform_progress:completed:v1";
    const REMAINING: &str = "beam:metric:ptransform_progress:remaining:v1";
    let runner = FakeRunner::start(registry());
    let stage = doing("working", Do::wait(At::Element(3), "working"));
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window(0..16i64).concat());
    Gate::named("working").expect(1);
    // Nobody but the runner knows yet where the bundle ends.
    let progress = bundle.progress();
    assert_eq!(work(&progress.metrics, COMPLETED), None);
    assert_eq!(bundle.split("source", 0.5, 16, &[]), Some(10));
    let progress = bundle.progress();
    let number = |n: f64| Some([&[0, 0, 0, 1][..], &n.to_be_bytes()].concat());
    assert_eq!(work(&progress.metrics, COMPLETED), number(3.0));
    assert_eq!(work(&progress.metrics, REMAINING), number(7.0));
    Gate::named("working").open();
    bundle.end_all();
    let outcome = bundle.wait();
    assert_eq!(work(&outcome.metrics, COMPLETED), None);
    runner.close();
}
