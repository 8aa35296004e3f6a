//! Window functions of users.

use std::time::Duration;

use beam_proto::pipeline::{FunctionSpec, WindowIntoPayload};
use ferrobeam::Error;
use ferrobeam::dofn::{FUNCTION_URN, FunctionPayload, Named};
use ferrobeam::element::Coder;
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window};
use ferrobeam::window::{FixedWindows, IntervalWindow, WindowFn};
use prost::Message;
use serde::{Deserialize, Serialize};

/// Windows as long as the text, which merge where one holds the other.
#[derive(Serialize, Deserialize, WindowFunction)]
#[beam(name = "test.BySize/v1")]
struct BySize;

impl WindowFunction for BySize {
    type In = String;
    type Window = IntervalWindow;
    const MERGES: bool = true;

    fn assign(&self, text: &String, at: Timestamp, windows: &mut Vec<IntervalWindow>) -> Result {
        match text.as_str() {
            "" => {}
            "bad" => return Err(Error::user("a bad text")),
            "worse" => panic!("a worse text"),
            text => {
                let start = at.millis().max(0);
                let end = start + text.len() as i64;
                windows.push(IntervalWindow::from_millis(start, end));
            }
        }
        Ok(())
    }

    fn merge(
        &self,
        windows: Vec<IntervalWindow>,
    ) -> Result<Vec<(IntervalWindow, Vec<IntervalWindow>)>> {
        let longest = windows.iter().max_by_key(|window| window.end).copied();
        let Some(longest) = longest else {
            return Ok(Vec::new());
        };
        let held = |window: &IntervalWindow| window.start >= longest.start;
        let held: Vec<_> = windows.into_iter().filter(held).collect();
        Ok(vec![(longest, held)])
    }
}

/// Looks at no element.
#[derive(Serialize, Deserialize, WindowFunction)]
#[beam(name = "test.Twice/v1")]
struct Twice;

impl WindowFunction for Twice {
    type In = ferrobeam::element::Raw;
    type Window = IntervalWindow;

    fn assign(
        &self,
        _element: &Self::In,
        _at: Timestamp,
        windows: &mut Vec<IntervalWindow>,
    ) -> Result {
        windows.push(IntervalWindow::from_millis(0, 1));
        windows.push(IntervalWindow::from_millis(0, 2));
        Ok(())
    }

    fn side_window(&self, end: Timestamp) -> Result<IntervalWindow> {
        Ok(IntervalWindow::from_millis(end.millis(), end.millis() + 1))
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry
        .add_window_function::<BySize>()
        .add_window_function::<Twice>();
    registry.check().unwrap();
    registry
}

fn spec<W: Named>(function: &W) -> FunctionSpec {
    FunctionSpec {
        urn: FUNCTION_URN.into(),
        payload: FunctionPayload::of(function).unwrap().to_bytes().into(),
    }
}

/// A stage that windows texts.
fn windowing<W: Named>(function: &W) -> Descriptor {
    let mut stage = Descriptor::new(W::NAME);
    let texts = stage.source("source", String::coder());
    let intervals = WindowFn::Fixed(FixedWindows::of(Duration::from_secs(1)));
    let windowed = stage.collection("windowed", String::coder(), intervals);
    let payload = WindowIntoPayload {
        window_fn: Some(spec(function)),
    };
    stage.transform(
        "window",
        "beam:transform:window_into:v1",
        payload.encode_to_vec(),
        &[("in", &texts)],
        &[("out", &windowed)],
    );
    stage.sink("sink", &windowed);
    stage
}

fn texts(texts: &[&str]) -> Vec<bytes::Bytes> {
    in_global_window(texts.iter().map(|text| (*text).to_owned()))
}

#[test]
fn elements_are_put_into_windows_by_what_they_are() {
    let runner = FakeRunner::start(registry());
    let outcome = runner
        .bundle(&windowing(&BySize))
        .input("source", texts(&["abc", "", "a"]))
        .run();
    let windows: Vec<(String, Vec<IntervalWindow>)> = outcome
        .elements::<String>("sink")
        .into_iter()
        .map(|timed| {
            (
                timed.value.clone(),
                timed.windows::<IntervalWindow>().unwrap(),
            )
        })
        .collect();
    let window = IntervalWindow::from_millis;
    assert_eq!(
        windows,
        [
            ("abc".into(), vec![window(0, 3)]),
            ("a".into(), vec![window(0, 1)])
        ]
    );
    let outcome = runner
        .bundle(&windowing(&Twice))
        .input("source", texts(&["x"]))
        .run();
    let twice = outcome.elements::<String>("sink");
    assert_eq!(
        twice[0].windows::<IntervalWindow>().unwrap(),
        [window(0, 1), window(0, 2)]
    );
    runner.close();
}

#[test]
fn a_window_function_that_fails_is_named() {
    let runner = FakeRunner::start(registry());
    for (text, says) in [("bad", "a bad text"), ("worse", "panic: a worse text")] {
        let outcome = runner
            .bundle(&windowing(&BySize))
            .input("source", texts(&[text]))
            .run();
        let error = outcome.expect_error();
        assert!(error.contains(says) && error.contains("window"), "{error}");
    }
    runner.close();
}

#[test]
fn windows_merge_and_map_by_a_function_of_ones_own() {
    type Windows = Vec<IntervalWindow>;
    type Merged = Kv<Vec<u8>, Kv<Windows, Vec<Kv<IntervalWindow, Windows>>>>;
    let window = IntervalWindow::from_millis;
    let nonce = || b"n".to_vec();
    let runner = FakeRunner::start(registry());

    let mut stage = Descriptor::new("merging");
    let windows = stage.source("source", Kv::<Vec<u8>, Windows>::coder());
    let merged = stage.collection("merged", Merged::coder(), WindowFn::Global);
    let (urn, payload) = (
        "beam:transform:merge_windows:v1",
        spec(&BySize).encode_to_vec(),
    );
    stage.transform(
        "merge",
        urn,
        payload,
        &[("in", &windows)],
        &[("out", &merged)],
    );
    stage.sink("sink", &merged);
    let (before, long, within) = (window(0, 3), window(5, 9), window(6, 7));
    let outcome = runner
        .bundle(&stage)
        .input(
            "source",
            in_global_window([Kv(nonce(), vec![before, long, within])]),
        )
        .run();
    let expected = Kv(vec![before], vec![Kv(long, vec![long, within])]);
    assert_eq!(outcome.values::<Merged>("sink"), [Kv(nonce(), expected)]);

    let mut stage = Descriptor::new("mapping");
    let pair = Coder::kv(Vec::<u8>::coder(), IntervalWindow::coder());
    let windows = stage.source("source", pair.clone());
    let mapped = stage.collection("mapped", pair, WindowFn::Global);
    let (urn, payload) = (
        "beam:transform:map_windows:v1",
        spec(&Twice).encode_to_vec(),
    );
    stage.transform(
        "map",
        urn,
        payload,
        &[("in", &windows)],
        &[("out", &mapped)],
    );
    stage.sink("sink", &mapped);
    let outcome = runner
        .bundle(&stage)
        .input("source", in_global_window([Kv(nonce(), window(0, 10))]))
        .run();
    let expected = Kv(nonce(), window(9, 10));
    assert_eq!(
        outcome.values::<Kv<Vec<u8>, IntervalWindow>>("sink"),
        [expected]
    );
    runner.close();
}
