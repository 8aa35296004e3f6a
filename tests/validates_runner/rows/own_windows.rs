//! Window functions of one's own, functions that look at windows, and triggers.

use std::time::Duration;

use ferrobeam::exec::Registry;
use ferrobeam::pipeline::{Firing, TestStream, Trigger, Windowing};
use ferrobeam::prelude::*;
use ferrobeam::window::{FixedWindows, IntervalWindow, SlidingWindows, WindowFn};
use serde::{Deserialize, Serialize};

use super::functions::{at, group_size, interval, timed};
use super::rows;
use crate::behaviour::How;
use crate::case::Case;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs window_custom,
    Runs window_custom_merging,
    Runs window_observe_sliding,
    Runs window_not_observed,
    Runs window_end_of_time,
    Runs trigger_after_count,
    Runs trigger_early_late,
    Runs trigger_discarding,
    Runs trigger_accumulating,
    Runs late_data_dropped,
    Runs late_data_within_lateness,
];

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add_window_function::<BySize>()
        .add_window_function::<Touching>()
        .add::<TellWindow>()
        .add::<CountCalls>();
}

/// Windows as long as the number, from its timestamp on.
#[derive(Serialize, Deserialize, WindowFunction)]
#[beam(name = "vr.BySize/v1")]
struct BySize;

impl WindowFunction for BySize {
    type In = i64;
    type Window = IntervalWindow;

    fn assign(&self, size: &i64, time: Timestamp, windows: &mut Vec<IntervalWindow>) -> Result {
        windows.push(interval(time.millis(), time.millis() + size));
        Ok(())
    }
}

/// The same, and windows that touch or overlap are one.
#[derive(Serialize, Deserialize, WindowFunction)]
#[beam(name = "vr.Touching/v1")]
struct Touching;

impl WindowFunction for Touching {
    type In = Kv<i64, i64>;
    type Window = IntervalWindow;
    const MERGES: bool = true;

    fn assign(
        &self,
        Kv(_, size): &Kv<i64, i64>,
        time: Timestamp,
        windows: &mut Vec<IntervalWindow>,
    ) -> Result {
        windows.push(interval(time.millis(), time.millis() + size));
        Ok(())
    }

    fn merge(
        &self,
        mut windows: Vec<IntervalWindow>,
    ) -> Result<Vec<(IntervalWindow, Vec<IntervalWindow>)>> {
        windows.sort();
        let mut merged: Vec<(IntervalWindow, Vec<IntervalWindow>)> = Vec::new();
        for window in windows {
            match merged.last_mut() {
                Some((into, from)) if window.start <= into.end => {
                    into.end = into.end.max(window.end);
                    from.push(window);
                }
                _ => merged.push((window, vec![window])),
            }
        }
        Ok(merged)
    }
}

/// Tells the window of each element.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.TellWindow/v1")]
struct TellWindow;

#[derive(Ports)]
struct TellWindowIo {
    told: Out<String>,
    window: InWindow<IntervalWindow>,
}

impl DoFn for TellWindow {
    type In = i64;
    type Io = TellWindowIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut TellWindowIo) -> Result {
        let window = *io.window.get()?;
        let (start, end) = (window.start.millis(), window.end.millis());
        io.told.emit(cx, format!("{n} in {start}..{end}"));
        Ok(())
    }
}

/// Numbers each call.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.CountCalls/v1")]
struct CountCalls {
    #[serde(skip)]
    calls: i64,
}

impl DoFn for CountCalls {
    type In = i64;
    type Io = Out<i64>;

    fn process(&mut self, _: i64, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        self.calls += 1;
        out.emit(cx, self.calls);
        Ok(())
    }
}

fn fixed(size: i64) -> WindowFn {
    WindowFn::Fixed(FixedWindows { size, offset: 0 })
}

fn sliding() -> WindowFn {
    WindowFn::Sliding(SlidingWindows {
        size: 15,
        period: 5,
        offset: 0,
    })
}

fn window_custom(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([3, 10]));
    let windowed = numbers.window_by("By size", BySize);
    case.expect(&windowed)
        .contains_in([(interval(3, 6), 3), (interval(10, 20), 10)]);
}

