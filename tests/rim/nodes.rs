//! Nodes that are not functions, by exact bytes.

use ferrobeam::dofn::Sum;
use ferrobeam::element::{Coder, Element, Header, coder::urn};
use ferrobeam::model::descriptor::CombineStage;
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, assert_in_any_order, in_global_window};
use ferrobeam::window::{IntervalWindow, SessionWindows, SlidingWindows, WindowFn};

use crate::support::{doubled, registry};

/// The element `value` at `seconds`, in the global window, with the pane of an on-time firing or of none.
fn at(seconds: i64, value: u8, pane: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    Timestamp::from_millis(seconds * 1000).encode(&mut bytes);
    bytes.extend([0, 0, 0, 1, pane, value]);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn sliding_windows_with_gaps_drop_what_lies_in_none() {
    let sliding = WindowFn::Sliding(SlidingWindows {
        size: 5_000,
        period: 10_000,
        offset: 0,
    });
    let mut stage = Descriptor::new("gaps");
    let numbers = stage.source("source", i64::coder());
    let windowed = stage.window_into("window", &numbers, sliding);
    stage.sink("sink", &windowed);
    let runner = FakeRunner::start(registry());
    // Size and period as other SDKs write them: durations of whole seconds.
    let window = &stage.build(&runner.endpoints()).transforms["window"];
    let payload = &window.spec.as_ref().unwrap().payload;
    let expected = b"\x0a\x2f\x0a\x21beam:window_fn:sliding_windows:v1\x1a\x0a\x0a\x02\x08\x05\x12\x00\x1a\x02\x08\x0a";
    assert_eq!(payload[..], expected[..]);

    let input: Vec<Vec<u8>> = (1..=10).map(|n| at(n, n as u8, 0x0f)).collect();
    assert_eq!(hex(&input[9]), "8000000000002710000000010f0a");
    let outcome = runner.bundle(&stage).input("source", input).run();
    outcome.assert_ok();
    let expected = [
        "80000000000003e800000001800000000000138888270f01",
        "80000000000007d000000001800000000000138888270f02",
        "8000000000000bb800000001800000000000138888270f03",
        "8000000000000fa000000001800000000000138888270f04",
        "8000000000002710000000018000000000003a9888270f0a",
    ];
    assert_eq!(hex(outcome.bytes("sink")), expected.concat());

    let before_1970 = [at(-4, 1, 0x0f), at(-6, 2, 0x0f)];
    let outcome = runner.bundle(&stage).input("source", before_1970).run();
    let elements = outcome.elements::<i64>("sink");
    let windows: Vec<_> = elements
        .iter()
        .map(|element| (element.value, element.windows::<IntervalWindow>().unwrap()))
        .collect();
    let window = IntervalWindow::from_millis(-10_000, -5_000);
    assert_eq!(windows, [(2, vec![window])]);
    runner.close();
}

/// Passes numbers on, once for each window, or without a look at windows.
#[derive(serde::Serialize, serde::Deserialize, DoFn)]
#[beam(name = "rim.Observing/v1")]
struct Observing;

#[derive(Ports)]
struct ObservingIo {
    out: Out<i64>,
    window: InWindow<IntervalWindow>,
}

impl DoFn for Observing {
    type In = i64;
    type Io = ObservingIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut ObservingIo) -> Result {
        io.window.get()?;
        io.out.emit(cx, n);
        Ok(())
    }
}

#[test]
fn an_element_in_no_window_is_processed_not_at_all() {
    let mut stage = Descriptor::new("no window");
    let fixed = WindowFn::Fixed(ferrobeam::window::FixedWindows {
        size: 10_000,
        offset: 0,
    });
    let numbers = stage.source_in("source", i64::coder(), fixed);
    let observed = stage.par_do("observing", &Observing, &numbers);
    stage.sink("observed", &observed["out"]);
    let doubled = stage.steps("double", &doubled(), &numbers);
    stage.sink("doubled", &doubled);
    let mut registry = registry();
    registry.add::<Observing>();
    let runner = FakeRunner::start(registry);
    let nowhere = b"\x80\0\0\0\0\0\x1b\x58\0\0\0\0\x0f\x07".to_vec();
    assert_eq!(hex(&nowhere), "8000000000001b58000000000f07");
    let somewhere = [
        &nowhere[..8],
        b"\0\0\0\x01\x80\0\0\0\0\0\x27\x10\x90\x4e\x0f\x08",
    ]
    .concat();
    let outcome = runner
        .bundle(&stage)
        .input("source", [nowhere.clone(), somewhere, nowhere])
        .run();
    assert_eq!(outcome.values::<i64>("observed"), [8]);
    assert_eq!(outcome.values::<i64>("doubled"), [16]);
    assert_eq!(outcome.metrics.read_index("source"), Some(3));
    runner.close();
}

