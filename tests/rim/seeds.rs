//! Many bundles at once, with all that can happen to them, over and over: nothing is lost, doubled or left behind.
//!
//! `FERROBEAM_SEEDS` says how many seeds are run, and `FERROBEAM_SEED` runs a single one again.

use std::collections::BTreeMap;
use std::ops::Range;

use ferrobeam::dofn::Sum;
use ferrobeam::element::{Coder, Nesting};
use ferrobeam::exec::Registry;
use ferrobeam::harness::Budgets;
use ferrobeam::model::descriptor::CombineStage;
use ferrobeam::prelude::*;
use ferrobeam::testing::{
    Bundle, BundleOutcome, Chaos, Descriptor, FakeRunner, Random, assert_in_any_order,
    in_global_window, iterable_key, tail_key,
};
use ferrobeam::window::{FixedWindows, IntervalWindow, WindowFn};
use serde::{Deserialize, Serialize};

use crate::finalize::{Note, noted};
use crate::support::{Look, doubled, registry};

/// How many seeds a plain test run takes.
const SEEDS: u64 = 20;

/// Even and odd numbers; fails for some, the first time it sees them.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "seeds.Sort/v1")]
struct Sort;

#[derive(Ports)]
struct SortIo {
    even: Out<i64>,
    odd: Out<i64>,
    seen: Counter,
}

impl DoFn for Sort {
    type In = i64;
    type Io = SortIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut SortIo) -> Result {
        io.seen.inc();
        match n % 2 {
            0 => io.even.emit(cx, n),
            _ => io.odd.emit(cx, n),
        }
        Ok(())
    }
}

/// Fails or panics at a number.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "seeds.Trip/v1")]
struct Trip {
    at: i64,
    panics: bool,
}

impl DoFn for Trip {
    type In = i64;
    type Io = Out<i64>;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        if n == self.at {
            if self.panics {
                panic!("tripped over {n}");
            }
            return Err(Error::user(format!("tripped over {n}")));
        }
        out.emit(cx, n);
        Ok(())
    }
}

/// Sums grouped values.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "seeds.SumGroup/v1")]
struct SumGroup;

impl DoFn for SumGroup {
    type In = Kv<i64, Iter<i64>>;
    type Io = Out<Kv<i64, i64>>;

    fn process(&mut self, Kv(key, all): Self::In, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result {
        let mut sum = 0;
        for value in &all {
            sum += value?;
        }
        out.emit(cx, Kv(key, sum));
        Ok(())
    }
}

/// Each number, as often as it says, and at the end of the bundle how many there were.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "seeds.Repeat/v1")]
struct Repeat {
    #[serde(skip)]
    count: i64,
}

impl DoFn for Repeat {
    type In = i64;
    type Io = Out<Kv<i64, i64>>;

    fn start_bundle(&mut self, _out: &mut Self::Io) -> Result {
        self.count = 0;
        Ok(())
    }

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result {
        for _ in 0..n % 4 {
            self.count += 1;
            out.emit(cx, Kv(n, 1));
        }
        Ok(())
    }

