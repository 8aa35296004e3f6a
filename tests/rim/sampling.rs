//! Samples of elements, as a runner asks for them.

use std::collections::BTreeMap;

use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::instruction_response::Response;
use beam_proto::fnexec::{SampleDataRequest, SampledElement};
use ferrobeam::element::coder::urn;
use ferrobeam::element::{Coder, Nesting, encoded};
use ferrobeam::harness::Sampling;
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window};
use ferrobeam::window::WindowFn;

use crate::support::{At, Deed, Do, doing, doubled, registry};

const NONE: Sampling = sampling(false, false);
const ELEMENTS: Sampling = sampling(true, false);
const FAILURES: Sampling = sampling(false, true);
const ALL: Sampling = sampling(true, true);

const fn sampling(elements: bool, failures: bool) -> Sampling {
    Sampling { elements, failures }
}

/// Asks for the samples of some collections, or of all.
#[track_caller]
fn samples(runner: &FakeRunner, ids: &[&str]) -> BTreeMap<String, Vec<SampledElement>> {
    let request = SampleDataRequest {
        pcollection_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    let answer = runner.ask(Request::SampleData(request));
    assert_eq!(answer.error, "");
    let Some(Response::SampleData(samples)) = answer.response else {
        panic!("{answer:?}");
    };
    let lists = samples.element_samples.into_iter();
    lists.map(|(id, list)| (id, list.elements)).collect()
}

/// The elements of samples, without failures.
fn elements(samples: &[SampledElement]) -> Vec<&[u8]> {
    assert!(samples.iter().all(|sample| sample.exception.is_none()));
    samples.iter().map(|sample| &sample.element[..]).collect()
}

#[test]
fn samples_of_all_collections_have_the_coders_of_the_descriptor() {
    let runner = FakeRunner::of(registry()).sampling(ALL).start();
    let mut stage = Descriptor::new("sampled");
    let numbers = stage.source("source", i64::coder());
    let doubled = stage.steps("double", &doubled(), &numbers);
    let windowed = stage.window_into("window", &doubled, WindowFn::Global);
    let both = stage.flatten("both", &[&windowed, &doubled]);
    stage.sink("sink", &both);
    // A runner wraps what it does not know, and may name a coder of windowed values.
    let prefixed = Coder::length_prefix(i64::coder());
    let wrapped = stage.collection("wrapped", prefixed, WindowFn::Global);
    stage.source_as("wrapped source", wrapped.windowed(), &wrapped);
    stage.steps("double those", &self::doubled(), &wrapped);
    let global = Coder::standard(urn::GLOBAL_WINDOW, []);
    let values = Coder::standard(urn::WINDOWED_VALUE, [i64::coder(), global]);
    let whole = stage.collection("whole", values.clone(), WindowFn::Global);
    stage.source_as("whole source", values, &whole);
    stage.steps("double again", &self::doubled(), &whole);

    let bundle = runner
        .bundle(&stage)
        .input("source", in_global_window([1i64, 200]))
        .input("wrapped source", in_global_window([vec![7u8]]))
        .input("whole source", in_global_window([7i64]));
    bundle.run().assert_ok();
    let taken = samples(&runner, &[]);
    let of = |id: &str| elements(&taken[id]);
    assert_eq!(of("source.out"), [&[1u8][..], &[0xc8, 1]]);
    assert_eq!(of("double.output"), [&[2u8][..], &[0x90, 3]]);
    assert_eq!(of("window.out"), of("double.output"));
    assert_eq!(of("both.out").len(), 4);
    assert_eq!(of("wrapped"), [[1, 7]]);
    assert_eq!(of("double those.output"), [[14]]);
    assert_eq!(of("whole"), [&in_global_window([7i64])[0][..]]);
    assert!(taken["whole"][0].sample_timestamp.is_some());
    assert_eq!(
        samples(&runner, &[]),
        BTreeMap::new(),
        "what was read is gone"
    );
    runner.close();
}

#[test]
fn ten_samples_are_kept_of_those_that_are_asked_for() {
    let runner = FakeRunner::of(registry()).sampling(ALL).start();
    let stage = doing("many", Do::new(At::Finish, Deed::Log("done".into())));
    let input = in_global_window(0..100i64);
    runner
        .bundle(&stage)
        .input("source", input)
        .run()
        .assert_ok();
    let taken = samples(&runner, &["do.output", "unknown"]);
    assert_eq!(taken.keys().collect::<Vec<_>>(), ["do.output"]);
    let first: Vec<_> = (0..10u8).map(|n| vec![n]).collect();
    assert_eq!(elements(&taken["do.output"]), first);
    runner.close();
}

#[test]
fn the_element_that_a_bundle_failed_at_is_kept() {
    for (sampling, deed, text) in [
        (FAILURES, Deed::Fail, "told to fail"),
        (FAILURES, Deed::Panic, "panic: told to panic"),
        (ALL, Deed::Fail, "told to fail"),
        (NONE, Deed::Fail, ""),
        (ELEMENTS, Deed::Fail, ""),
    ] {
        let runner = FakeRunner::of(registry()).sampling(sampling).start();
        let mut stage = Descriptor::new("failing");
        let numbers = stage.source("source", i64::coder());
        let doubled = stage.steps("double", &doubled(), &numbers);
        let out = stage.par_do("do", &Do::new(At::Element(4), deed), &doubled);
        stage.sink("sink", &out["output"]);
        let input = in_global_window([1i64, 2, 3]);
        let outcome = runner.bundle(&stage).input("source", input).run();
        outcome.expect_error();
        let taken = samples(&runner, &["double.output"]);
        let failures = taken.get("double.output").into_iter().flatten();
        let failures: Vec<_> = failures
            .filter(|sample| sample.exception.is_some())
            .collect();
        let others = samples(&runner, &[]);
        let others = others.values().flatten().filter(|s| s.exception.is_some());
        assert_eq!(others.count(), 0, "only where it failed");
        let kept = taken.values().flatten().count();
        assert_eq!(
            kept,
            2 * usize::from(sampling.elements) + usize::from(sampling.failures)
        );
        if !sampling.failures {
            assert_eq!(failures, Vec::<&SampledElement>::new());
            continue;
        }
        let [failure] = failures[..] else {
            panic!("{failures:?}");
        };
        assert_eq!(failure.element, encoded(&4i64, Nesting::Nested));
        let exception = failure.exception.as_ref().unwrap();
        assert_eq!(exception.instruction_id, outcome.id);
        assert_eq!(exception.transform_id, "do");
        assert!(exception.error.contains(text), "{}", exception.error);
        runner.close();
    }
}

#[test]
fn what_the_runner_broke_is_no_failure_of_an_element() {
    let runner = FakeRunner::of(registry()).sampling(FAILURES).start();
    let stage = doing("cut", Do::new(At::Finish, Deed::Log("done".into())));
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([1i64]).concat());
    runner.expect_data_stream(0);
    runner.cut_data(0);
    bundle.wait().expect_error();
    assert_eq!(samples(&runner, &[]), BTreeMap::new());
    runner.close();
}
