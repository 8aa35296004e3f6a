//! Windows and triggers.

use ferrobeam::prelude::*;
use ferrobeam::window::{FixedWindows, GlobalWindow, SessionWindows, SlidingWindows, WindowFn};

use super::functions::{at, interval, timed};
use super::rows;
use crate::behaviour::How;
use crate::case::Case;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs window_fixed_offset,
    Runs window_sliding_period,
    Runs window_session_gap,
    Runs window_global,
    Runs window_reassign,
];

fn window_fixed_offset(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([-8, -7, 2, 3]));
    let fixed = WindowFn::Fixed(FixedWindows {
        size: 10,
        offset: 3,
    });
    case.expect(&numbers.window_into("Fixed", fixed))
        .contains_in([
            (interval(-17, -7), -8),
            (interval(-7, 3), -7),
            (interval(-7, 3), 2),
            (interval(3, 13), 3),
        ]);
}

fn window_sliding_period(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([-1, 6]));
    let sliding = WindowFn::Sliding(SlidingWindows {
        size: 10,
        period: 5,
        offset: 1,
    });
    case.expect(&numbers.window_into("Sliding", sliding))
        .contains_in([
            (interval(-9, 1), -1),
            (interval(-4, 6), -1),
            (interval(1, 11), 6),
            (interval(6, 16), 6),
        ]);
}

fn window_session_gap(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([0, 4, 9, 14]));
    let sessions = WindowFn::Session(SessionWindows { gap: 5 });
    let counted = numbers
        .window_into("Sessions", sessions)
        .count_globally("Count");
    // A session ends when nothing came for the whole gap.
    case.expect(&counted).contains_in([
        (interval(0, 9), 2),
        (interval(9, 14), 1),
        (interval(14, 19), 1),
    ]);
}

fn window_global(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([-1, 6]));
    let fixed = numbers.window_into(
        "Fixed",
        WindowFn::Fixed(FixedWindows {
            size: 10,
            offset: 0,
        }),
    );
    case.expect(&fixed.window_into("Global", WindowFn::Global))
        .contains_in_at([(GlobalWindow, at(-1), -1), (GlobalWindow, at(6), 6)]);
}

fn window_reassign(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([1, 12]));
    let fixed = |size| WindowFn::Fixed(FixedWindows { size, offset: 0 });
    let first = numbers.window_into("Fixed", fixed(10));
    let counts = first.count_per_element("Count");
    let global = counts.window_into("Global", WindowFn::Global);
    // Groups are at the ends of their windows.
    let again = global.window_into("Fixed again", fixed(15));
    case.expect(&again).contains_in_at([
        (interval(0, 15), at(9), Kv(1, 1)),
        (interval(15, 30), at(19), Kv(12, 1)),
    ]);
}
