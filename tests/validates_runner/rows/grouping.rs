//! Grouping by key, and flattening.

use ferrobeam::dofn::{Step, Steps, steps};
use ferrobeam::element::{Pane, Timing};
use ferrobeam::exec::Registry;
use ferrobeam::pipeline::Pipeline;
use ferrobeam::prelude::*;
use ferrobeam::window::{FixedWindows, SessionWindows, SlidingWindows, WindowFn};

use super::functions::{Item, Range, group_size, interval, key_by_parity, pair, plus_one, timed};
use super::rows;
use crate::behaviour::How;
use crate::case::Case;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs gbk_basic,
    Runs gbk_empty,
    Runs gbk_single_key,
    Runs gbk_100k_keys,
    Runs gbk_null_like_keys,
    Alone gbk_float_key_refused,
    Runs gbk_row_key,
    Runs gbk_nested_kv_key,
    Runs gbk_reiterate,
    Runs gbk_large_value_list,
    Runs gbk_fixed,
    Runs gbk_sliding,
    Runs gbk_sessions,
    Runs gbk_windowed_pane,
    Runs flatten_two,
    Runs flatten_same_twice,
    Runs flatten_empty,
    Runs flatten_none,
    Alone flatten_with_different_windows_refused,
];

pub(crate) fn register(registry: &mut Registry) {
    registry.add_steps(twice).add_steps(is_whole);
}

fn gbk_basic(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64, 2, 3, 1]);
    let grouped = numbers
        .steps("Parity", key_by_parity())
        .group_by_key("Group");
    case.expect_groups(&grouped)
        .contains_in_any_order([pair("odd", vec![1, 1, 3]), pair("even", vec![2])]);
}

fn gbk_empty(case: &mut Case) {
    let none = case.p.create("None", Vec::<Kv<i64, i64>>::new());
    case.expect_groups(&none.group_by_key("Group")).is_empty();
}

fn gbk_single_key(case: &mut Case) {
    let pairs = case.p.create("Pairs", (0..100i64).map(|n| Kv(7i64, n)));
    case.expect_groups(&pairs.group_by_key("Group"))
        .contains_in_any_order([Kv(7, (0..100).collect())]);
}

fn gbk_100k_keys(case: &mut Case) {
    let pairs = case
        .p
        .create("Count", [200_000i64])
        .par_do("Range", Range { keys: 100_000 });
    let sizes = pairs.group_by_key("Group").steps("Size", group_size());
    let whole = sizes.steps("Is whole", is_whole());
    case.expect(&whole.count_per_element("Count whole"))
        .contains_in_any_order([Kv(true, 100_000)]);
}

type Size = Kv<i64, Kv<i64, i64>>;

/// Whether a key of 100 000 has both its values.
fn is_whole() -> Steps<Size, impl Step<Size, Out = bool>> {
    steps("vr.is_whole/v1")
        .map(|Kv(key, Kv(count, sum)): Size| count == 2 && sum == 2 * key + 100_000)
}

fn gbk_null_like_keys(case: &mut Case) {
    let texts = case
        .p
        .create("Texts", [pair("", 1i64), pair("\0", 2), pair("", 3)]);
    case.expect_groups(&texts.group_by_key("Group texts"))
        .contains_in_any_order([pair("", vec![1, 3]), pair("\0", vec![2])]);
    let units = case.p.create("Units", [Kv((), 1i64), Kv((), 2)]);
    case.expect_groups(&units.group_by_key("Group units"))
        .contains_in_any_order([Kv((), vec![1, 2])]);
    let bytes = case
        .p
        .create("Bytes", [Kv(vec![], 1i64), Kv(vec![0u8], 2), Kv(vec![], 3)]);
    case.expect_groups(&bytes.group_by_key("Group bytes"))
        .contains_in_any_order([Kv(vec![], vec![1, 3]), Kv(vec![0], vec![2])]);
    let options = case
        .p
        .create("Options", [Kv(None, 1i64), Kv(Some(0i64), 2), Kv(None, 3)]);
    case.expect_groups(&options.group_by_key("Group options"))
        .contains_in_any_order([Kv(None, vec![1, 3]), Kv(Some(0), vec![2])]);
}

fn gbk_float_key_refused() {
    let p = Pipeline::new();
    p.create("Pairs", [Kv(0.5, 1i64)]).group_by_key("Group");
    let error = p.check().unwrap_err().to_string();
    assert!(error.contains("cannot be grouped"), "{error}");
}

fn gbk_row_key(case: &mut Case) {
    let pairs = [("a", 1, 10i64), ("b", 2, 20), ("a", 1, 11), ("a", 2, 12)];
    let pairs = case.p.create(
        "Pairs",
        pairs.map(|(name, count, n)| Kv(Key::new(name, count), n)),
    );
    case.expect_groups(&pairs.group_by_key("Group"))
        .contains_in_any_order([
            Kv(Key::new("a", 1), vec![10, 11]),
            Kv(Key::new("b", 2), vec![20]),
            Kv(Key::new("a", 2), vec![12]),
        ]);
}

/// A row without fractions.
#[derive(Debug, Clone, PartialEq, ferrobeam::Row)]
struct Key {
    name: String,
    count: i64,
}

impl Key {
    fn new(name: &str, count: i64) -> Self {
        Key {
            name: name.into(),
            count,
        }
    }
}

fn gbk_nested_kv_key(case: &mut Case) {
    let pairs = [("a", 1i64, 10i64), ("a", 2, 20), ("a", 1, 11)];
    let pairs = case
        .p
        .create("Pairs", pairs.map(|(k, l, n)| Kv(pair(k, l), n)));
    case.expect_groups(&pairs.group_by_key("Group"))
        .contains_in_any_order([Kv(pair("a", 1), vec![10, 11]), Kv(pair("a", 2), vec![20])]);
}

