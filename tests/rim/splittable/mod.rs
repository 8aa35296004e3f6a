//! Splittable functions: through their stages, resumed, drained.

mod cuts;
mod trackers;
mod watermarks;
mod windows;

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

use self::watermarks::Ticks;
use self::windows::InWindows;
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
