//! Splittable functions on the bench.

use std::time::Duration;

use ferrobeam::prelude::*;
use ferrobeam::testing::SplittableTester;
use ferrobeam::window::{IntervalWindow, SlidingWindows, WindowFn};
use serde::{Deserialize, Serialize};

use crate::ms;

/// Reads a feed of a few entries at a time, which may never end.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "bench.Feed/v1")]
struct Feed {
    end: i64,
}

#[derive(Ports)]
struct FeedIo {
    entries: Out<Kv<i64, i64>>,
    window: InWindow<IntervalWindow>,
    factor: Side<Single<i64>>,
    read: Counter,
}

impl Splittable for Feed {
    type In = i64;
    type Tracker = OffsetTracker;
    type Watermark = Manual;
    type Io = FeedIo;

    fn initial(&self, first: &i64) -> Result<OffsetRange> {
        Ok(OffsetRange::new(*first, self.end))
    }

    fn split(&self, _: &i64, all: OffsetRange) -> Result<Vec<OffsetRange>> {
        Ok(all.in_parts(2))
    }

    fn process(
        &mut self,
        _: &i64,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        io: &mut FeedIo,
    ) -> Result<Resume> {
        let window = io.window.get()?.start.millis();
        let start = claims.restriction().start;
        for next in start..start + 3 {
            if !claims.claim(next) {
                return Ok(Resume::Done);
            }
            io.read.inc();
            let factor = *io.factor.get()?;
            io.entries.emit(cx, Kv(window, next * factor));
            claims.advance_watermark(ms(next));
        }
        Ok(Resume::After(Duration::from_millis(10)))
    }
}

fn feed(end: i64) -> SplittableTester<Feed> {
    let two = SlidingWindows::of(Duration::from_millis(20), Duration::from_millis(10));
    SplittableTester::of(Feed { end })
        .in_windows(WindowFn::Sliding(two))
        .at(ms(0))
        .sides(FeedIoSides { factor: vec![100] })
}

#[test]
fn each_window_gets_all_and_what_is_left_is_resumed() {
    let mut tester = feed(8);
    let mut entries = tester.run([0]).unwrap().entries.values();
    entries.sort();
    let all = |window| (0..8).map(move |n| Kv(window, n * 100));
    let expected: Vec<_> = all(-10).chain(all(0)).collect();
    assert_eq!(entries, expected);
    assert_eq!(tester.counter("read"), Some(16));
    // Two parts of four in two windows: after three of each, one is left.
    assert_eq!(tester.resumed(), 4);
    assert_eq!(tester.waited(), Duration::from_millis(10));
    assert_eq!(tester.watermark(), ms(6));
}

#[test]
fn draining_keeps_what_ends() {
    let mut ends = feed(4);
    assert_eq!(ends.draining().run([0]).unwrap().entries.values().len(), 8);
    let mut goes_on = feed(i64::MAX);
    assert_eq!(goes_on.draining().run([0]).unwrap().entries.values(), []);
}

#[test]
fn parts_and_cuts_can_be_asked_for() {
    let tester = feed(8);
    let parts = tester.parts(&0).unwrap();
    let (first, second) = (OffsetRange::new(0, 4), OffsetRange::new(4, 8));
    assert_eq!(parts, [(first, 4.0), (second, 4.0)]);
    let halves = tester.split_at(&0, second, 0.5).unwrap();
    assert_eq!(
        halves,
        Some((OffsetRange::new(4, 6), OffsetRange::new(6, 8)))
    );
    assert_eq!(
        tester.split_at(&0, OffsetRange::new(4, 4), 0.0).unwrap(),
        None
    );
}

#[test]
fn forgotten_sides_are_named() {
    let error = SplittableTester::of(Feed { end: 1 }).run([0]).unwrap_err();
    assert!(error.to_string().contains("\"factor\""), "{error}");
}

/// Does something wrong.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "bench.Wrong/v1")]
struct Wrong {
    claims: Vec<i64>,
}

impl Splittable for Wrong {
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
        for position in &self.claims {
            let _claimed = claims.claim(*position);
        }
        Ok(Resume::Done)
    }
}

#[test]
fn wrong_claims_are_named() {
    for (claims, expected) in [
        (vec![0, 5], "left unclaimed in [0, 10)"),
        (vec![5, 4], "offset 4 is claimed of [0, 10) after 5"),
        (vec![-1], "offset -1 is claimed of [0, 10)"),
    ] {
        let mut tester = SplittableTester::of(Wrong { claims });
        let error = tester.run([10]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let again = tester.run([10]).unwrap_err().to_string();
        assert!(again.contains("make a new tester"), "{again}");
    }
}
