//! Timers as functions set them and hear of them.

use std::time::Duration;

use ferrobeam::prelude::*;
use ferrobeam::testing::{DoFnTester, OutputsOf, assert_in_any_order};
use ferrobeam::window::{FixedWindows, IntervalWindow, Window, WindowFn};

use crate::ms;

/// Sets timers as its elements say, and tells what fires.
struct Alarms;

/// What an element wants of a timer.
#[derive(Clone, Copy)]
enum Want {
    At(i64),
    After(i64),
    Holding(i64, Hold),
    Clear,
}

struct Flush;
struct Retry;
struct Poll;

#[derive(Ports)]
struct AlarmsIo {
    told: Out<String>,
    flush: Timer<Flush>,
    retry: Timers<Retry>,
    poll: Timer<Poll, ProcessingTime>,
    #[port(name = "poll-each")]
    poll_each: Timers<Poll, ProcessingTime>,
}

fn parse(script: &str) -> (&str, &str, Want) {
    let words: Vec<&str> = script.split(' ').collect();
    let number = |word: &str| word.parse().unwrap();
    let want = match words[2..] {
        ["at", at] => Want::At(number(at)),
        ["after", after] => Want::After(number(after)),
        ["at", at, "free"] => Want::Holding(number(at), Hold::Nothing),
        ["at", at, "hold", hold] => Want::Holding(number(at), Hold::At(ms(number(hold)))),
        ["clear"] => Want::Clear,
        _ => panic!("{script}"),
    };
    (words[0], words[1], want)
}

fn follow(script: &str, cx: &mut Cx<'_>, io: &mut AlarmsIo) {
    for step in script.split("; ").filter(|step| !step.is_empty()) {
        let (port, tag, want) = parse(step);
        let millis = |n| Duration::from_millis(u64::try_from(n).unwrap());
        match (port, want) {
            ("flush", Want::At(at)) => io.flush.set(cx, ms(at)),
            ("flush", Want::After(after)) => io.flush.set_after(cx, millis(after)),
            ("flush", Want::Holding(at, hold)) => io.flush.set_holding(cx, ms(at), hold),
            ("flush", Want::Clear) => io.flush.clear(cx),
            ("retry", Want::At(at)) => io.retry.set(cx, tag, ms(at)),
            ("retry", Want::After(after)) => io.retry.set_after(cx, tag, millis(after)),
            ("retry", Want::Holding(at, hold)) => io.retry.set_holding(cx, tag, ms(at), hold),
            ("retry", Want::Clear) => io.retry.clear(cx, tag),
            ("poll", Want::At(at)) => io.poll.set(cx, ms(at)),
            ("poll", Want::After(after)) => io.poll.set_after(cx, millis(after)),
            ("poll", Want::Holding(at, hold)) => io.poll.set_holding(cx, ms(at), hold),
            ("poll", Want::Clear) => io.poll.clear(cx),
            ("each", Want::After(after)) => io.poll_each.set_after(cx, tag, millis(after)),
            (port, _) => panic!("{port}"),
        }
    }
}

impl Alarms {
    /// Tells of a timer; its tag may say what to do next.
    fn tell(what: &str, key: &str, fired: Fired<'_>, cx: &mut Cx<'_>, io: &mut AlarmsIo) -> Result {
        let (name, then) = fired.tag.split_once('>').unwrap_or((fired.tag, ""));
        let at = fired.at.millis();
        io.told.emit(cx, format!("{key}: {what}{name} {at}"));
        follow(&then.replace('_', " ").replace(",", "; "), cx, io);
        Ok(())
    }
}

impl DoFn for Alarms {
    type In = Kv<String, String>;
    type Io = AlarmsIo;
    const ALLOWED_TIMESTAMP_SKEW: Duration = Duration::from_millis(5);

    fn process(&mut self, Kv(_, script): Self::In, cx: &mut Cx<'_>, io: &mut AlarmsIo) -> Result {
        follow(&script, cx, io);
        Ok(())
    }
}

impl OnTimer<Flush> for Alarms {
    fn on_timer(
        &mut self,
        key: &String,
        fired: Fired<'_>,
        cx: &mut Cx<'_>,
        io: &mut AlarmsIo,
    ) -> Result {
        assert_eq!(fired.tag, "");
        Alarms::tell("flush", key, fired, cx, io)
    }
}

impl OnTimer<Retry> for Alarms {
    fn on_timer(
        &mut self,
        key: &String,
        fired: Fired<'_>,
        cx: &mut Cx<'_>,
        io: &mut AlarmsIo,
    ) -> Result {
        Alarms::tell("retry ", key, fired, cx, io)
    }
}