#[test]
fn windows_are_mapped_to_those_of_side_inputs() {
    let minutes = WindowFn::Fixed(ferrobeam::window::FixedWindows {
        size: 60_000,
        offset: 0,
    });
    let mut stage = Descriptor::new("map");
    let pairs = stage.source(
        "source",
        Coder::kv(Vec::<u8>::coder(), IntervalWindow::coder()),
    );
    let mapped = stage.map_windows("map", &pairs, &minutes);
    stage.sink("sink", &mapped);
    let runner = FakeRunner::start(registry());
    let pair = Kv(
        b"nonce".to_vec(),
        IntervalWindow::from_millis(20_000, 30_000),
    );
    let outcome = runner
        .bundle(&stage)
        .input("source", in_global_window([pair]))
        .run();
    outcome.assert_ok();
    let expected = Kv(b"nonce".to_vec(), IntervalWindow::from_millis(0, 60_000));
    assert_eq!(
        outcome.values::<Kv<Vec<u8>, IntervalWindow>>("sink"),
        [expected]
    );
    runner.close();
}

#[test]
fn sessions_are_merged() {
    type Merged =
        Kv<Vec<u8>, Kv<Vec<IntervalWindow>, Vec<Kv<IntervalWindow, Vec<IntervalWindow>>>>>;
    let sessions = WindowFn::Session(SessionWindows { gap: 10_000 });
    let mut stage = Descriptor::new("merge");
    let windows = Coder::iterable(IntervalWindow::coder());
    let pairs = stage.source("source", Coder::kv(Vec::<u8>::coder(), windows));
    let merged = stage.merge_windows("merge", &pairs, &sessions);
    stage.sink("sink", &merged);
    let runner = FakeRunner::start(registry());
    let window = IntervalWindow::from_millis;
    let (a, b, alone) = (
        window(0, 10_000),
        window(5_000, 15_000),
        window(40_000, 50_000),
    );
    let pair = Kv(b"n".to_vec(), vec![a, alone, b]);
    let outcome = runner
        .bundle(&stage)
        .input("source", in_global_window([pair]))
        .run();
    outcome.assert_ok();
    let expected = Kv(
        b"n".to_vec(),
        Kv(vec![alone], vec![Kv(window(0, 15_000), vec![a, b])]),
    );
    assert_eq!(outcome.values::<Merged>("sink"), [expected]);
    runner.close();
}

