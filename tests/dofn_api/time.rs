//! Timestamps and windows of what is emitted.

use std::time::Duration;

use ferrobeam::ErrorKind;
use ferrobeam::element::Pane;
use ferrobeam::prelude::*;
use ferrobeam::testing::{DoFnTester, Timed, assert_in_any_order};
use ferrobeam::window::{IntervalWindow, SlidingWindows, Window, WindowFn};

use crate::{ms, text};

/// Emits `shift` ms after, or before, its input.
struct Shift(i64);

impl DoFn for Shift {
    type In = String;
    type Io = Out<String>;
    const ALLOWED_TIMESTAMP_SKEW: Duration = Duration::from_millis(100);

    fn process(&mut self, value: String, cx: &mut Cx<'_>, out: &mut Out<String>) -> Result {
        let timestamp = ms(cx.timestamp().millis() + self.0);
        out.emit_at(cx, timestamp, value);
        Ok(())
    }
}

#[test]
fn outputs_may_be_early_within_the_allowed_skew() {
    for shift in [-100, 0, 5] {
        let out = DoFnTester::of(Shift(shift))
            .run_at([(ms(1000), "a".into()), (ms(2000), "b".into())])
            .unwrap();
        assert_eq!(
            out.timestamped(),
            [
                (ms(1000 + shift), "a".to_owned()),
                (ms(2000 + shift), "b".to_owned())
            ]
        );
    }
    let mut tester = DoFnTester::of(Shift(-101)).at(ms(1000));
    let error = tester.run(text(["a"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert_eq!(
        error.message(),
        format!(
            "an output at {} is earlier than its input at {} less the allowed skew of 100 ms; emit at the input's \
             time or later, or raise ALLOWED_TIMESTAMP_SKEW",
            ms(899),
            ms(1000)
        )
    );
}

/// Counts the elements of each window, and says so at the end of the bundle.
#[derive(Default)]
struct PerWindow {
    counts: Vec<(IntervalWindow, i64)>,
}

#[derive(Ports)]
struct PerWindowIo {
    each: Out<String>,
    counts: Out<i64>,
    window: InWindow<IntervalWindow>,
}

impl DoFn for PerWindow {
    type In = String;
    type Io = PerWindowIo;

    fn start_bundle(&mut self, _io: &mut PerWindowIo) -> Result {
        self.counts.clear();
        Ok(())
    }

    fn process(&mut self, value: String, cx: &mut Cx<'_>, io: &mut PerWindowIo) -> Result {
        let window = *io.window.get()?;
        match self.counts.iter_mut().find(|(seen, _)| *seen == window) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((window, 1)),
        }
        io.each.emit(cx, value);
        Ok(())
    }

    fn finish_bundle(&mut self, cx: &mut BundleCx, io: &mut PerWindowIo) -> Result {
        for (window, count) in self.counts.drain(..) {
            io.counts
                .emit_in(cx, &window, window.max_timestamp(), count);
        }
        Ok(())
    }
}

#[test]
fn functions_that_look_at_windows_run_once_for_each() {
    let sliding = SlidingWindows::of(Duration::from_secs(10), Duration::from_secs(5));
    let mut tester = DoFnTester::of(PerWindow::default()).in_windows(WindowFn::Sliding(sliding));
    let out = tester
        .run_at([(ms(1_000), "a".into()), (ms(7_000), "b".into())])
        .unwrap();

    let early = IntervalWindow::from_millis(-5_000, 5_000);
    let middle = IntervalWindow::from_millis(0, 10_000);
    let late = IntervalWindow::from_millis(5_000, 15_000);
    let in_one = |timed: &Timed<String>| {
        let windows = timed.windows::<IntervalWindow>().unwrap();
        assert_eq!(windows.len(), 1);
        (timed.value.clone(), windows[0])
    };
    assert_in_any_order(
        out.each.elements().iter().map(in_one),
        [
            ("a".to_owned(), early),
            ("a".to_owned(), middle),
            ("b".to_owned(), middle),
            ("b".to_owned(), late),
        ],
    );
    let counts = out.counts.elements();
    let counted = counts.iter().map(|timed| {
        let windows = timed.windows::<IntervalWindow>().unwrap();
        (windows, timed.timestamp(), timed.value)
    });
    assert_in_any_order(
        counted,
        [
            (vec![early], ms(4_999), 1),
            (vec![middle], ms(9_999), 2),
            (vec![late], ms(14_999), 1),
        ],
    );
}

#[test]
fn functions_that_do_not_look_at_windows_run_once() {
    let sliding = SlidingWindows::of(Duration::from_secs(10), Duration::from_secs(5));
    let late = Pane {
        first: false,
        index: 3,
        ..Pane::NO_FIRING
    };
    let out = DoFnTester::of(Shift(0))
        .in_windows(WindowFn::Sliding(sliding))
        .in_pane(late)
        .at(ms(7_000))
        .run(text(["a"]))
        .unwrap()
        .elements();
    assert_eq!(out.len(), 1);
    assert_eq!(
        out[0].windows::<IntervalWindow>().unwrap(),
        [
            IntervalWindow::from_millis(5_000, 15_000),
            IntervalWindow::from_millis(0, 10_000),
        ]
    );
    assert_eq!(out[0].timestamp(), ms(7_000));
    assert_eq!(out[0].header.pane, late);
}

#[test]
fn windows_of_the_wrong_kind() {
    let error = DoFnTester::of(PerWindow::default()).run([]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the function looks at windows of ferrobeam::window::types::IntervalWindow, but the elements are in windows of \
         global_window; choose with DoFnTester::in_windows"
    );
}