fn window_custom_merging(case: &mut Case) {
    let pairs = [(0, 5), (5, 2), (20, 1)].map(|(time, size)| (at(time), Kv(1i64, size)));
    let groups = case
        .p
        .create_timestamped("Pairs", pairs)
        .window_by("Touching", Touching)
        .group_by_key("Group")
        .steps("Size", group_size());
    case.expect(&groups).contains_in([
        (interval(0, 7), Kv(1, Kv(2, 7))),
        (interval(20, 21), Kv(1, Kv(1, 1))),
    ]);
}

fn window_observe_sliding(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([12]));
    let told = numbers
        .window_into("Sliding", sliding())
        .par_do("Tell", TellWindow)
        .told;
    let lines = ["12 in 0..15", "12 in 5..20", "12 in 10..25"];
    case.expect(&told)
        .contains_in_any_order(lines.map(str::to_owned));
}

fn window_not_observed(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([12]));
    let calls = numbers
        .window_into("Sliding", sliding())
        .par_do("Count", CountCalls { calls: 0 });
    case.expect(&calls).contains_in([
        (interval(0, 15), 1),
        (interval(5, 20), 1),
        (interval(10, 25), 1),
    ]);
}

fn window_end_of_time(case: &mut Case) {
    let ends = [(Timestamp::MIN, 1i64), (Timestamp::GLOBAL_WINDOW_END, 2)];
    let numbers = case.p.create_timestamped("Numbers", ends);
    case.expect(&numbers).contains_at(ends);
}

/// How many values come in each firing of one window of ten milliseconds, and their sum.
fn fired<const N: usize>(
    case: &mut Case,
    script: TestStream<Kv<i64, i64>>,
    windowing: Windowing,
    firings: [(i64, i64); N],
) {
    // Flink holds the watermark back for as long as a bundle runs; by default that is all of the script.
    case.options.add("max_bundle_size", Some("1".into()));
    let groups = case
        .p
        .test_stream("Script", script)
        .window_into("Windowed", windowing.on_time(Firing::IfNonEmpty))
        .group_by_key("Group")
        .steps("Size", group_size());
    let firings = firings.map(|(count, sum)| Kv(1, Kv(count, sum)));
    case.expect(&groups).contains_in_any_order(firings);
}

fn comes(script: TestStream<Kv<i64, i64>>, n: i64) -> TestStream<Kv<i64, i64>> {
    script.elements([(at(n), Kv(1, n))])
}

fn trigger_after_count(case: &mut Case) {
    let script = comes(comes(comes(comes(TestStream::new(), 1), 2), 3), 4);
    let windowing = Windowing::by(fixed(10)).trigger(Trigger::after_count(2).repeatedly());
    fired(case, script.watermark(at(100)), windowing, [(2, 3), (2, 7)]);
}

fn trigger_early_late(case: &mut Case) {
    let script = comes(TestStream::new(), 1);
    let script = comes(script.watermark(at(10)), 2).watermark(at(15));
    let early = Trigger::after_count(1);
    let trigger = Trigger::after_watermark(Some(early.clone()), Some(early));
    let windowing = Windowing::by(fixed(10))
        .trigger(trigger)
        .allowed_lateness(Duration::from_millis(100));
    fired(case, script, windowing, [(1, 1), (1, 2)]);
}

fn trigger_discarding(case: &mut Case) {
    let script = comes(comes(TestStream::new(), 1), 2).watermark(at(100));
    let windowing = Windowing::by(fixed(10)).trigger(Trigger::after_count(1).repeatedly());
    fired(case, script, windowing, [(1, 1), (1, 2)]);
}

fn trigger_accumulating(case: &mut Case) {
    let script = comes(comes(TestStream::new(), 1), 2).watermark(at(100));
    let windowing = Windowing::by(fixed(10)).trigger(Trigger::after_count(1).repeatedly());
    fired(case, script, windowing.accumulating(), [(1, 1), (2, 3)]);
}

fn late_data_dropped(case: &mut Case) {
    let script = comes(comes(TestStream::new(), 1).watermark(at(20)), 2);
    fired(case, script, Windowing::by(fixed(10)), [(1, 1)]);
}

fn late_data_within_lateness(case: &mut Case) {
    let script = comes(comes(TestStream::new(), 1).watermark(at(20)), 2);
    let windowing = Windowing::by(fixed(10)).allowed_lateness(Duration::from_millis(100));
    fired(case, script, windowing, [(1, 1), (1, 2)]);
}
