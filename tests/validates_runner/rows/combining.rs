//! Combining.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use ferrobeam::dofn::{Count, Max, Mean, Natural, Order, Sample, Step, Steps, Sum, Top, steps};
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::window::{SessionWindows, WindowFn};
use serde::{Deserialize, Serialize};

use super::functions::{Range, interval, key_by_parity, pair, timed};
use super::rows;
use crate::behaviour::How;
use crate::case::Case;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs combine_global_sum,
    Runs combine_global_empty_default,
    Runs combine_global_mean,
    Runs combine_global_top,
    Runs combine_global_sample,
    Runs combine_per_key_lifted,
    Runs combine_per_key_not_lifted,
    Runs combine_sessions,
    Runs combine_accumulator_type,
    Runs combine_tuple,
    Runs combine_lifting_eviction,
];

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add_combine::<Longest>()
        .add_combine::<Top<ByLastDigit>>()
        .add_combine::<AllOf>()
        .add_steps(how_many)
        .add_steps(told_apart)
        .add_steps(add_up)
        .add_steps(is_sum);
}

fn combine_global_sum(case: &mut Case) {
    let numbers = case.p.create("Numbers", 0..1000i64);
    case.expect(&numbers.combine_globally("Sum", Sum::<i64>::new()))
        .contains_in_any_order([499_500]);
}

fn combine_global_empty_default(case: &mut Case) {
    let none = case.p.create("None", Vec::<i64>::new());
    case.expect(&none.combine_globally("Sum", Sum::<i64>::new()))
        .contains_in_any_order([0]);
    case.expect(&none.combine_globally("Max", Max::<i64>::new()))
        .contains_in_any_order([i64::MIN]);
    case.expect(&none.count_globally("Count"))
        .contains_in_any_order([0]);
}

fn combine_global_mean(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64, 2, 3, 4, 0, 5]);
    case.expect(&numbers.combine_globally("Mean", Mean::<i64>::new()))
        .contains_in_any_order([2.5]);
}

/// Numbers by their last digit, and those with the same one by what they are.
#[derive(Serialize, Deserialize, Order)]
#[beam(name = "vr.ByLastDigit/v1")]
struct ByLastDigit;

impl Order for ByLastDigit {
    type Value = i64;

    fn compare(&self, one: &i64, other: &i64) -> Ordering {
        (one % 10, one).cmp(&(other % 10, other))
    }
}

fn combine_global_top(case: &mut Case) {
    let numbers = case.p.create("Numbers", 0..1000i64);
    case.expect(&numbers.combine_globally("Greatest", Top::greatest(3)))
        .contains_in_any_order([vec![999, 998, 997]]);
    case.expect(&numbers.combine_globally("Least", Top::least(2)))
        .contains_in_any_order([vec![0, 1]]);
    let by_digit = Top::greatest_by(2, ByLastDigit);
    case.expect(&numbers.combine_globally("By digit", by_digit))
        .contains_in_any_order([vec![999, 989]]);
    let pairs = numbers.steps("Parity", key_by_parity());
    case.expect(&pairs.combine_per_key("Of each", Top::greatest(2)))
        .contains_in_any_order([pair("even", vec![998, 996]), pair("odd", vec![999, 997])]);
}

/// How many values a sample has, how many of them differ, and whether all are of the thousand numbers.
type HowMany = Kv<Kv<i64, i64>, bool>;

fn how_many() -> Steps<Vec<i64>, impl Step<Vec<i64>, Out = HowMany>> {
    steps("vr.how_many/v1").map(|sample: Vec<i64>| {
        let known = sample.iter().all(|n| (0..1000).contains(n));
        let differ: BTreeSet<&i64> = sample.iter().collect();
        Kv(Kv(sample.len() as i64, differ.len() as i64), known)
    })
}

fn combine_global_sample(case: &mut Case) {
    let numbers = case.p.create("Numbers", 0..1000i64);
    let sample = numbers.combine_globally("Some", Sample::of(100));
    case.expect(&sample.steps("How many", how_many()))
        .contains_in_any_order([Kv(Kv(100, 100), true)]);
    let few = case.p.create("Few", [7i64, 7]);
    case.expect(&few.combine_globally("All", Sample::of(100)))
        .contains_in_any_order([vec![7, 7]]);
}

const VALUES: i64 = 1_000_000;
const KEYS: i64 = 1000;

/// Whether the sum of a key is that of all its numbers below a million.
fn is_sum() -> Steps<Kv<i64, i64>, impl Step<Kv<i64, i64>, Out = bool>> {
    steps("vr.is_sum/v1").map(|Kv(key, sum): Kv<i64, i64>| {
        let each = VALUES / KEYS;
        sum == each * key + KEYS * each * (each - 1) / 2
    })
}

type Group = Kv<i64, Iter<i64>>;

fn add_up() -> Steps<Group, impl Step<Group, Out = Kv<i64, i64>>> {
    steps("vr.add_up/v1")
        .try_map(|Kv(key, values): Group| Ok(Kv(key, values.iter().sum::<Result<i64>>()?)))
}