    fn finish_bundle(&mut self, cx: &mut BundleCx, out: &mut Self::Io) -> Result {
        let end = Timestamp::from_millis(0);
        let window = ferrobeam::window::GlobalWindow;
        out.emit_in(cx, &window, end, Kv(-1, self.count));
        Ok(())
    }
}

fn functions() -> Registry {
    let mut registry = registry();
    registry
        .add::<Sort>()
        .add::<Trip>()
        .add::<SumGroup>()
        .add::<Repeat>()
        .add::<Note>();
    registry
}

/// One kind of stage, with what a bundle of it must yield.
#[derive(Debug, Clone, Copy)]
enum Kind {
    PassThrough,
    Double,
    SortBothWays,
    TwoSources,
    Combine,
    Windows,
    SideInput,
    Grouped,
    Repeat,
    Noted,
    Trips,
}

const KINDS: [Kind; 11] = [
    Kind::PassThrough,
    Kind::Double,
    Kind::SortBothWays,
    Kind::TwoSources,
    Kind::Combine,
    Kind::Windows,
    Kind::SideInput,
    Kind::Grouped,
    Kind::Repeat,
    Kind::Noted,
    Kind::Trips,
];

/// A number that trips a function in every bundle.
const OBSTACLE: i64 = 13;

impl Kind {
    fn stage(self, seed: u64) -> Descriptor {
        let mut stage = Descriptor::new(format!("{self:?}"));
        match self {
            Kind::PassThrough => {
                let odd = Coder::length_prefix(Coder::foreign("test:coder:odd", Vec::new()));
                let all = stage.source("source", odd);
                stage.sink("sink", &all);
            }
            Kind::Double => {
                let all = stage.source("source", i64::coder());
                let all = stage.steps("double", &doubled(), &all);
                stage.sink("sink", &all);
            }
            Kind::SortBothWays => {
                let all = stage.source("source", i64::coder());
                let sorted = stage.par_do("sort", &Sort, &all);
                let even = stage.flatten("even", &[&sorted["even"], &sorted["even"]]);
                stage.sink("even sink", &even);
                stage.data_service(1).sink("odd sink", &sorted["odd"]);
            }
            Kind::TwoSources => {
                let one = stage.source("source", i64::coder());
                let two = stage.data_service(1).source("other", i64::coder());
                let doubled = stage.steps("double", &doubled(), &two);
                let both = stage.flatten("both", &[&one, &doubled]);
                stage.sink("sink", &both);
            }
            Kind::Combine => {
                let pairs = stage.source("source", <Kv<i64, i64>>::coder());
                let sum = Sum::<i64>::new();
                let sums = stage.combine("sum", CombineStage::Precombine, &sum, &pairs);
                stage.sink("sink", &sums);
            }
            Kind::Windows => {
                let all = stage.source("source", i64::coder());
                let windows = stage.window_into("windows", &all, minutes());
                stage.sink("sink", &windows);
            }
            Kind::SideInput => {
                let all = stage.source("source", i64::coder());
                let side = stage.collection("side", i64::coder(), WindowFn::Global);
                let out = stage.par_do_with("look", &Look, &all, &[("side", &side)]);
                stage.sink("sink", &out["out"]);
            }
            Kind::Grouped => {
                let all = stage.source("source", <Kv<i64, Iter<i64>>>::coder());
                let out = stage.par_do("sum", &SumGroup, &all);
                stage.sink("sink", &out["output"]);
            }
            Kind::Repeat => {
                let all = stage.source("source", i64::coder());
                let out = stage.par_do("repeat", &Repeat { count: 0 }, &all);
                stage.sink("sink", &out["output"]);
            }
            Kind::Noted => {
                let all = stage.source("source", i64::coder());
                let note = Note {
                    under: notes_of(seed),
                };
                let out = stage.par_do("note", &note, &all);
                stage.sink("sink", &out["out"]);
            }
            Kind::Trips => {
                let all = stage.source("source", i64::coder());
                let trip = |panics| Trip {
                    at: OBSTACLE,
                    panics,
                };
                let one = stage.par_do("one", &trip(false), &all);
                let two = stage.par_do("two", &trip(true), &all);
                stage.sink("sink", &one["output"]);
                stage.sink("second sink", &two["output"]);
            }
        }
        stage
    }

    fn fill<'a>(self, bundle: Bundle<'a>, numbers: Range<i64>) -> Bundle<'a> {
        let numbers = || numbers.clone();
        match self {
            Kind::PassThrough => {
                let blobs = numbers().map(|n| vec![n as u8; n as usize % 40]);
                bundle.input("source", in_global_window(blobs))
            }
            Kind::Combine => {
                let pairs = numbers().map(|n| Kv(n % 7, n));
                bundle.input("source", in_global_window(pairs))
            }
            Kind::Grouped => bundle.input("source", numbers().map(group)),
            Kind::TwoSources => bundle
                .input("source", in_global_window(numbers()))
                .input("other", in_global_window(numbers())),
            Kind::Windows => {
                let timed = numbers().map(|n| (Timestamp::from_millis((n - 20) * 10_000), n));
                bundle.input(
                    "source",
                    ferrobeam::testing::in_windows(&WindowFn::Global, timed),
                )
            }
            _ => bundle.input("source", in_global_window(numbers())),
        }
    }

    fn check(self, outcome: &BundleOutcome, numbers: Range<i64>, chaos: &Chaos) {
        let values = |sink: &str| outcome.values::<i64>(sink);
        match self {
            Kind::PassThrough => {
                let blobs = numbers.map(|n| vec![n as u8; n as usize % 40]);
                assert_in_any_order(outcome.values::<Vec<u8>>("sink"), blobs);
            }
            Kind::Double => assert_in_any_order(values("sink"), numbers.map(|n| n * 2)),
            Kind::SortBothWays => {
                let even = numbers.clone().filter(|n| n % 2 == 0);
                assert_in_any_order(values("even sink"), even.clone().chain(even));
                assert_in_any_order(values("odd sink"), numbers.filter(|n| n % 2 != 0));
            }
            Kind::TwoSources => {
                let both = numbers.clone().chain(numbers.map(|n| n * 2));
                assert_in_any_order(values("sink"), both);
            }
            Kind::Combine => {
                // Each part of a bundle has its own sums.
                let mut sums = BTreeMap::new();
                for Kv(key, sum) in outcome.values::<Kv<i64, i64>>("sink") {
                    *sums.entry(key).or_insert(0) += sum;
                }
                let mut expected = BTreeMap::new();
                numbers.for_each(|n| *expected.entry(n % 7).or_insert(0) += n);
                assert_eq!(sums, expected);
            }
            Kind::Windows => {
                let elements = outcome.elements::<i64>("sink");
                let windows = elements.iter().map(|element| {
                    let windows = element.windows::<IntervalWindow>().unwrap();
                    (element.value, windows)
                });
                let expected = numbers.map(|n| {
                    let start = ((n - 20) * 10_000).div_euclid(60_000) * 60_000;
                    (n, vec![IntervalWindow::from_millis(start, start + 60_000)])
                });
                assert_in_any_order(windows, expected);
            }
            Kind::SideInput => assert_in_any_order(values("sink"), numbers.map(|n| n + 4950)),
            Kind::Grouped => {
                let sums = outcome.values::<Kv<i64, i64>>("sink");
                assert_in_any_order(sums, numbers.map(|n| Kv(n, n + 499_500)));
            }
            Kind::Repeat => {
                let all = outcome.values::<Kv<i64, i64>>("sink");
                let (ends, each): (Vec<_>, Vec<_>) = all.into_iter().partition(|kv| kv.0 == -1);
                let expected = numbers.flat_map(|n| vec![Kv(n, 1); n as usize % 4]);
                let expected: Vec<_> = expected.collect();
                let count: i64 = ends.iter().map(|end| end.1).sum();
                assert_eq!(count, expected.len() as i64);
                assert_in_any_order(each, expected);
            }
            Kind::Noted => assert_in_any_order(values("sink"), numbers),
            Kind::Trips if numbers.contains(&OBSTACLE) => {
                let error = outcome.expect_error();
                let tripped = error.contains("tripped over 13");
                assert!(tripped || chaos.cuts, "{error}");
            }
            Kind::Trips => {
                assert_in_any_order(values("sink"), numbers.clone());
                assert_in_any_order(values("second sink"), numbers);
            }
        }
    }
}

