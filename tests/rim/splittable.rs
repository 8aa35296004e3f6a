//! Splittable functions: through their stages, resumed, split by the runner, in several windows.

use std::time::Duration;

use ferrobeam::Kv;
use ferrobeam::dofn::{Restriction, Tracker, WatermarkState, Work};
use ferrobeam::element::{Coder, Header, Nesting, decoded};
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::testing::{
    Chaos, Collection, Descriptor, FakeRunner, Root, Split, assert_in_any_order, in_global_window,
    in_windows, with_header,
};
use ferrobeam::window::{IntervalWindow, SlidingWindows, WindowFn};
use serde::{Deserialize, Serialize};

use crate::support::Gate;

/// The numbers of a range.
#[derive(Clone, Default, Serialize, Deserialize, DoFn)]
#[beam(name = "sdf.Numbers/v1")]
pub(crate) struct Numbers {
    /// Into how many parts a range is split before it is processed.
    pub(crate) parts: u64,
    /// After how many numbers the rest is left for later, and for how long.
    pub(crate) pause: Option<(i64, u64)>,
    /// Waits at a gate with this number in hand.
    pub(crate) wait: Option<(i64, String)>,
    /// Returns with this number unclaimed.
    pub(crate) forget: Option<i64>,
}

#[derive(Ports)]
pub(crate) struct NumbersIo {
    pub(crate) even: Out<i64>,
    pub(crate) odd: Out<i64>,
    pub(crate) seen: Counter,
}

impl Splittable for Numbers {
    type In = Kv<i64, i64>;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = NumbersIo;

    fn initial(&self, Kv(start, end): &Self::In) -> Result<OffsetRange> {
        Ok(OffsetRange::new(*start, *end))
    }

    fn split(&self, _: &Self::In, all: OffsetRange) -> Result<Vec<OffsetRange>> {
        Ok(all.in_parts(self.parts))
    }

    fn process(
        &mut self,
        _: &Self::In,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        io: &mut NumbersIo,
    ) -> Result<Resume> {
        let start = claims.restriction().start;
        let mut next = start;
        loop {
            if let Some((most, millis)) = self.pause
                && next - start == most
            {
                return Ok(Resume::After(Duration::from_millis(millis)));
            }
            if self.forget == Some(next) || !claims.claim(next) {
                return Ok(Resume::Done);
            }
            if let Some((at, gate)) = &self.wait
                && *at == next
            {
                Gate::named(gate).pass()?;
            }
            io.seen.inc();
            match next % 2 {
                0 => io.even.emit(cx, next),
                _ => io.odd.emit(cx, next),
            }
            next += 1;
        }
    }
}

pub(crate) fn registry() -> Registry {
    let mut registry = crate::support::registry();
    registry
        .add_splittable::<Numbers>()
        .add_splittable::<InWindows>()
        .add_splittable::<Ticks<Manual>>()
        .add_splittable::<Ticks<Monotonic>>()
        .add_splittable::<Ticks<WallTime>>()
        .add_splittable::<Measured>();
    registry
}

/// The stage that says what work there is.
pub(crate) fn before(name: &str, function: &Numbers) -> Descriptor {
    let mut stage = Descriptor::new(format!("{name}, before"));
    let ranges = stage.source("source", Kv::<i64, i64>::coder());
    let paired = stage.pair_with_restriction("pair", function, &ranges);
    let parts = stage.split_and_size("split", function, &paired);
    stage.sink("sink", &parts);
    stage
}

/// The stage that does it.
pub(crate) fn process(name: &str, function: &Numbers) -> Descriptor {
    let mut stage = Descriptor::new(name);
    let parts = work::<Numbers>(&mut stage, WindowFn::Global);
    let out = stage.process("process", function, &parts, &[]);
    stage.sink("even", &out["even"]);
    stage.sink("odd", &out["odd"]);
    stage
}

fn work<F: Splittable>(stage: &mut Descriptor, windows: WindowFn) -> Collection {
    stage.source_of_work::<F>("source", &F::In::coder(), windows)
}

/// An element with work on it, and how much that is.
type Parts<F> = Kv<Kv<<F as Splittable>::In, Kv<Restriction<F>, WatermarkState<F>>>, f64>;

pub(crate) fn part(start: i64, end: i64) -> Parts<Numbers> {
    let range = OffsetRange::new(start, end);
    let begun = Kv(range, Timestamp::MIN.millis());
    Kv(Kv(Kv(0, 0), begun), (end - start) as f64)
}