#[test]
fn values_are_combined_before_they_leave_under_keys_of_any_coder() {
    let mut stage = Descriptor::new("combine");
    let key = Coder::length_prefix(Coder::foreign("of another sdk", ""));
    let pairs = stage.source("source", Coder::kv(key, i64::coder()));
    let sums = stage.combine("sum", CombineStage::Precombine, &Sum::<i64>::new(), &pairs);
    stage.sink("sink", &sums);
    let runner = FakeRunner::start(registry());
    let pair = |key: &str, n: i64| Kv(key.as_bytes().to_vec(), n);
    let input = in_global_window([pair("a", 1), pair("b", 2), pair("a", 40)]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    outcome.assert_ok();
    assert_in_any_order(
        outcome.values::<Kv<Vec<u8>, i64>>("sink"),
        [pair("a", 41), pair("b", 2)],
    );
    runner.close();
}

#[test]
fn a_port_may_leave_headers_out() {
    let mut stage = Descriptor::new("params");
    let numbers = stage.collection("numbers", i64::coder(), WindowFn::Global);
    let header = Header::global(Timestamp::from_millis(7_000));
    let mut payload = Vec::new();
    header.encode(&mut payload);
    let mut port = Coder::standard(
        urn::PARAM_WINDOWED_VALUE,
        [i64::coder(), WindowFn::Global.coder()],
    );
    port.payload = payload.into();
    stage.source_as("source", port, &numbers);
    stage.sink("sink", &numbers);
    let runner = FakeRunner::start(registry());
    let outcome = runner
        .bundle(&stage)
        .input("source", [vec![1u8], vec![2]])
        .run();
    outcome.assert_ok();
    let elements = outcome.elements::<i64>("sink");
    assert_eq!(
        elements.iter().map(|timed| timed.value).collect::<Vec<_>>(),
        [1, 2]
    );
    assert!(
        elements
            .iter()
            .all(|timed| timed.timestamp().millis() == 7_000)
    );
    runner.close();
}

#[test]
fn a_zero_byte_stands_for_an_element_of_none() {
    let mut stage = Descriptor::new("no bytes");
    let nothing = Coder::standard(urn::GLOBAL_WINDOW, []);
    let all = stage.collection("all", nothing.clone(), WindowFn::Global);
    let mut payload = Vec::new();
    Header::global(Timestamp::from_millis(7_000)).encode(&mut payload);
    let mut port = Coder::standard(
        urn::PARAM_WINDOWED_VALUE,
        [nothing, WindowFn::Global.coder()],
    );
    port.payload = payload.into();
    stage.source_as("source", port.clone(), &all);
    stage.sink_as("bare", port, &all);
    stage.sink("sink", &all);
    let runner = FakeRunner::start(registry());
    let input = runner
        .bundle(&stage)
        .input("source", [vec![0u8], vec![0], vec![0]]);
    let outcome = input.run();
    outcome.assert_ok();
    assert_eq!(outcome.metrics.read_index("source"), Some(3));
    assert_eq!(hex(outcome.bytes("bare")), "000000");
    // With a header there are bytes already.
    let one = "8000000000001b58000000010f";
    assert_eq!(hex(outcome.bytes("sink")), one.repeat(3));
    runner.close();
}

/// Tells elements that are there because the pipeline drains from others.
#[derive(serde::Serialize, serde::Deserialize, DoFn)]
#[beam(name = "rim.Drained/v1")]
struct Drained;

impl DoFn for Drained {
    type In = i64;
    type Io = Out<bool>;

    fn process(&mut self, _n: i64, cx: &mut Cx<'_>, out: &mut Out<bool>) -> Result {
        out.emit(cx, cx.caused_by_drain());
        Ok(())
    }
}

#[test]
fn functions_see_metadata_and_their_outputs_keep_it() {
    let mut stage = Descriptor::new("drained");
    let numbers = stage.source("source", i64::coder());
    let drained = stage.par_do("drained", &Drained, &numbers);
    let minutes = WindowFn::Sliding(SlidingWindows {
        size: 1_000,
        period: 1_000,
        offset: 0,
    });
    let windowed = stage.window_into("window", &drained["output"], minutes);
    stage.sink("sink", &windowed);
    let mut registry = registry();
    registry.add::<Drained>();
    let runner = FakeRunner::start(registry);
    // The pane says that metadata follows: the element drains; the trace context; neither.
    let with = |metadata: &[u8]| {
        let mut element = at(1, 0, 0x8f);
        element.pop();
        element.push(metadata.len() as u8);
        element.extend(metadata);
        element.push(42);
        element
    };
    let input = [with(b"\x08\x02"), with(b"\x12\x01t"), at(1, 42, 0x0f)];
    let outcome = runner.bundle(&stage).input("source", input).run();
    let elements = outcome.elements::<bool>("sink");
    let seen = elements.iter().map(|timed| {
        let metadata = timed.header.metadata.as_ref();
        (timed.value, metadata.map(|metadata| metadata.encoded()))
    });
    let expected: [(bool, Option<&[u8]>); 3] = [
        (true, Some(b"\x08\x02")),
        (false, Some(b"\x12\x01t")),
        (false, None),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    runner.close();
}

#[test]
fn metadata_of_elements_is_carried_along() {
    let mut stage = Descriptor::new("metadata");
    let numbers = stage.source("source", i64::coder());
    stage.sink("sink", &numbers);
    let runner = FakeRunner::start(registry());
    // Pane without a firing and with metadata: two bytes that say the pipeline drains.
    let mut element = at(1, 0, 0x8f);
    element.pop();
    element.extend([2, 8, 2, 42]);
    let outcome = runner
        .bundle(&stage)
        .input("source", [element.clone()])
        .run();
    outcome.assert_ok();
    assert_eq!(hex(outcome.bytes("sink")), hex(&element));
    runner.close();
}
