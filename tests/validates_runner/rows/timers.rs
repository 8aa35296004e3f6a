//! Timers. What is done to them stands in the elements, as words: `set a 5`.

use std::time::Duration;

use ferrobeam::dofn::{Step, Steps, steps};
use ferrobeam::exec::Registry;
use ferrobeam::pipeline::{PCollection, TestStream};
use ferrobeam::prelude::*;
use ferrobeam::window::{FixedWindows, IntervalWindow, Window, WindowFn};
use serde::{Deserialize, Serialize};

use super::functions::{at, interval, pair};
use super::rows;
use crate::behaviour::How;
use crate::case::Case;
use crate::runner::Runner;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs timer_event_window_end,
    Runs timer_event_relative,
    Runs timer_processing_relative,
    Runs timer_clear,
    Runs timer_reset_later,
    Runs timer_reset_earlier,
    Runs timer_two_families,
    Runs timer_dynamic_tags,
    Runs timer_sets_timer,
    Runs timer_sets_earlier_timer_in_bundle,
    Runs timer_output_timestamp,
    Runs timer_hold,
    Runs timer_reads_state,
    Runs timer_key_available,
    Runs timer_past_window_refused,
];

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<Alarms>().add::<Soon>().add_steps(by_line);
}

/// Does to its timers what its elements say, and tells of each that fires.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Alarms/v1")]
pub(crate) struct Alarms;

struct Alarm;
struct End;

#[derive(Ports)]
pub(crate) struct AlarmsIo {
    told: Out<String>,
    window: InWindow<IntervalWindow>,
    alarm: Timers<Alarm>,
    end: Timer<End>,
    fired: ValueState<i64>,
}

impl DoFn for Alarms {
    type In = Kv<String, String>;
    type Io = AlarmsIo;

    fn process(&mut self, Kv(_, script): Self::In, cx: &mut Cx<'_>, io: &mut AlarmsIo) -> Result {
        for deed in script.split(';') {
            match deed.split_whitespace().collect::<Vec<_>>()[..] {
                ["end"] => {
                    let end = io.window.get()?.max_timestamp();
                    io.end.set(cx, end);
                }
                ["set", tag, time] => io.alarm.set(cx, tag, at(time.parse()?)),
                ["after", tag, millis] => {
                    let offset = Duration::from_millis(millis.parse()?);
                    io.alarm.set_after(cx, tag, offset);
                }
                ["hold", tag, time, hold] => {
                    let hold = Hold::At(at(hold.parse()?));
                    io.alarm.set_holding(cx, tag, at(time.parse()?), hold);
                }
                ["clear", tag] => io.alarm.clear(cx, tag),
                _ => return Err(Error::user(format!("nobody knows how to {deed:?}"))),
            }
        }
        Ok(())
    }
}

impl OnTimer<Alarm> for Alarms {
    fn on_timer(
        &mut self,
        key: &String,
        fired: Fired<'_>,
        cx: &mut Cx<'_>,
        io: &mut AlarmsIo,
    ) -> Result {
        let before = io.fired.read()?.copied().unwrap_or(0);
        io.fired.write(before + 1)?;
        let told = format!(
            "{key}: {} at {}, {before} before",
            fired.tag,
            fired.at.millis()
        );
        io.told.emit(cx, told);
        if let Some(count) = fired.tag.strip_prefix("tick") {
            let count: i64 = count.parse()?;
            if count < 5 {
                let next = format!("tick{}", count + 1);
                io.alarm.set_after(cx, &next, Duration::from_millis(1));
            }
        }
        if fired.tag == "first" {
            io.alarm
                .set(cx, "between", fired.at + Duration::from_millis(1));
        }
        Ok(())
    }
}

impl OnTimer<End> for Alarms {
    fn on_timer(
        &mut self,
        key: &String,
        fired: Fired<'_>,
        cx: &mut Cx<'_>,
        io: &mut AlarmsIo,
    ) -> Result {
        io.told
            .emit(cx, format!("{key}: end at {}", fired.at.millis()));
        Ok(())
    }
}

/// A timer of the wall clock.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Soon/v1")]
struct Soon;

#[derive(Ports)]
struct SoonIo {
    told: Out<String>,
    soon: Timer<Alarm, ProcessingTime>,
}

impl DoFn for Soon {
    type In = Kv<String, String>;
    type Io = SoonIo;

    fn process(&mut self, _: Self::In, cx: &mut Cx<'_>, io: &mut SoonIo) -> Result {
        io.soon.set_after(cx, Duration::from_millis(20));
        Ok(())
    }
}

impl OnTimer<Alarm> for Soon {
    fn on_timer(
        &mut self,
        key: &String,
        _fired: Fired<'_>,
        cx: &mut Cx<'_>,
        io: &mut SoonIo,
    ) -> Result {
        io.told.emit(cx, format!("{key}: soon"));
        Ok(())
    }
}

/// What timers tell which elements at 0 set, by a script under each key, in the window of the first hundred milliseconds.
fn told<const N: usize>(case: &Case, scripts: [(&str, &str); N]) -> PCollection<String> {
    let scripts = scripts.map(|(key, script)| (at(0), pair(key, script.to_owned())));
    let fixed = WindowFn::Fixed(FixedWindows {
        size: 100,
        offset: 0,
    });
    case.p
        .create_timestamped("Scripts", scripts)
        .window_into("Fixed", fixed)
        .par_do("Alarms", Alarms)
        .told
}

