//! Splittable functions on a real runner, which makes stages of them.

use std::fs;
use std::time::{Duration, Instant};

use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::window::{IntervalWindow, SlidingWindows, WindowFn};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::functions::{registry as functions, show, show_pair};
use crate::run;

fn registry() -> Registry {
    let mut registry = functions();
    registry
        .add_splittable::<Numbers>()
        .add_splittable::<Labelled>()
        .add_splittable::<Slow>()
        .add_splittable::<Forgets>();
    registry
}

/// The numbers of a range: so many parts, and so many numbers before the rest is left for later.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "test.Numbers/v1")]
struct Numbers {
    parts: u64,
    pause: i64,
}

#[derive(Ports)]
struct NumbersIo {
    even: Out<i64>,
    odd: Out<i64>,
    bonus: Side<Single<i64>>,
    seen: Counter,
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

    fn size(&self, _: &Self::In, range: &OffsetRange) -> Result<f64> {
        Ok(range.len() as f64 * 1e12)
    }

    fn process(
        &mut self,
        _: &Self::In,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        io: &mut NumbersIo,
    ) -> Result<Resume> {
        let bonus = *io.bonus.get()?;
        let start = claims.restriction().start;
        let mut next = start;
        while next - start != self.pause {
            if !claims.claim(next) {
                return Ok(Resume::Done);
            }
            io.seen.inc();
            match next % 2 {
                0 => io.even.emit(cx, next + bonus),
                _ => io.odd.emit(cx, next + bonus),
            }
            next += 1;
        }
        Ok(Resume::After(Duration::from_millis(20)))
    }
}

/// Whether the runner resumes what is left for later.
fn resumes() -> bool {
    std::env::var("FERROBEAM_RUNNER").as_deref() != Ok("spark")
}

#[test]
fn each_number_once_however_the_work_is_split() {
    let pause = if resumes() { 40 } else { -1 };
    let ran = run(registry(), |p, outputs| {
        let ranges = p.create("Ranges", [Kv(0, 200), Kv(1000, 1003), Kv(5, 5)]);
        let bonus = p.create("Bonus", [10_000i64]).as_single();
        let numbers = Numbers { parts: 3, pause };
        let NumbersIoOutputs { even, odd } =
            ranges.par_do_splittable_with("Numbers", numbers, NumbersIoSides { bonus });
        outputs.write("even", &even.steps("Show even", show()));
        outputs.write("odd", &odd.steps("Show odd", show()));
    });
    let expected = |rest| {
        let all = (0..200i64).chain(1000..1003);
        let mut lines: Vec<_> = all
            .filter(|n| n % 2 == rest)
            .map(|n| (n + 10_000).to_string())
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(ran.lines("even"), expected(0));
    assert_eq!(ran.lines("odd"), expected(1));
    assert_eq!(ran.metrics.counter("test.Numbers", "seen"), Some(203));
}

/// The numbers below one, with the window that they are in.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "test.Labelled/v1")]
struct Labelled {
    pause: i64,
}

#[derive(Ports)]
struct LabelledIo {
    out: Out<Kv<String, i64>>,
    window: InWindow<IntervalWindow>,
}

impl Splittable for Labelled {
    type In = i64;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = LabelledIo;

    fn initial(&self, end: &i64) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, *end))
    }

    fn process(
        &mut self,
        _: &i64,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        io: &mut LabelledIo,
    ) -> Result<Resume> {
        let window = format!("{}", io.window.get()?.start.millis());
        let start = claims.restriction().start;
        let mut next = start;
        while next - start != self.pause {
            if !claims.claim(next) {
                return Ok(Resume::Done);
            }
            io.out.emit(cx, Kv(window.clone(), next));
            next += 1;
        }
        Ok(Resume::After(Duration::from_millis(1)))
    }
}