/// What a root is: its header, and its element with work on it.
fn read<F: Splittable>(root: &Root, windows: &WindowFn) -> (Header, Parts<F>) {
    let coding = ferrobeam::element::WindowCoding::of(&windows.coder()).unwrap();
    let mut input = ferrobeam::element::Input::new(&root.element);
    let mut header = Header::global(Timestamp::MIN);
    header.decode_into(&mut input, &coding).unwrap();
    let rest = input.rest();
    (header, decoded(rest, Nesting::Nested).unwrap())
}

/// Restrictions and sizes.
fn ranges(roots: &[Root]) -> Vec<(i64, i64, f64)> {
    let range = |root: &Root| {
        let (_, Kv(Kv(_, Kv(range, _)), size)) = read::<Numbers>(root, &WindowFn::Global);
        (range.start, range.end, size)
    };
    roots.iter().map(range).collect()
}

#[test]
fn each_stage_does_its_part() {
    let runner = FakeRunner::start(registry());
    let function = Numbers {
        parts: 3,
        ..Numbers::default()
    };
    let before = before("stages", &function);
    let input = in_global_window([Kv(0, 10), Kv(5, 5), Kv(100, 101)]);
    let outcome = runner.bundle(&before).input("source", input).run();
    let parts = outcome.elements::<Parts<Numbers>>("sink");
    let seen: Vec<_> = parts
        .iter()
        .map(|timed| {
            let Kv(Kv(_, Kv(range, state)), size) = &timed.value;
            assert_eq!(*state, Timestamp::MIN.millis());
            (range.start, range.end, *size)
        })
        .collect();
    assert_eq!(
        seen,
        [
            (0, 3, 3.0),
            (3, 6, 3.0),
            (6, 10, 4.0),
            (5, 5, 0.0),
            (100, 101, 1.0)
        ]
    );
    assert_eq!(outcome.metrics.element_count("pair.out"), Some(3));
    assert_eq!(outcome.metrics.element_count("split.out"), Some(5));

    let stage = process("stages", &function);
    let input = parts.iter().map(ferrobeam::testing::Timed::to_bytes);
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert_eq!(outcome.values::<i64>("even"), [0, 2, 4, 6, 8, 100]);
    assert_eq!(outcome.values::<i64>("odd"), [1, 3, 5, 7, 9]);
    assert_eq!(outcome.metrics.counter("process", "seen"), Some(11));
    assert_eq!(outcome.metrics.element_count("process.even"), Some(6));
    assert_eq!(outcome.residuals, []);
    runner.close();
}

