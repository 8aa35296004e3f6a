//! Joins, and the timestamps of groups.

use std::num::NonZeroU32;

use ferrobeam::dofn::{Step, Steps, Sum, steps};
use ferrobeam::exec::Registry;
use ferrobeam::pipeline::{Joined2, Joined3, TimestampCombiner, Windowing};
use ferrobeam::prelude::*;
use ferrobeam::window::{FixedWindows, WindowFn};

use super::functions::{at, group_size, interval, pair};
use super::rows;
use crate::behaviour::How;
use crate::case::Case;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs gbk_output_timestamp_end,
    Runs gbk_output_timestamp_earliest,
    Runs gbk_output_timestamp_latest,
    Runs cogbk_two,
    Runs cogbk_three,
    Runs combine_hot_key,
];

pub(crate) fn register(registry: &mut Registry) {
    registry.add_steps(show_two).add_steps(show_three);
}

type Two = Joined2<String, i64, String>;
type Three = Joined3<String, i64, String, i64>;

fn sorted<T: Element + Ord + std::fmt::Debug>(values: &Iter<T>) -> Result<String> {
    let mut values = values.to_vec()?;
    values.sort();
    Ok(format!("{values:?}"))
}

/// A key and what two collections hold for it.
fn show_two() -> Steps<Two, impl Step<Two, Out = String>> {
    steps("vr.show_two/v1")
        .try_map(|Kv(key, Kv(a, b)): Two| Ok(format!("{key}: {} {}", sorted(&a)?, sorted(&b)?)))
}

/// A key and what three collections hold for it.
fn show_three() -> Steps<Three, impl Step<Three, Out = String>> {
    steps("vr.show_three/v1").try_map(|Kv(key, Kv(a, Kv(b, c))): Three| {
        let (a, b, c) = (sorted(&a)?, sorted(&b)?, sorted(&c)?);
        Ok(format!("{key}: {a} {b} {c}"))
    })
}

fn grouped_at(case: &mut Case, timestamps: TimestampCombiner, time: i64) {
    let pairs = [3, 7, 5].map(|n| (at(n), Kv(1i64, n)));
    let windowing = Windowing::by(WindowFn::Fixed(FixedWindows {
        size: 10,
        offset: 0,
    }));
    let groups = case
        .p
        .create_timestamped("Pairs", pairs)
        .window_into("Fixed", windowing.timestamps(timestamps))
        .group_by_key("Group")
        .steps("Size", group_size());
    case.expect(&groups)
        .contains_in_at([(interval(0, 10), at(time), Kv(1, Kv(3, 15)))]);
}

fn gbk_output_timestamp_end(case: &mut Case) {
    grouped_at(case, TimestampCombiner::EndOfWindow, 9);
}

fn gbk_output_timestamp_earliest(case: &mut Case) {
    grouped_at(case, TimestampCombiner::Earliest, 3);
}

fn gbk_output_timestamp_latest(case: &mut Case) {
    grouped_at(case, TimestampCombiner::Latest, 7);
}

fn cogbk_two(case: &mut Case) {
    let one = [pair("a", 1i64), pair("a", 2), pair("b", 3)];
    let one = case.p.create("One", one);
    let two = [pair("a", "x".to_owned()), pair("c", "y".to_owned())];
    let two = case.p.create("Two", two);
    let joined = one.join("Join", &two).steps("Show", show_two());
    let lines = ["a: [1, 2] [\"x\"]", "b: [3] []", "c: [] [\"y\"]"];
    case.expect(&joined)
        .contains_in_any_order(lines.map(str::to_owned));
}

fn cogbk_three(case: &mut Case) {
    let one = case.p.create("One", [pair("a", 1i64)]);
    let two = case.p.create("Two", [pair("b", "x".to_owned())]);
    let three = case.p.create("Three", [pair("a", 5i64), pair("b", 6)]);
    let joined = one.join3("Join", &two, &three).steps("Show", show_three());
    let lines = ["a: [1] [] [5]", "b: [] [\"x\"] [6]"];
    case.expect(&joined)
        .contains_in_any_order(lines.map(str::to_owned));
}

fn combine_hot_key(case: &mut Case) {
    let numbers = (0..1000i64).map(|n| pair(if n % 10 == 0 { "cold" } else { "hot" }, n));
    let numbers = case.p.create("Numbers", numbers);
    let shards = NonZeroU32::new(7).unwrap();
    let sums = numbers.combine_hot_keys("Sum", Sum::<i64>::new(), shards);
    case.expect(&sums)
        .contains_in_any_order([pair("cold", 49_500), pair("hot", 450_000)]);
}