#[test]
fn each_window_gets_each_number_once() {
    let pause = if resumes() { 3 } else { -1 };
    let ran = run(registry(), |p, outputs| {
        let three = SlidingWindows::of(Duration::from_millis(30), Duration::from_millis(10));
        let ends = p
            .create("Ends", [7i64])
            .par_do("Stamp", crate::functions::Stamp);
        let windowed = ends.window_into("Windows", WindowFn::Sliding(three));
        let labelled = windowed.par_do_splittable("Label", Labelled { pause });
        outputs.write("labelled", &labelled.out.steps("Show", show_pair()));
    });
    let mut expected: Vec<String> = ["-20", "-10", "0"]
        .iter()
        .flat_map(|window| (0..7).map(move |n| format!("{window}={n}")))
        .collect();
    expected.sort();
    assert_eq!(ran.lines("labelled"), expected);
}

#[test]
fn files_are_read_by_ranges() {
    let file = NamedTempFile::new().unwrap();
    let lines: Vec<String> = (0..20_000).map(|n| format!("line {n:05}")).collect();
    fs::write(file.path(), lines.join("\n")).unwrap();
    let ran = run(registry(), |p, outputs| {
        let path = file.path().to_str().unwrap();
        let paths = p.create("Paths", [path.to_owned()]);
        let read = ferrobeam::dofn::builtin::ReadText { range: 10_000 };
        outputs.write("lines", &paths.par_do_splittable("Read", read));
        let whole = p.read_text("Read whole", path);
        outputs.write("whole", &whole);
        let numbers = p.sequence("Numbers", -5..5);
        outputs.write("numbers", &numbers.steps("Show", show()));
    });
    assert_eq!(ran.lines("lines"), lines);
    assert_eq!(ran.lines("whole"), lines);
    let mut numbers: Vec<_> = (-5..5i64).map(|n| n.to_string()).collect();
    numbers.sort();
    assert_eq!(ran.lines("numbers"), numbers);
}

/// Emits the numbers of a range; goes on from the first one only when the rest was cut, or is short.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "test.Slow/v1")]
struct Slow {
    waits: bool,
}

#[derive(Ports)]
struct SlowIo {
    out: Out<i64>,
    cuts: Counter,
}

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
            if self.waits && next == 0 {
                while claims.restriction() == all {
                    if began.elapsed() > crate::LIMIT {
                        return Err(Error::user("the runner does not split"));
                    }
                    std::thread::yield_now();
                }
                io.cuts.inc();
            }
            next += 1;
        }
        Ok(Resume::Done)
    }
}

#[test]
fn a_slow_element_is_split_by_the_runner() {
    // Others do not split what they have sent.
    let waits = std::env::var("FERROBEAM_RUNNER").as_deref() == Ok("prism");
    let ran = run(registry(), |p, outputs| {
        let ends = p.create("Ends", [1000i64]);
        let slow = ends.par_do_splittable("Slow", Slow { waits });
        outputs.write("numbers", &slow.out.steps("Show", show()));
    });
    let mut expected: Vec<_> = (0..1000i64).map(|n| n.to_string()).collect();
    expected.sort();
    assert_eq!(ran.lines("numbers"), expected);
    let cuts = ran.metrics.counter("test.Slow", "cuts").unwrap_or(0);
    assert_eq!(cuts, i64::from(waits));
}

/// Returns with work left.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "test.Forgets/v1")]
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

#[test]
fn forgotten_work_fails_the_job_and_is_named() {
    let pipeline = ferrobeam::pipeline::Pipeline::new();
    let ends = pipeline.create("Ends", [10i64]);
    ends.par_do_splittable("Forget", Forgets);
    let registry = std::sync::Arc::new(registry());
    let mut job = pipeline.run(&crate::options(), &registry).unwrap();
    let error = job.wait(Some(crate::LIMIT)).unwrap_err().to_string();
    assert!(error.contains("left unclaimed in [0, 10)"), "{error}");
}