#[test]
fn what_is_left_for_later_is_resumed_after_its_delay() {
    let runner = FakeRunner::start(registry());
    let function = Numbers {
        pause: Some((10, 100)),
        ..Numbers::default()
    };
    let stage = process("resumed", &function);
    let input = in_global_window([part(0, 35), part(50, 55)]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    let mut all = outcome.values::<i64>("even");
    all.extend(outcome.values::<i64>("odd"));
    assert_in_any_order(all, (0..35).chain(50..55));
    assert_eq!(outcome.bundles, 4);
    assert_eq!(outcome.waited, Duration::from_millis(300));
    runner.close();
}

#[test]
fn residuals_say_delay_watermark_bound_and_size() {
    let runner = FakeRunner::start(registry());
    let function = Numbers {
        pause: Some((10, 2500)),
        ..Numbers::default()
    };
    let stage = process("residuals", &function);
    let bundle = runner.bundle(&stage).start();
    let header = Header::global(Timestamp::from_millis(7));
    let Kv(Kv(element, Kv(range, _)), size) = part(0, 35);
    let element = Kv(Kv(element, Kv(range, 7)), size);
    bundle.send("source", with_header(&header, &element));
    bundle.end_all();
    let outcome = bundle.wait();
    let [left] = &outcome.residuals[..] else {
        panic!("{:?}", outcome.residuals)
    };
    assert_eq!(
        (left.transform.as_str(), left.input.as_str()),
        ("process", "in")
    );
    assert_eq!(left.delay, Duration::from_millis(2500));
    let at = Timestamp::from_millis(7);
    assert_eq!(
        left.watermarks,
        [("even".into(), at), ("odd".into(), at)].into()
    );
    assert!(left.is_bounded);
    assert_eq!(ranges(&outcome.residuals), [(10, 35, 25.0)]);
    assert_eq!(read::<Numbers>(left, &WindowFn::Global).0, header);
    runner.close();
}

/// A bundle whose only element is [0, 101), of which 0 to 39 are claimed.
fn at_39(
    runner: &FakeRunner,
    name: &str,
    then: impl Fn(&ferrobeam::testing::RunningBundle<'_>),
) -> Vec<i64> {
    let function = Numbers {
        wait: Some((39, name.into())),
        ..Numbers::default()
    };
    let stage = process(name, &function);
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([part(0, 101)]).concat());
    Gate::named(name).expect(1);
    then(&bundle);
    Gate::named(name).open();
    bundle.end_all();
    let outcome = bundle.wait();
    assert_eq!(outcome.metrics.read_index("source"), Some(1));
    let mut all = outcome.values::<i64>("even");
    all.extend(outcome.values::<i64>("odd"));
    all.sort();
    all
}

fn assert_cut(split: &Split, primary: (i64, i64, f64), residual: (i64, i64, f64)) {
    assert_eq!(split.channel, Some((-1, 1)));
    assert_eq!(ranges(&split.primaries), [primary]);
    assert_eq!(ranges(&split.residuals), [residual]);
    assert_eq!(primary.2 + residual.2, 101.0);
}

#[test]
fn the_element_in_hand_is_halved() {
    let runner = FakeRunner::start(registry());
    let all = at_39(&runner, "halved, splittable", |bundle| {
        let split = bundle.split_whole("source", 0.5, 1, &[]);
        assert_cut(&split, (0, 70, 70.0), (70, 101, 31.0));
        assert_eq!(split.residuals[0].watermarks["even"], Timestamp::MIN);
        assert!(split.residuals[0].is_bounded);
        assert_eq!(split.residuals[0].delay, Duration::ZERO);
    });
    assert_eq!(all, Vec::from_iter(0..70));
    runner.close();
}

#[test]
fn the_element_in_hand_stops_at_once() {
    let runner = FakeRunner::start(registry());
    let all = at_39(&runner, "at once, splittable", |bundle| {
        let split = bundle.split_whole("source", 0.0, 1, &[]);
        assert_cut(&split, (0, 40, 40.0), (40, 101, 61.0));
        assert_eq!(bundle.split_whole("source", 0.0, 1, &[]), Split::default());
        assert_eq!(bundle.split_whole("source", 0.5, 1, &[]), Split::default());
    });
    assert_eq!(all, Vec::from_iter(0..40));
    runner.close();
}

#[test]
fn the_element_in_hand_is_cut_again_and_again() {
    let runner = FakeRunner::start(registry());
    let all = at_39(&runner, "again, splittable", |bundle| {
        let mut end = 101;
        while end > 41 {
            let split = bundle.split_whole("source", 0.5, 1, &[]);
            let (_, cut, _) = ranges(&split.primaries)[0];
            assert_eq!(split.channel, Some((-1, 1)));
            assert_eq!(ranges(&split.residuals)[0], (cut, end, (end - cut) as f64));
            assert!(cut < end && cut >= 40);
            end = cut;
        }
    });
    assert_eq!(all.len(), 40 + usize::from(all.last() == Some(&40)));
    runner.close();
}

#[test]
fn places_to_cut_may_be_forbidden() {
    let runner = FakeRunner::start(registry());
    let function = Numbers {
        wait: Some((39, "forbidden, splittable".into())),
        ..Numbers::default()
    };
    let stage = process("forbidden, splittable", &function);
    let bundle = runner.bundle(&stage).start();
    let input = [part(0, 101), part(200, 210), part(300, 310), part(400, 410)];
    bundle.send("source", in_global_window(input).concat());
    Gate::named("forbidden, splittable").expect(1);
    // Four elements less 40 of 101 positions are left; a quarter of that is more than what is left of the first.
    let split = bundle.split_whole("source", 0.25, 4, &[]);
    assert_eq!((split.channel, split.residuals), (Some((0, 1)), vec![]));
    let function = Numbers {
        wait: Some((39, "forbidden too, splittable".into())),
        ..Numbers::default()
    };
    Gate::named("forbidden, splittable").open();
    bundle.end_all();
    assert_eq!(bundle.wait().metrics.read_index("source"), Some(1));

    let stage = process("forbidden too, splittable", &function);
    let bundle = runner.bundle(&stage).start();
    bundle.send(
        "source",
        in_global_window([part(0, 101), part(200, 210)]).concat(),
    );
    Gate::named("forbidden too, splittable").expect(1);
    // Neither before the element nor behind it: then it cannot be cut.
    assert_eq!(bundle.split_whole("source", 0.0, 2, &[0]), Split::default());
    let split = bundle.split_whole("source", 0.0, 2, &[1]);
    assert_eq!((split.channel, split.residuals), (Some((0, 1)), vec![]));
    let split = bundle.split_whole("source", 0.0, 2, &[0, 1]);
    assert_eq!(split.channel, Some((-1, 1)));
    assert_eq!(ranges(&split.residuals), [(40, 101, 61.0)]);
    Gate::named("forbidden too, splittable").open();
    bundle.end_all();
    assert_eq!(bundle.wait().metrics.read_index("source"), Some(1));
    runner.close();
}

#[test]
fn a_finished_element_cannot_be_cut() {
    let runner = FakeRunner::start(registry());
    let function = Numbers {
        wait: Some((9, "finished, splittable".into())),
        ..Numbers::default()
    };
    let stage = process("finished, splittable", &function);
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([part(0, 10)]).concat());
    Gate::named("finished, splittable").expect(1);
    for fraction in [0.0, 0.5, 1.0] {
        let split = bundle.split_whole("source", fraction, 1, &[]);
        assert_eq!(split.residuals, []);
        assert_eq!(split.primaries, []);
    }
    Gate::named("finished, splittable").open();
    bundle.end_all();
    let outcome = bundle.wait();
    assert_eq!(outcome.values::<i64>("even"), [0, 2, 4, 6, 8]);
    runner.close();
}