type Group = Kv<i64, Iter<i64>>;

/// The sums of two passes over the values.
fn twice() -> Steps<Group, impl Step<Group, Out = Kv<i64, i64>>> {
    steps("vr.twice/v1").try_map(|Kv(_, values): Group| {
        let sum = || values.iter().sum::<Result<i64>>();
        Ok(Kv(sum()?, sum()?))
    })
}

fn gbk_reiterate(case: &mut Case) {
    let pairs = case
        .p
        .create("Count", [1000i64])
        .par_do("Range", Range { keys: 1 });
    let sums = pairs.group_by_key("Group").steps("Twice", twice());
    case.expect(&sums)
        .contains_in_any_order([Kv(499_500, 499_500)]);
}

fn gbk_large_value_list(case: &mut Case) {
    let pairs = case
        .p
        .create("Count", [1_000_000i64])
        .par_do("Range", Range { keys: 1 });
    let sizes = pairs.group_by_key("Group").steps("Size", group_size());
    case.expect(&sizes)
        .contains_in_any_order([Kv(0, Kv(1_000_000, 499_999_500_000))]);
}

fn gbk_fixed(case: &mut Case) {
    let numbers = case
        .p
        .create_timestamped("Numbers", timed([-11, -10, -1, 0, 9, 10]));
    let fixed = numbers.window_into(
        "Fixed",
        WindowFn::Fixed(FixedWindows {
            size: 10,
            offset: 0,
        }),
    );
    let grouped = fixed.steps("Parity", key_by_parity()).group_by_key("Group");
    case.expect_groups(&grouped).contains_in([
        (interval(-20, -10), pair("odd", vec![-11])),
        (interval(-10, 0), pair("even", vec![-10])),
        (interval(-10, 0), pair("odd", vec![-1])),
        (interval(0, 10), pair("even", vec![0])),
        (interval(0, 10), pair("odd", vec![9])),
        (interval(10, 20), pair("even", vec![10])),
    ]);
}

fn gbk_sliding(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([-2, 2, 6]));
    let sliding = WindowFn::Sliding(SlidingWindows {
        size: 10,
        period: 5,
        offset: 0,
    });
    let windowed = numbers.window_into("Sliding", sliding);
    let grouped = windowed
        .steps("Parity", key_by_parity())
        .group_by_key("Group");
    case.expect_groups(&grouped).contains_in([
        (interval(-10, 0), pair("even", vec![-2])),
        (interval(-5, 5), pair("even", vec![-2, 2])),
        (interval(0, 10), pair("even", vec![2, 6])),
        (interval(5, 15), pair("even", vec![6])),
    ]);
}

fn gbk_sessions(case: &mut Case) {
    let numbers = case
        .p
        .create_timestamped("Numbers", timed([-7, -3, 4, 20, 13]));
    let sessions = numbers.window_into("Sessions", WindowFn::Session(SessionWindows { gap: 5 }));
    let grouped = sessions
        .steps("Parity", key_by_parity())
        .group_by_key("Group");
    case.expect_groups(&grouped).contains_in([
        (interval(-7, 2), pair("odd", vec![-7, -3])),
        (interval(4, 9), pair("even", vec![4])),
        (interval(20, 25), pair("even", vec![20])),
        (interval(13, 18), pair("odd", vec![13])),
    ]);
}

fn gbk_windowed_pane(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([1, 3, 13]));
    let fixed = numbers.window_into(
        "Fixed",
        WindowFn::Fixed(FixedWindows {
            size: 10,
            offset: 0,
        }),
    );
    let grouped = fixed.steps("Parity", key_by_parity()).group_by_key("Group");
    let pane = Pane {
        first: true,
        last: true,
        timing: Timing::OnTime,
        index: 0,
        non_speculative: 0,
    };
    case.expect_groups(&grouped).contains_in_panes([
        (interval(0, 10), pane, pair("odd", vec![1, 3])),
        (interval(10, 20), pane, pair("odd", vec![13])),
    ]);
}

fn flatten_two(case: &mut Case) {
    let one = case.p.create("One", [1i64, 2]);
    let two = case
        .p
        .create("Two", [2i64, 3])
        .steps("Plus one", plus_one());
    case.expect(&case.p.clone().flatten("Both", [one, two]))
        .contains_in_any_order([1, 2, 3, 4]);
}

fn flatten_same_twice(case: &mut Case) {
    let one = case.p.create("One", [Item::new("a", 1), Item::new("b", 2)]);
    let twice = case.p.flatten("Twice", [one.clone(), one]);
    case.expect(&twice).contains_in_any_order(
        ["a", "a", "b", "b"].map(|name| Item::new(name, if name == "a" { 1 } else { 2 })),
    );
}

fn flatten_empty(case: &mut Case) {
    let one = case.p.create("One", [1i64]);
    let none = case.p.create("None", Vec::<i64>::new());
    let both = case.p.flatten("Both", [one, none]);
    case.expect(&both).contains_in_any_order([1]);
}

fn flatten_none(case: &mut Case) {
    let nothing = case.p.flatten::<i64>("Nothing", []);
    case.expect(&nothing).is_empty();
}

fn flatten_with_different_windows_refused() {
    let p = Pipeline::new();
    let one = p.create("One", [1i64]);
    let two = one.window_into(
        "Fixed",
        WindowFn::Fixed(FixedWindows {
            size: 10,
            offset: 0,
        }),
    );
    p.flatten("Both", [one, two]);
    let error = p.check().unwrap_err().to_string();
    assert!(
        error.contains("collections with different windows cannot be flattened"),
        "{error}"
    );
}
