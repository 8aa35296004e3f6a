//! Splittable functions: each position once, whatever the runner makes of the work.

use std::io::{BufWriter, Write};
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ferrobeam::dofn::builtin::ReadText;
use ferrobeam::dofn::{Step, Steps, steps};
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::window::{IntervalWindow, SlidingWindows, WindowFn};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::functions::{at, interval, pair};
use super::rows;
use crate::behaviour::How;
use crate::case::Case;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs sdf_offsets,
    Runs sdf_initial_splits,
    Runs sdf_checkpoint_resume,
    Runs sdf_resume_delay,
    Runs sdf_runner_split,
    Runs sdf_multi_window,
    Runs sdf_side_input,
    Runs sdf_multi_output,
    Runs sdf_unclaimed_error,
    Runs sdf_large_restriction_size,
    Runs file_read_splits,
];

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add_splittable::<Positions>()
        .add_splittable::<Sorted>()
        .add_splittable::<InWindows>()
        .add_splittable::<Slow>()
        .add_splittable::<Forgets>()
        .add_steps(by_time)
        .add_steps(pauses)
        .add_steps(line_number);
}

/// The positions of a range.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Positions/v1")]
struct Positions {
    /// In how many parts they are emitted.
    parts: u64,
    /// After how many the rest is left for later.
    stops_after: Option<i64>,
    /// For how long, in milliseconds.
    pause: u64,
    /// How much work a position is.
    size: f64,
}

impl Positions {
    const ALL: Positions = Positions {
        parts: 1,
        stops_after: None,
        pause: 0,
        size: 1.0,
    };
}

#[derive(Ports)]
struct PositionsIo {
    out: Out<i64>,
    /// How many parts were processed, each as far as it was in one go.
    calls: Counter,
}

impl Splittable for Positions {
    type In = Kv<i64, i64>;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = PositionsIo;

    fn initial(&self, Kv(start, end): &Self::In) -> Result<OffsetRange> {
        Ok(OffsetRange::new(*start, *end))
    }

    fn split(&self, _: &Self::In, all: OffsetRange) -> Result<Vec<OffsetRange>> {
        Ok(all.in_parts(self.parts))
    }

    fn size(&self, _: &Self::In, range: &OffsetRange) -> Result<f64> {
        Ok(range.len() as f64 * self.size)
    }

    fn process(
        &mut self,
        _: &Self::In,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        io: &mut PositionsIo,
    ) -> Result<Resume> {
        io.calls.inc();
        let mut next = claims.restriction().start;
        let stop = self.stops_after.map(|count| next + count);
        while Some(next) != stop {
            if !claims.claim(next) {
                return Ok(Resume::Done);
            }
            io.out.emit(cx, next);
            next += 1;
        }
        Ok(Resume::After(Duration::from_millis(self.pause)))
    }
}

fn sdf_offsets(case: &mut Case) {
    let ranges = (0..10i64).map(|n| Kv(n * 1000, (n + 1) * 1000));
    let ranges = case.p.create("Ranges", ranges);
    let positions = ranges.par_do_splittable("Positions", Positions::ALL);
    case.expect(&positions.out).contains_in_any_order(0..10_000);
}

fn sdf_initial_splits(case: &mut Case) {
    let ranges = case
        .p
        .create("Ranges", [Kv(0i64, 1000i64), Kv(5000, 5003), Kv(9, 9)]);
    let in_parts = Positions {
        parts: 7,
        ..Positions::ALL
    };
    let positions = ranges.par_do_splittable("Positions", in_parts);
    case.expect(&positions.out)
        .contains_in_any_order((0..1000).chain(5000..5003));
    case.metrics(|metrics| {
        // A runner may split again. There are as many parts as positions at most, and one that is empty.
        let calls = metrics.counter("vr.Positions", "calls");
        assert!(calls >= Some(7 + 3 + 1), "{calls:?}");
    });
}

fn sdf_checkpoint_resume(case: &mut Case) {
    let ranges = case.p.create("Ranges", [Kv(0i64, 100i64), Kv(200, 245)]);
    let stopping = Positions {
        stops_after: Some(10),
        ..Positions::ALL
    };
    let positions = ranges.par_do_splittable("Positions", stopping);
    case.expect(&positions.out)
        .contains_in_any_order((0..100).chain(200..245));
    case.metrics(|metrics| {
        let calls = metrics.counter("vr.Positions", "calls");
        assert!(calls >= Some(10 + 5), "{calls:?}");
    });
}