#[test]
fn progress_is_that_of_the_element_in_hand() {
    let runner = FakeRunner::start(registry());
    at_39(&runner, "progress, splittable", |bundle| {
        let work = bundle.progress().metrics.work("process").unwrap();
        assert_eq!((work.completed, work.remaining), (40.0, 61.0));
        bundle.split("source", 0.5, 1, &[]);
        let work = bundle.progress().metrics.work("process").unwrap();
        assert_eq!((work.completed, work.remaining), (40.0, 30.0));
    });
    runner.close();
}

#[test]
fn work_left_unclaimed_is_an_error() {
    let runner = FakeRunner::start(registry());
    let function = Numbers {
        forget: Some(40),
        ..Numbers::default()
    };
    let stage = process("forgotten", &function);
    let input = in_global_window([part(0, 101)]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    let error = outcome.expect_error();
    assert!(
        error.contains("left unclaimed in [0, 101)") && error.contains("process"),
        "{error}"
    );
    runner.close();
}

#[test]
fn behind_another_function_elements_stay_whole() {
    let runner = FakeRunner::start(registry());
    let function = Numbers {
        pause: Some((10, 50)),
        ..Numbers::default()
    };
    let mut stage = Descriptor::new("fused");
    let ranges_in = stage.source("source", Kv::<i64, i64>::coder());
    let paired = stage.pair_with_restriction("pair", &function, &ranges_in);
    let parts = stage.split_and_size("split", &function, &paired);
    let out = stage.process("process", &function, &parts, &[]);
    stage.sink("even", &out["even"]);
    let input = in_global_window([Kv(0, 25)]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert_eq!(outcome.values::<i64>("even"), [0, 2, 4, 6, 8]);
    // What is left is for the function, not for the source.
    assert_eq!(ranges(&outcome.residuals), [(10, 25, 15.0)]);
    let stage = process("fused, later", &function);
    let left = outcome.residuals.iter().map(|root| root.element.clone());
    let outcome = runner.bundle(&stage).input("source", left).run();
    assert_eq!(outcome.values::<i64>("odd"), [11, 13, 15, 17, 19, 21, 23]);
    runner.close();
}

/// The numbers of a range in each window.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "sdf.InWindows/v1")]
struct InWindows {
    /// Waits at a gate with this number in hand, in the window that begins at this second.
    wait: Option<(i64, i64, String)>,
    /// Leaves the rest for later at this number, in that window.
    pause: Option<(i64, i64)>,
}

#[derive(Ports)]
struct InWindowsIo {
    out: Out<Kv<i64, i64>>,
    window: InWindow<IntervalWindow>,
}

impl Splittable for InWindows {
    type In = i64;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = InWindowsIo;

    fn initial(&self, end: &i64) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, *end))
    }

    fn process(
        &mut self,
        _: &i64,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        io: &mut InWindowsIo,
    ) -> Result<Resume> {
        let window = io.window.get()?.start.millis() / 1000;
        let mut next = claims.restriction().start;
        loop {
            if self.pause == Some((next, window)) && claims.restriction().start != next {
                return Ok(Resume::After(Duration::from_secs(1)));
            }
            if !claims.claim(next) {
                return Ok(Resume::Done);
            }
            if let Some((at, in_window, gate)) = &self.wait
                && (*at, *in_window) == (next, window)
            {
                Gate::named(gate).pass()?;
            }
            io.out.emit(cx, Kv(window, next));
            next += 1;
        }
    }
}

/// Three windows at the tenth second.
fn three() -> WindowFn {
    WindowFn::Sliding(SlidingWindows::of(
        Duration::from_secs(30),
        Duration::from_secs(10),
    ))
}

fn in_three_windows(function: &InWindows, name: &str) -> Descriptor {
    let mut stage = Descriptor::new(name);
    let parts = work::<InWindows>(&mut stage, three());
    let out = stage.process("process", function, &parts, &[]);
    stage.sink("sink", &out["out"]);
    stage
}