impl OnTimer<Poll> for Alarms {
    fn on_timer(
        &mut self,
        key: &String,
        fired: Fired<'_>,
        cx: &mut Cx<'_>,
        io: &mut AlarmsIo,
    ) -> Result {
        Alarms::tell("poll ", key, fired, cx, io)
    }
}

/// A tester whose elements are at one second.
fn tester() -> DoFnTester<Alarms> {
    DoFnTester::of(Alarms).at(ms(1_000))
}

fn script(key: &str, script: &str) -> Kv<String, String> {
    Kv(key.to_owned(), script.to_owned())
}

fn told(outputs: OutputsOf<Alarms>) -> Vec<(i64, String)> {
    let told = outputs.told.timestamped().into_iter();
    told.map(|(at, told)| (at.millis(), told)).collect()
}

fn is(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    let expected = expected.iter();
    expected
        .map(|(at, told)| (*at, (*told).to_owned()))
        .collect()
}

#[test]
fn event_time_timers_fire_when_the_watermark_has_passed() {
    let mut tester = tester();
    let out = tester
        .run([
            script("a", "flush - at 3000; retry x after 500"),
            script("b", "flush - at 2000"),
        ])
        .unwrap();
    assert!(out.told.is_empty());
    assert_eq!(told(tester.advance_watermark(ms(1_499)).unwrap()), is(&[]));
    assert_eq!(
        told(tester.advance_watermark(ms(2_999)).unwrap()),
        is(&[(1_500, "a: retry x 1500"), (2_000, "b: flush 2000")])
    );
    assert_eq!(
        told(tester.advance_watermark(ms(3_000)).unwrap()),
        is(&[(3_000, "a: flush 3000")])
    );
    assert_eq!(told(tester.advance_watermark(ms(9_000)).unwrap()), is(&[]));
}

#[test]
fn processing_time_timers_fire_when_the_clock_has_passed() {
    let second = Duration::from_secs(1);
    let mut tester = tester();
    tester.advance_processing_time(second).unwrap();
    tester
        .run([script("a", "poll - after 500; each x after 1500")])
        .unwrap();
    // They emit at the time of the element that set them.
    assert_eq!(
        told(tester.advance_processing_time(second).unwrap()),
        is(&[(1_000, "a: poll  1500")])
    );
    assert_eq!(
        told(tester.advance_watermark(Timestamp::MAX).unwrap()),
        is(&[])
    );
    assert_eq!(
        told(tester.advance_processing_time(second).unwrap()),
        is(&[(1_000, "a: poll x 2500")])
    );
}

#[test]
fn timers_are_cleared_and_moved_within_a_bundle_and_later() {
    for in_one_bundle in [true, false] {
        let mut tester = tester();
        let scripts = [
            script("cleared", "flush - at 3000"),
            script("later", "flush - at 3000"),
            script("earlier", "flush - at 3000"),
            script("cleared", "flush - clear"),
            script("later", "flush - at 5000"),
            script("earlier", "flush - at 2000"),
        ];
        if in_one_bundle {
            tester.run(scripts).unwrap();
        } else {
            for script in scripts {
                tester.run([script]).unwrap();
            }
        }
        assert_eq!(
            told(tester.advance_watermark(ms(4_000)).unwrap()),
            is(&[(2_000, "earlier: flush 2000")])
        );
        assert_eq!(
            told(tester.advance_watermark(ms(9_000)).unwrap()),
            is(&[(5_000, "later: flush 5000")])
        );
    }
}

#[test]
fn timers_set_timers_in_the_order_of_their_times() {
    let mut tester = tester();
    tester
        .run([script(
            "a",
            "retry first>retry_second_at_1500,flush_-_after_100 at 1200; retry last at 1400",
        )])
        .unwrap();
    // The flush is set 100 ms after the time of the timer that sets it, before the last.
    assert_eq!(
        told(tester.advance_watermark(ms(2_000)).unwrap()),
        is(&[
            (1_200, "a: retry first 1200"),
            (1_300, "a: flush 1300"),
            (1_400, "a: retry last 1400"),
            (1_500, "a: retry second 1500"),
        ])
    );
}