/// What the numbers of a seed are noted under once they are committed.
fn notes_of(seed: u64) -> String {
    format!("seed {seed}")
}

fn minutes() -> WindowFn {
    WindowFn::Fixed(FixedWindows {
        size: 60_000,
        offset: 0,
    })
}

/// A key with one inline value, and a thousand more in state.
fn group(n: i64) -> Vec<u8> {
    let mut element = in_global_window([n]).concat();
    element.extend([0xff; 4]);
    element.push(1);
    n.encode(&mut element, Nesting::Nested);
    element.extend([0xff; 9]);
    element.extend([1, 4]);
    element.extend(b"tail");
    element
}

fn varints(values: Range<i64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.for_each(|value| value.encode(&mut bytes, Nesting::Nested));
    bytes
}

/// Runs one seed: a worker's life, with bundles of all kinds.
fn run(seed: u64) {
    let mut random = Random::new(seed);
    let inbound = [200, 5_000, 64 << 20][random.below(3)];
    let settings = FakeRunner::of(functions()).seed(seed).data_services(2);
    let settings = settings.budgets(Budgets {
        inbound,
        outbound: 1 << 20,
    });
    let settings = if random.percent(50) {
        settings.short_ids()
    } else {
        settings
    };
    let settings = if random.percent(50) {
        settings.embedded_output()
    } else {
        settings
    };
    let runner = settings.start();
    runner.set_state(tail_key("tail"), varints(0..1000));
    runner.set_state(iterable_key("look", "side", ""), varints(0..100));
    if random.percent(70) {
        // Smaller pages would take longer than a bundle may: a request for each byte of thousands of values.
        runner.cut_state(20 + random.below(200));
    }
    let chaos = Chaos {
        progress: random.percent(50),
        splits: random.percent(50),
        oddities: random.percent(50),
        stalls: random.percent(50),
        commits: true,
        embeds: random.percent(50),
        streams: random.percent(50),
        // Input that went down with a stream before its bundle was announced is lost without a trace at the worker:
        // only the runner knows of it. `connections` cuts streams where the outcome is certain.
        cuts: false,
    };
    for _ in 0..2 {
        let mut cases = Vec::new();
        for _ in 0..1 + random.below(8) {
            let first = random.below(30) as i64;
            let numbers = first..first + random.below(60) as i64;
            cases.push((KINDS[random.below(KINDS.len())], numbers));
        }
        let bundles = cases.iter().map(|(kind, numbers)| {
            // A bundle that trips would do so again.
            let trips = matches!(kind, Kind::Trips) && numbers.contains(&OBSTACLE);
            let retries = if trips { 0 } else { 100 };
            let bundle = runner.bundle(&kind.stage(seed)).retries(retries);
            kind.fill(bundle, numbers.clone())
        });
        let outcomes = runner.run_all(bundles.collect(), chaos);
        let mut committed = Vec::new();
        for ((kind, numbers), outcome) in cases.into_iter().zip(outcomes) {
            if let Kind::Noted = kind {
                committed.extend(numbers.clone());
            }
            kind.check(&outcome, numbers, &chaos);
        }
        assert_in_any_order(noted(&notes_of(seed)), committed);
    }
    assert_eq!(runner.unfinished(), 0);
    runner.close();
}

#[test]
fn nothing_is_lost_or_doubled_or_left_behind() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("FERROBEAM_SEED") {
        return run(seed);
    }
    for seed in 0..number("FERROBEAM_SEEDS").unwrap_or(SEEDS) {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("seed {seed} fails: run it again with FERROBEAM_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