fn one_in_three() -> Vec<bytes::Bytes> {
    let at = Timestamp::from_millis(10_000);
    let element: Parts<InWindows> = Kv(Kv(10, Kv(OffsetRange::new(0, 10), at.millis())), 10.0);
    in_windows(&three(), [(at, element)])
}

/// Starts of windows in seconds, the range, and its size.
fn windows_of(roots: &[Root]) -> Vec<(Vec<i64>, OffsetRange, f64)> {
    let one = |root: &Root| {
        let (header, Kv(Kv(_, Kv(range, state)), size)) = read::<InWindows>(root, &three());
        assert_eq!(header.timestamp.millis(), 10_000);
        assert_eq!(state, 10_000);
        let coding = ferrobeam::element::WindowCoding::of(&IntervalWindow::coder()).unwrap();
        let windows = header.windows.split(&coding).unwrap();
        let start = |window: &&[u8]| {
            let window: IntervalWindow = decoded(window, Nesting::Nested).unwrap();
            window.start.millis() / 1000
        };
        (windows.iter().map(start).collect(), range, size)
    };
    roots.iter().map(one).collect()
}

fn each_window_once() -> Vec<Kv<i64, i64>> {
    let windows = [-10, 0, 10];
    let all = windows.into_iter();
    all.flat_map(|window| (0..10).map(move |n| Kv(window, n)))
        .collect()
}

#[test]
fn each_window_gets_each_position_once() {
    let runner = FakeRunner::start(registry());
    let function = InWindows {
        wait: None,
        pause: Some((5, 0)),
    };
    let stage = in_three_windows(&function, "windows");
    let outcome = runner.bundle(&stage).input("source", one_in_three()).run();
    assert_in_any_order(outcome.values::<Kv<i64, i64>>("sink"), each_window_once());
    // A second bundle goes on in the window that was left, and in the one behind it.
    assert_eq!(outcome.bundles, 2);
    runner.close();
}

#[test]
fn windows_are_split_off_whole() {
    let runner = FakeRunner::start(registry());
    // Windows come as the window function assigns them: the latest first.
    let order: Vec<i64> = {
        let mut order = Vec::new();
        three().assign(Timestamp::from_millis(10_000), |window| {
            order.push(window.start.millis() / 1000);
        });
        order
    };
    let function = InWindows {
        wait: Some((3, order[1], "whole windows, splittable".into())),
        pause: None,
    };
    let stage = in_three_windows(&function, "whole windows, splittable");
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", one_in_three().concat());
    Gate::named("whole windows, splittable").expect(1);
    let work = bundle.progress().metrics.work("process").unwrap();
    assert_eq!((work.completed, work.remaining), (14.0, 16.0));
    // 1.6 windows are left. Half of that is more than the 0.6 of the one in hand.
    let split = bundle.split_whole("source", 0.5, 1, &[]);
    assert_eq!(split.channel, Some((-1, 1)));
    let all = OffsetRange::new(0, 10);
    assert_eq!(
        windows_of(&split.primaries),
        [(vec![order[0], order[1]], all, 10.0)]
    );
    assert_eq!(windows_of(&split.residuals), [(vec![order[2]], all, 10.0)]);
    // Now only the window in hand is left, and it is cut itself.
    let split = bundle.split_whole("source", 0.5, 1, &[]);
    let (kept, left) = (OffsetRange::new(0, 7), OffsetRange::new(7, 10));
    assert_eq!(
        windows_of(&split.primaries),
        [(vec![order[0]], all, 10.0), (vec![order[1]], kept, 7.0)]
    );
    assert_eq!(windows_of(&split.residuals), [(vec![order[1]], left, 3.0)]);
    Gate::named("whole windows, splittable").open();
    bundle.end_all();
    let outcome = bundle.wait();
    let expected = (0..10).map(|n| Kv(order[0], n));
    let expected = expected.chain((0..7).map(|n| Kv(order[1], n)));
    assert_eq!(
        outcome.values::<Kv<i64, i64>>("sink"),
        expected.collect::<Vec<_>>()
    );
    runner.close();
}

#[test]
fn the_window_in_hand_is_cut_and_later_ones_are_left() {
    let runner = FakeRunner::start(registry());
    let mut order = Vec::new();
    three().assign(Timestamp::from_millis(10_000), |window| {
        order.push(window.start.millis() / 1000);
    });
    let function = InWindows {
        wait: Some((3, order[1], "window in hand, splittable".into())),
        pause: None,
    };
    let stage = in_three_windows(&function, "window in hand, splittable");
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", one_in_three().concat());
    Gate::named("window in hand, splittable").expect(1);
    let split = bundle.split_whole("source", 0.0, 1, &[]);
    let all = OffsetRange::new(0, 10);
    let (kept, left) = (OffsetRange::new(0, 4), OffsetRange::new(4, 10));
    assert_eq!(
        windows_of(&split.primaries),
        [(vec![order[0]], all, 10.0), (vec![order[1]], kept, 4.0)]
    );
    assert_eq!(
        windows_of(&split.residuals),
        [(vec![order[1]], left, 6.0), (vec![order[2]], all, 10.0)]
    );
    Gate::named("window in hand, splittable").open();
    bundle.end_all();
    let mut values = bundle.wait().values::<Kv<i64, i64>>("sink");
    let left = split.residuals.iter().map(|root| root.element.clone());
    let outcome = runner.bundle(&stage).input("source", left).run();
    values.extend(outcome.values::<Kv<i64, i64>>("sink"));
    assert_in_any_order(values, each_window_once());
    runner.close();
}