/// Expects that timers which are set as a script says, by an element at 0 in the window of the first hundred
/// milliseconds, tell these lines at these times.
fn alarms<const N: usize>(case: &mut Case, script: &str, lines: [(i64, &str); N]) {
    let told = told(case, [("k", script)]);
    let lines = lines.map(|(time, line)| (interval(0, 100), at(time), line.to_owned()));
    case.expect(&told).contains_in_at(lines);
}

fn timer_event_window_end(case: &mut Case) {
    alarms(case, "end", [(99, "k: end at 99")]);
}

fn timer_event_relative(case: &mut Case) {
    // Which event time its outputs have is another row's.
    let told = told(case, [("k", "after a 5")]);
    case.expect(&told)
        .contains_in_any_order(["k: a at 5, 0 before".to_owned()]);
}

fn timer_processing_relative(case: &mut Case) {
    let keys = ["a", "b"].map(|key| pair(key, String::new()));
    let lines = case.p.create("Keys", keys).par_do("Soon", Soon).told;
    case.expect(&lines)
        .contains_in_any_order(["a: soon".to_owned(), "b: soon".to_owned()]);
}

fn timer_clear(case: &mut Case) {
    alarms(case, "set a 5; clear a; end", [(99, "k: end at 99")]);
}

fn timer_reset_later(case: &mut Case) {
    alarms(case, "set a 5; set a 8", [(8, "k: a at 8, 0 before")]);
}

fn timer_reset_earlier(case: &mut Case) {
    alarms(case, "set a 8; set a 5", [(5, "k: a at 5, 0 before")]);
}

fn timer_two_families(case: &mut Case) {
    let told = [(5, "k: a at 5, 0 before"), (99, "k: end at 99")];
    alarms(case, "set a 5; end", told);
}

fn timer_dynamic_tags(case: &mut Case) {
    let told = [(5, "k: a at 5, 0 before"), (6, "k: b at 6, 1 before")];
    alarms(case, "set b 6; set a 5", told);
}

fn timer_sets_timer(case: &mut Case) {
    let told = [
        (10, "k: tick1 at 10, 0 before"),
        (11, "k: tick2 at 11, 1 before"),
        (12, "k: tick3 at 12, 2 before"),
        (13, "k: tick4 at 13, 3 before"),
        (14, "k: tick5 at 14, 4 before"),
    ];
    alarms(case, "set tick1 10", told);
}

fn timer_sets_earlier_timer_in_bundle(case: &mut Case) {
    let told = [
        (10, "k: first at 10, 0 before"),
        (11, "k: between at 11, 1 before"),
        (20, "k: last at 20, 2 before"),
    ];
    alarms(case, "set first 10; set last 20", told);
}

fn timer_output_timestamp(case: &mut Case) {
    alarms(case, "hold a 20 7", [(7, "k: a at 20, 0 before")]);
}

fn by_line() -> Steps<String, impl Step<String, Out = Kv<String, ()>>> {
    steps("vr.by_line/v1").map(|line: String| Kv(line, ()))
}

/// The timer's output is at 7, and comes when the watermark of what sets it has long passed its window downstream.
/// Where the output watermark does not wait, it is late, and Prism drops it; other runners only show its time.
fn timer_hold(case: &mut Case) {
    let script = pair("k", "hold a 80 7".to_owned());
    let nothing = pair("other", "set b 60".to_owned());
    let scripts = match case.runner {
        // The watermark of what is complete moves once, to the end.
        Runner::Default | Runner::Python | Runner::Spark => case
            .p
            .create_timestamped("Scripts", [(at(0), script), (at(50), nothing)]),
        Runner::Prism | Runner::Flink | Runner::FlinkStreaming => {
            let stream = TestStream::new()
                .elements([(at(0), script)])
                .watermark(at(40))
                .elements([(at(50), nothing)])
                .watermark(at(70));
            case.p.test_stream("Scripts", stream)
        }
    };
    let fixed = |size| WindowFn::Fixed(FixedWindows { size, offset: 0 });
    let lines = scripts
        .window_into("Long", fixed(100))
        .par_do("Alarms", Alarms)
        .told;
    let counts = lines
        .window_into("Short", fixed(10))
        .steps("By line", by_line())
        .count_per_key("Count");
    case.expect(&counts).contains_in([
        (interval(0, 10), pair("k: a at 80, 0 before", 1)),
        (interval(60, 70), pair("other: b at 60, 0 before", 1)),
    ]);
}

fn timer_reads_state(case: &mut Case) {
    let told = [(5, "k: a at 5, 0 before"), (9, "k: b at 9, 1 before")];
    alarms(case, "set a 5; set b 9", told);
}

fn timer_key_available(case: &mut Case) {
    let keys = ["a", "b", "c"];
    let told = told(case, keys.map(|key| (key, "end")));
    let lines = keys.map(|key| format!("{key}: end at 99"));
    case.expect(&told).contains_in_any_order(lines);
}

fn timer_past_window_refused(case: &mut Case) {
    told(case, [("k", "set a 500")]);
    case.fails_with(["alarm", "500 ms", "99 ms"]);
}