/// When each number came, by the clock of the machine.
fn by_time() -> Steps<i64, impl Step<i64, Out = Kv<i64, Kv<i64, i64>>>> {
    steps("vr.by_time/v1").try_map(|n: i64| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(Kv(0, Kv(n, i64::try_from(now.as_millis())?)))
    })
}

type Times = Kv<i64, Iter<Kv<i64, i64>>>;

/// How long a function pauses, in milliseconds: longer than runners dawdle.
const PAUSE: u64 = 400;

/// The numbers before which the function paused.
fn pauses() -> Steps<Times, impl Step<Times, Out = Vec<i64>>> {
    steps("vr.pauses/v1").try_map(|Kv(_, times): Times| {
        let mut times = times.to_vec()?;
        times.sort_by_key(|Kv(n, _)| *n);
        let gaps = times.windows(2);
        let late = gaps.filter(|gap| gap[1].1.abs_diff(gap[0].1) >= PAUSE);
        Ok(late.map(|gap| gap[1].0).collect())
    })
}

fn sdf_resume_delay(case: &mut Case) {
    // Flink waits for nothing once all sources have ended, so they end late.
    let idle = Some((10 * PAUSE).to_string());
    case.options.add("shutdown_sources_after_idle_ms", idle);
    let ranges = case.p.create("Ranges", [Kv(0i64, 6i64)]);
    let pausing = Positions {
        stops_after: Some(2),
        pause: PAUSE,
        ..Positions::ALL
    };
    let positions = ranges.par_do_splittable("Positions", pausing);
    let times = positions.out.steps("When", by_time()).group_by_key("All");
    case.expect(&times.steps("Pauses", pauses()))
        .contains_in_any_order([vec![2, 4]]);
}

fn sdf_large_restriction_size(case: &mut Case) {
    let ranges = case.p.create("Ranges", [Kv(0i64, 100i64)]);
    let heavy = Positions {
        parts: 3,
        size: 1e12,
        ..Positions::ALL
    };
    let positions = ranges.par_do_splittable("Positions", heavy);
    case.expect(&positions.out).contains_in_any_order(0..100);
}

/// The numbers below one, even ones apart from odd ones, each larger by a bonus.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Sorted/v1")]
struct Sorted;

#[derive(Ports)]
struct SortedIo {
    even: Out<i64>,
    odd: Out<String>,
    bonus: Side<Single<i64>>,
}

impl Splittable for Sorted {
    type In = i64;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = SortedIo;

    fn initial(&self, end: &i64) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, *end))
    }

    fn process(
        &mut self,
        _: &i64,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        io: &mut SortedIo,
    ) -> Result<Resume> {
        let bonus = *io.bonus.get()?;
        let mut next = claims.restriction().start;
        while claims.claim(next) {
            match next % 2 {
                0 => io.even.emit(cx, next + bonus),
                _ => io.odd.emit(cx, (next + bonus).to_string()),
            }
            next += 1;
        }
        Ok(Resume::Done)
    }
}

fn sorted(case: &mut Case, end: i64) -> SortedIoOutputs<ferrobeam::pipeline::InPipeline> {
    let bonus = case.p.create("Bonus", [1000i64]).as_single();
    let ends = case.p.create("Ends", [end]);
    ends.par_do_splittable_with("Sorted", Sorted, SortedIoSides { bonus })
}

fn sdf_side_input(case: &mut Case) {
    let sorted = sorted(case, 9);
    case.expect(&sorted.even)
        .contains_in_any_order([1000, 1002, 1004, 1006, 1008]);
}

fn sdf_multi_output(case: &mut Case) {
    let sorted = sorted(case, 5);
    case.expect(&sorted.even)
        .contains_in_any_order([1000, 1002, 1004]);
    case.expect(&sorted.odd)
        .contains_in_any_order(["1001", "1003"].map(String::from));
}

/// The numbers below one, with the start of the window that they are in.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "vr.InWindows/v1")]
struct InWindows;

#[derive(Ports)]
struct InWindowsIo {
    out: Out<Kv<String, i64>>,
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
        let window = io.window.get()?.start.millis().to_string();
        let mut next = claims.restriction().start;
        while claims.claim(next) {
            io.out.emit(cx, Kv(window.clone(), next));
            next += 1;
        }
        Ok(Resume::Done)
    }
}