/// A number each second of event time, for ever; a few in each bundle.
#[derive(Clone, Serialize, Deserialize)]
struct Ticks<W> {
    #[serde(skip)]
    watermark: std::marker::PhantomData<fn() -> W>,
}

impl<W> Ticks<W> {
    fn new() -> Self {
        Ticks {
            watermark: std::marker::PhantomData,
        }
    }
}

macro_rules! ticks {
    ($($watermark:ident, $name:literal, $advance:expr;)*) => {$(
        impl ferrobeam::dofn::Named for Ticks<$watermark> {
            const NAME: &'static str = $name;
        }

        impl Splittable for Ticks<$watermark> {
            type In = i64;
            type Tracker = OffsetTracker;
            type Watermark = $watermark;
            type Io = Out<i64>;

            const IS_BOUNDED: bool = false;

            fn initial(&self, _: &i64) -> Result<OffsetRange> {
                Ok(OffsetRange::from(0))
            }

            fn process(
                &mut self,
                _: &i64,
                claims: &Claims<Self>,
                cx: &mut Cx<'_>,
                out: &mut Out<i64>,
            ) -> Result<Resume> {
                let start = claims.restriction().start;
                for next in start..start + 5 {
                    if !claims.claim(next) {
                        return Ok(Resume::Done);
                    }
                    let at = Timestamp::from_millis(next * 1000);
                    out.emit_at(cx, at, next);
                    let advance: fn(&Claims<Self>, Timestamp) = $advance;
                    advance(claims, at);
                }
                Ok(Resume::After(Duration::from_millis(10)))
            }
        }
    )*};
}

ticks! {
    Manual, "sdf.ManualTicks/v1", |claims, at| claims.advance_watermark(at + Duration::from_millis(1));
    Monotonic, "sdf.MonotonicTicks/v1", |_, _| ();
    WallTime, "sdf.WallTicks/v1", |_, _| ();
}

/// Runs ticks twice. Yields the watermarks and the states of what was left.
fn tick<W>(runner: &FakeRunner, name: &str) -> Vec<(i64, i64)>
where
    W: ferrobeam::dofn::WatermarkEstimator<State = i64> + 'static,
    Ticks<W>: Splittable<In = i64, Tracker = OffsetTracker, Watermark = W> + ferrobeam::dofn::Named,
{
    let mut stage = Descriptor::new(name);
    let parts = work::<Ticks<W>>(&mut stage, WindowFn::Global);
    let out = stage.process("process", &Ticks::<W>::new(), &parts, &[]);
    stage.sink("sink", &out["output"]);
    let element: Parts<Ticks<W>> = Kv(Kv(0, Kv(OffsetRange::from(0), 0)), 1.0);
    let header = Header::global(Timestamp::from_millis(0));
    let mut next: bytes::Bytes = with_header(&header, &element).into();
    let mut seen = Vec::new();
    for round in 0..2i64 {
        let bundle = runner.bundle(&stage).start();
        bundle.send("source", next);
        bundle.end_all();
        let outcome = bundle.wait();
        let expected: Vec<i64> = (round * 5..round * 5 + 5).collect();
        assert_eq!(outcome.values::<i64>("sink"), expected);
        let [left] = &outcome.residuals[..] else {
            panic!("{:?}", outcome.residuals)
        };
        assert!(!left.is_bounded);
        let (_, Kv(Kv(_, Kv(range, state)), _)) = read::<Ticks<W>>(left, &WindowFn::Global);
        assert_eq!(range, OffsetRange::from(round * 5 + 5));
        seen.push((left.watermarks["output"].millis(), state));
        next = left.element.clone();
    }
    seen
}

#[test]
fn watermarks_go_on_from_bundle_to_bundle() {
    let runner = FakeRunner::start(registry());
    assert_eq!(
        tick::<Manual>(&runner, "manual"),
        [(4001, 4001), (9001, 9001)]
    );
    assert_eq!(
        tick::<Monotonic>(&runner, "monotonic"),
        [(4000, 4000), (9000, 9000)]
    );
    let wall = tick::<WallTime>(&runner, "wall time");
    assert!(wall[0].0 > 1_600_000_000_000 && wall[1].0 >= wall[0].0);
    assert_eq!((wall[0].0, wall[1].0), (wall[0].1, wall[1].1));
    runner.close();
}