#[test]
fn holds_are_the_times_of_what_handlers_emit() {
    let mut tester = tester();
    tester
        .run([
            script("early", "flush - at 3000 hold 995"),
            script("free", "flush - at 3000 free"),
            script("clock", "poll - at 10 hold 2000"),
            script("free clock", "poll - at 10 free"),
        ])
        .unwrap();
    assert_in_any_order(
        told(tester.advance_watermark(ms(3_000)).unwrap()),
        is(&[(995, "early: flush 3000"), (3_000, "free: flush 3000")]),
    );
    let end = Timestamp::GLOBAL_WINDOW_END.millis();
    let out = tester.advance_processing_time(Duration::from_millis(10));
    assert_in_any_order(
        told(out.unwrap()),
        is(&[(2_000, "clock: poll  10"), (end, "free clock: poll  10")]),
    );
}

#[test]
fn times_that_cannot_be_kept_are_refused() {
    let ten = WindowFn::Fixed(FixedWindows::of(Duration::from_secs(10)));
    for (steps, message) in [
        (
            "flush - at 10000",
            "a timer at 10000 ms is later than its window, which expires at 9999 ms; set it earlier, or give its input \
             wider windows or more allowed lateness",
        ),
        (
            "flush - at 3000 hold 3001",
            "the hold at 3001 ms is later than its timer at 3000 ms; hold at the timer's time or earlier",
        ),
        (
            "flush - at 3000 hold 994",
            "the hold at 994 ms is earlier than the timestamp in hand, 1000 ms, less the allowed skew; the watermark \
             may have passed it",
        ),
        (
            "poll - at 3000 hold 10000",
            "the hold at 10000 ms is later than the window, which expires at 9999 ms; hold at an earlier time",
        ),
    ] {
        let mut tester = tester().in_windows(ten);
        let error = tester.run([script("a", steps)]).unwrap_err();
        assert_eq!(error.message(), message);
        let port = steps.split(' ').next().unwrap();
        assert!(
            error.to_string().contains(&format!("timer \"{port}\"")),
            "{error}"
        );
    }
    // A relative timer fires when its window expires, at the latest.
    let mut tester = tester().in_windows(ten);
    tester.run([script("a", "flush - after 60000")]).unwrap();
    assert_eq!(
        told(tester.advance_watermark(ms(9_999)).unwrap()),
        is(&[(9_999, "a: flush 9999")])
    );
}

#[test]
fn a_test_may_fire_what_it_likes() {
    let mut tester = tester();
    tester
        .run([
            script("a", "retry y at 7000; retry x at 5000; flush - at 3000"),
            script("b", "retry x at 4000"),
        ])
        .unwrap();
    let key = "a".to_owned();
    assert_eq!(
        told(tester.fire::<Retry>(&key).unwrap()),
        is(&[(5_000, "a: retry x 5000"), (7_000, "a: retry y 7000")])
    );
    let error = tester.fire::<Retry>(&key).err().unwrap();
    assert_eq!(
        error.message(),
        "no such timer is set for this key; run elements that set it"
    );
}

/// Counts what is left of a window when it expires.
struct Leftover;

#[derive(Ports)]
struct LeftoverIo {
    told: Out<String>,
    window: InWindow<IntervalWindow>,
    expiry: WindowExpiration,
}

impl DoFn for Leftover {
    type In = Kv<i64, i64>;
    type Io = LeftoverIo;

    fn process(&mut self, _: Self::In, _: &mut Cx<'_>, _: &mut LeftoverIo) -> Result {
        Ok(())
    }
}

impl OnWindowExpiration for Leftover {
    fn on_window_expiration(&mut self, key: &i64, cx: &mut Cx<'_>, io: &mut LeftoverIo) -> Result {
        let end = io.window.get()?.max_timestamp();
        assert_eq!(cx.timestamp(), end);
        io.told.emit(cx, format!("{key} until {end}"));
        Ok(())
    }
}

#[test]
fn windows_expire_once_for_each_key() {
    let ten = WindowFn::Fixed(FixedWindows::of(Duration::from_secs(10)));
    let mut tester = DoFnTester::of(Leftover).in_windows(ten);
    tester
        .run_at(
            [(1_000, 1), (2_000, 1), (3_000, 2), (11_000, 1)].map(|(at, key)| (ms(at), Kv(key, 0))),
        )
        .unwrap();
    assert!(tester.advance_watermark(ms(9_998)).unwrap().told.is_empty());
    assert_in_any_order(
        tester.advance_watermark(ms(10_000)).unwrap().told.values(),
        ["1 until 9999 ms", "2 until 9999 ms"].map(str::to_owned),
    );
    assert_eq!(
        tester.fire::<WindowExpiration>(&1).unwrap().told.values(),
        ["1 until 19999 ms"]
    );
}