fn sdf_multi_window(case: &mut Case) {
    let three = SlidingWindows::of(Duration::from_millis(30), Duration::from_millis(10));
    let ends = case.p.create_timestamped("Ends", [(at(5), 7i64)]);
    let windowed = ends.window_into("Windows", WindowFn::Sliding(three));
    let positions = windowed.par_do_splittable("Positions", InWindows);
    let windows = [-20, -10, 0i64];
    case.expect(&positions.out)
        .contains_in(windows.into_iter().flat_map(|start| {
            (0..7).map(move |n| (interval(start, start + 30), pair(&start.to_string(), n)))
        }));
}

/// The numbers below one. Waits at the first until the rest is taken away.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Slow/v1")]
struct Slow;

#[derive(Ports)]
struct SlowIo {
    out: Out<i64>,
    cuts: Counter,
}

/// How long the runner has time to split.
const PATIENCE: Duration = Duration::from_secs(5);

impl Splittable for Slow {
    type In = i64;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = SlowIo;

    fn initial(&self, end: &i64) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, *end))
    }

    fn process(
        &mut self,
        _: &i64,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        io: &mut SlowIo,
    ) -> Result<Resume> {
        let all = claims.restriction();
        let began = Instant::now();
        let mut next = all.start;
        while claims.claim(next) {
            io.out.emit(cx, next);
            if next == 0 {
                while claims.restriction() == all && began.elapsed() < PATIENCE {
                    std::thread::yield_now();
                }
                io.cuts.add(i64::from(claims.restriction() != all));
            }
            next += 1;
        }
        Ok(Resume::Done)
    }
}

fn sdf_runner_split(case: &mut Case) {
    // Python's runner splits what its option for tests names; others decide by themselves.
    let splits = r#"{"Slow": {"timings": [0.3], "fractions": [0.5]}}"#;
    case.options.add("direct_test_splits", Some(splits.into()));
    let ends = case.p.create("Ends", [1000i64]);
    let slow = ends.par_do_splittable("Slow", Slow);
    case.expect(&slow.out).contains_in_any_order(0..1000);
    case.metrics(|metrics| assert_eq!(metrics.counter("vr.Slow", "cuts"), Some(1)));
}

/// Returns with work left.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Forgets/v1")]
struct Forgets;

impl Splittable for Forgets {
    type In = i64;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = Out<i64>;

    fn initial(&self, end: &i64) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, *end))
    }

    fn process(
        &mut self,
        _: &i64,
        claims: &Claims<Self>,
        _: &mut Cx<'_>,
        _: &mut Out<i64>,
    ) -> Result<Resume> {
        let _claimed = claims.claim(3);
        Ok(Resume::Done)
    }
}

fn sdf_unclaimed_error(case: &mut Case) {
    let ends = case.p.create("Ends", [10i64]);
    ends.par_do_splittable("Forget", Forgets);
    case.fails_with(["Forgets returned with work left unclaimed in [0, 10)"]);
}

/// How many lines the large file has.
const LINES: i64 = 20_000;

/// A file of 100 MB, whose lines begin with their numbers and are of many lengths.
static LARGE_FILE: LazyLock<NamedTempFile> = LazyLock::new(|| {
    let file = NamedTempFile::new().expect("a place for files");
    let mut lines = BufWriter::new(&file);
    for n in 0..LINES {
        writeln!(lines, "{n} {}", "x".repeat(line_length(n))).expect("room for 100 MB");
    }
    lines.flush().expect("room for 100 MB");
    drop(lines);
    file
});

fn line_length(n: i64) -> usize {
    usize::try_from(n * 7919 % 10_000).unwrap_or(0)
}

/// The numbers of whole lines.
fn line_number() -> Steps<String, impl Step<String, Out = i64>> {
    steps("vr.line_number/v1").try_map(|line: String| {
        let (number, rest) = line.split_once(' ').unwrap_or_default();
        let number = number.parse().unwrap_or(-1);
        if number < 0 || rest != "x".repeat(line_length(number)) {
            let (start, _) = line.split_at(line.len().min(20));
            return Err(Error::user(format!("a torn line: {start}")));
        }
        Ok(number)
    })
}

fn file_read_splits(case: &mut Case) {
    let path = LARGE_FILE.path().to_string_lossy().into_owned();
    let paths = case.p.create("Paths", [path]);
    let ranges = ReadText { range: 10 << 20 };
    let lines = paths.par_do_splittable("Read", ranges);
    case.expect(&lines.steps("Number", line_number()))
        .contains_in_any_order(0..LINES);
}