fn combine_per_key_lifted(case: &mut Case) {
    let pairs = case
        .p
        .create("Count", [VALUES])
        .par_do("Range", Range { keys: KEYS });
    let sums = pairs.combine_per_key("Sum", Sum::<i64>::new());
    let right = sums.steps("Is sum", is_sum());
    case.expect(&right.count_per_element("Count right"))
        .contains_in_any_order([Kv(true, KEYS)]);
}

fn combine_per_key_not_lifted(case: &mut Case) {
    let pairs = case
        .p
        .create("Count", [VALUES])
        .par_do("Range", Range { keys: KEYS });
    let sums = pairs.group_by_key("Group").steps("Add up", add_up());
    let right = sums.steps("Is sum", is_sum());
    case.expect(&right.count_per_element("Count right"))
        .contains_in_any_order([Kv(true, KEYS)]);
}

fn combine_sessions(case: &mut Case) {
    let numbers = case
        .p
        .create_timestamped("Numbers", timed([-7, -3, 4, 13, 20]));
    let sessions = numbers.window_into("Sessions", WindowFn::Session(SessionWindows { gap: 5 }));
    let pairs = sessions.steps("Parity", key_by_parity());
    case.expect(&pairs.combine_per_key("Sum", Sum::<i64>::new()))
        .contains_in([
            (interval(-7, 2), pair("odd", -10)),
            (interval(4, 9), pair("even", 4)),
            (interval(13, 18), pair("odd", 13)),
            (interval(20, 25), pair("even", 20)),
        ]);
}

/// The longest text and how many there were; the first in the alphabet, if several are the longest.
#[derive(Serialize, Deserialize, CombineFn)]
#[beam(name = "vr.Longest/v1")]
struct Longest;

impl CombineFn for Longest {
    type In = String;
    type Acc = Kv<i64, Vec<String>>;
    type Out = Option<String>;

    fn zero(&self) -> Self::Acc {
        Kv(0, Vec::new())
    }

    fn add(&self, acc: &mut Self::Acc, text: String) {
        self.merge(acc, Kv(1, vec![text]));
    }

    fn merge(&self, into: &mut Self::Acc, from: Self::Acc) {
        into.0 += from.0;
        into.1.extend(from.1);
    }

    fn compact(&self, acc: &mut Self::Acc) {
        acc.1
            .sort_by_key(|text| (std::cmp::Reverse(text.len()), text.clone()));
        acc.1.truncate(1);
    }

    fn finish(&self, mut acc: Self::Acc) -> Option<String> {
        self.compact(&mut acc);
        acc.1.pop().map(|text| format!("{text} of {}", acc.0))
    }
}

fn combine_accumulator_type(case: &mut Case) {
    let texts = ["to", "that", "be", "this", "or"].map(String::from);
    let texts = case.p.create("Texts", texts);
    case.expect(&texts.combine_globally("Longest", Longest))
        .contains_in_any_order([Some("that of 5".to_owned())]);
}

type AllOf = (Count<i64>, Sum<i64>, Mean<i64>, Top<Natural<i64>>);
type AllOfResults = Kv<i64, Kv<i64, Kv<f64, Vec<i64>>>>;

/// Numbers with fractions are compared as text.
fn told_apart() -> Steps<Kv<String, AllOfResults>, impl Step<Kv<String, AllOfResults>, Out = String>>
{
    steps("vr.told_apart/v1").map(|Kv(key, all): Kv<String, AllOfResults>| {
        let Kv(count, Kv(sum, Kv(mean, greatest))) = all;
        format!("{key}: {count} of {sum}, {mean} each, {greatest:?}")
    })
}

fn combine_tuple(case: &mut Case) {
    let numbers = case.p.create("Numbers", 0..1000i64);
    let all: AllOf = (Count::new(), Sum::new(), Mean::new(), Top::greatest(2));
    let results = numbers
        .steps("Parity", key_by_parity())
        .combine_per_key("All", all);
    let told = [
        "even: 500 of 249500, 499 each, [998, 996]",
        "odd: 500 of 250000, 500 each, [999, 997]",
    ];
    case.expect(&results.steps("Tell", told_apart()))
        .contains_in_any_order(told.map(str::to_owned));
}

fn combine_lifting_eviction(case: &mut Case) {
    // Far more keys than a bundle keeps partial results of.
    const MANY: i64 = 300_000;
    let pairs = case
        .p
        .create("Count", [2 * MANY])
        .par_do("Range", Range { keys: MANY });
    let sums = pairs.combine_per_key("Sum", Sum::<i64>::new());
    case.expect(
        &sums
            .values("Sums")
            .combine_globally("Total", Sum::<i64>::new()),
    )
    .contains_in_any_order([MANY * (2 * MANY - 1)]);
    case.expect(&sums.count_globally("Count sums"))
        .contains_in_any_order([MANY]);
}