#[test]
fn draining_ends_what_would_not_end() {
    let runner = FakeRunner::start(registry());
    let function = Numbers::default();
    let mut stage = Descriptor::new("truncated");
    let parts = work::<Numbers>(&mut stage, WindowFn::Global);
    let left = stage.truncate("truncate", &function, &parts);
    let out = stage.process("process", &function, &left, &[]);
    stage.sink("even", &out["even"]);
    let input = in_global_window([part(0, 5), part(10, i64::MAX)]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert_eq!(outcome.values::<i64>("even"), [0, 2, 4]);
    assert_eq!(outcome.metrics.element_count("truncate.out"), Some(1));
    runner.close();
}

/// Says any size.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "sdf.Measured/v1")]
struct Measured {
    size: Option<f64>,
}

impl Splittable for Measured {
    type In = i64;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = Out<i64>;

    fn initial(&self, _: &i64) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, 1))
    }

    fn size(&self, _: &i64, _: &OffsetRange) -> Result<f64> {
        Ok(self.size.unwrap_or(f64::INFINITY))
    }

    fn process(
        &mut self,
        _: &i64,
        claims: &Claims<Self>,
        _: &mut Cx<'_>,
        _: &mut Out<i64>,
    ) -> Result<Resume> {
        let _ = claims.claim(0);
        Ok(Resume::Done)
    }
}

#[test]
fn sizes_are_finite_and_kept() {
    let runner = FakeRunner::start(registry());
    let run = |name: &str, size| {
        let mut stage = Descriptor::new(name);
        let numbers = stage.source("source", i64::coder());
        let function = Measured { size };
        let paired = stage.pair_with_restriction("pair", &function, &numbers);
        let parts = stage.split_and_size("split", &function, &paired);
        stage.sink("sink", &parts);
        let input = in_global_window([1i64]);
        runner.bundle(&stage).input("source", input).run()
    };
    let large = run("large", Some(1e12)).values::<Parts<Measured>>("sink");
    assert_eq!(large[0].1, 1e12);
    for (name, size) in [("infinite", None), ("negative", Some(-1.0))] {
        let outcome = run(name, size);
        let error = outcome.expect_error();
        assert!(
            error.contains("the size of the restriction [0, 1) is"),
            "{error}"
        );
    }
    runner.close();
}

#[test]
fn chaos_loses_and_doubles_nothing() {
    let seeds = std::env::var("FERROBEAM_SEEDS").ok();
    let seeds: u64 = seeds.and_then(|n| n.parse().ok()).unwrap_or(20);
    for seed in 0..seeds {
        let runner = FakeRunner::of(registry()).seed(seed).start();
        let function = Numbers {
            pause: Some((50, 10)),
            ..Numbers::default()
        };
        let stage = process("chaos", &function);
        let bundles = (0..4i64).map(|bundle| {
            let parts = (0..20i64).map(|n| {
                let start = bundle * 100_000 + n * 1000;
                part(start, start + (seed as i64 * 7 + n * 13) % 300)
            });
            runner
                .bundle(&stage)
                .input("source", in_global_window(parts))
        });
        let chaos = Chaos {
            progress: true,
            splits: true,
            stalls: true,
            embeds: true,
            ..Chaos::default()
        };
        let outcomes = runner.run_all(bundles.collect(), chaos);
        for (bundle, outcome) in outcomes.iter().enumerate() {
            let mut all = outcome.values::<i64>("even");
            all.extend(outcome.values::<i64>("odd"));
            let expected = (0..20i64).flat_map(|n| {
                let start = bundle as i64 * 100_000 + n * 1000;
                start..start + (seed as i64 * 7 + n * 13) % 300
            });
            assert_in_any_order(all, expected);
        }
        runner.close();
    }
}

#[test]
fn what_is_left_has_the_coder_of_the_runner() {
    let runner = FakeRunner::start(registry());
    let function = Numbers {
        pause: Some((10, 0)),
        ..Numbers::default()
    };
    let mut stage = Descriptor::new("prefixes");
    let prefixed = Coder::length_prefix(Kv::<i64, i64>::coder());
    let parts = stage.source_of_work::<Numbers>("source", &prefixed, WindowFn::Global);
    let out = stage.process("process", &function, &parts, &[]);
    stage.sink("even", &out["even"]);
    let mut element = Vec::new();
    Header::global(Timestamp::MIN).encode(&mut element);
    element.extend([2, 0, 0]);
    let rest = Kv(Kv(OffsetRange::new(0, 25), 0i64), 25.0);
    rest.encode(&mut element, Nesting::Nested);
    let outcome = runner.bundle(&stage).input("source", [element]).run();
    assert_eq!(
        outcome.values::<i64>("even"),
        (0..25).step_by(2).collect::<Vec<i64>>()
    );
    assert_eq!(outcome.bundles, 3);
    runner.close();
}

/// Claims a whole number of things, and does as it is told when it is split.
struct Touchy {
    left: i64,
}

/// A restriction at which [`Touchy`] panics when it is split.
const PANICS: i64 = 1000;

impl Tracker for Touchy {
    type Restriction = i64;
    type Position = ();

    fn new(left: i64) -> Self {
        Touchy { left }
    }

    fn restriction(&self) -> i64 {
        self.left
    }

    fn claim(&mut self, (): ()) -> Result<bool> {
        let claimed = self.left > 0;
        self.left -= i64::from(claimed);
        Ok(claimed)
    }

    fn split(&mut self, _: f64) -> Option<i64> {
        assert!(self.left < PANICS - 1, "told to panic");
        let residual = std::mem::take(&mut self.left);
        (residual > 0).then_some(residual)
    }

    fn is_done(&self) -> bool {
        self.left == 0
    }

    fn work(&self) -> Work {
        Work {
            completed: 0.0,
            remaining: self.left as f64,
        }
    }
}

/// Waits at a gate with its first thing in hand.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "sdf.Touching/v1")]
struct Touching {
    gate: String,
    /// A restriction of which the size cannot be told.
    sizeless: i64,
}

impl Splittable for Touching {
    type In = i64;
    type Tracker = Touchy;
    type Watermark = Held;
    type Io = Out<i64>;

    fn initial(&self, count: &i64) -> Result<i64> {
        Ok(*count)
    }

    fn size(&self, _: &i64, count: &i64) -> Result<f64> {
        if *count == self.sizeless {
            return Err(Error::user("nobody knows the size"));
        }
        Ok(*count as f64)
    }

    fn process(
        &mut self,
        _: &i64,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        out: &mut Out<i64>,
    ) -> Result<Resume> {
        let mut count = 0;
        while claims.claim(()) {
            if count == 0 {
                Gate::named(&self.gate).pass()?;
            }
            out.emit(cx, count);
            count += 1;
        }
        Ok(Resume::Done)
    }
}

/// Splits a bundle of so many things with the first in hand, and yields what comes of the split and of the bundle.
fn touched(name: &str, count: i64, sizeless: i64) -> (Split, Result<Vec<i64>, String>) {
    let mut registry = registry();
    registry.add_splittable::<Touching>();
    let runner = FakeRunner::start(registry);
    let gate = format!("{name}, splittable");
    let mut stage = Descriptor::new(name);
    let parts = work::<Touching>(&mut stage, WindowFn::Global);
    let function = Touching {
        gate: gate.clone(),
        sizeless,
    };
    let out = stage.process("process", &function, &parts, &[]);
    stage.sink("sink", &out["output"]);
    let bundle = runner.bundle(&stage).start();
    let element: Parts<Touching> = Kv(Kv(0, Kv(count, 0)), count as f64);
    bundle.send("source", in_global_window([element]).concat());
    Gate::named(&gate).expect(1);
    let split = bundle.split_whole("source", 0.0, 1, &[]);
    Gate::named(&gate).open();
    bundle.end_all();
    let outcome = bundle.wait();
    let result = match &outcome.error {
        Some(error) => Err(error.clone()),
        None => Ok(outcome.values("sink")),
    };
    runner.close();
    (split, result)
}

#[test]
fn trackers_of_users_are_cut_like_ours() {
    let (split, values) = touched("touched", 5, -1);
    assert_eq!(split.channel, Some((-1, 1)));
    let (_, Kv(Kv(_, Kv(left, _)), size)) =
        read::<Touching>(&split.residuals[0], &WindowFn::Global);
    assert_eq!((left, size), (4, 4.0));
    assert_eq!(values, Ok(vec![0]));
}

#[test]
fn a_split_that_fails_fails_its_bundle_and_no_other() {
    let (split, values) = touched("panicking", PANICS, -1);
    assert_eq!((split.primaries, split.residuals), (vec![], vec![]));
    let error = values.unwrap_err();
    assert!(
        error.contains("Touchy panicked while it was split"),
        "{error}"
    );
    // What was cut off already cannot be given to anybody.
    let (split, values) = touched("sizeless", 5, 4);
    assert_eq!((split.primaries, split.residuals), (vec![], vec![]));
    let error = values.unwrap_err();
    assert!(error.contains("nobody knows the size"), "{error}");
}
