//! The combiners that ferrobeam brings: whatever way values take through accumulators, the result is the same.

use std::cmp::Ordering;

use ferrobeam::dofn::{
    Count, Max, Mean, Min, Named, Natural, Numeric, Order, Sample, Sum, Top, TypeName,
};
use ferrobeam::element::{Nesting, decoded, encoded};
use ferrobeam::prelude::*;
use ferrobeam::testing::Random;
use serde::{Deserialize, Serialize};

/// Texts by their length, and those of a length by the alphabet.
#[derive(Serialize, Deserialize, Order)]
#[beam(name = "text.ByLength/v1")]
struct ByLength;

impl Order for ByLength {
    type Value = String;

    fn compare(&self, one: &String, other: &String) -> Ordering {
        one.len().cmp(&other.len()).then_with(|| one.cmp(other))
    }
}

/// Combines values in an order, in parts, and by merges that chance decides. Accumulators travel between merges.
fn combine<C: CombineFn>(combiner: &C, mut values: Vec<C::In>, random: &mut Random) -> C::Out {
    random.shuffle(&mut values);
    let mut parts: Vec<C::Acc> = (0..=random.below(8)).map(|_| combiner.zero()).collect();
    for value in values {
        let part = random.below(parts.len());
        combiner.add(&mut parts[part], value);
    }
    while parts.len() > 1 {
        let mut from = parts.swap_remove(random.below(parts.len()));
        combiner.compact(&mut from);
        let from = decoded(&encoded(&from, Nesting::Nested), Nesting::Nested).unwrap();
        let into = random.below(parts.len());
        combiner.merge(&mut parts[into], from);
    }
    combiner.finish(parts.remove(0))
}

/// Some numbers, of which some are there several times.
fn numbers(random: &mut Random) -> Vec<i64> {
    let count = random.below(60);
    (0..count).map(|_| random.below(40) as i64 - 20).collect()
}

fn texts(random: &mut Random) -> Vec<String> {
    let numbers = numbers(random).into_iter();
    numbers.map(|n| format!("{}", n * n * n)).collect()
}

#[test]
fn the_greatest_are_the_same_whatever_is_merged_with_what() {
    for seed in 0..300 {
        let random = &mut Random::new(seed);
        let count = random.below(12);
        let values = numbers(random);
        let mut sorted = values.clone();
        sorted.sort_unstable();
        let least: Vec<i64> = sorted.iter().copied().take(count).collect();
        let greatest: Vec<i64> = sorted.iter().rev().copied().take(count).collect();
        assert_eq!(combine(&Top::least(count), values.clone(), random), least);
        assert_eq!(combine(&Top::greatest(count), values, random), greatest);
    }
}

#[test]
fn an_order_of_the_users_says_what_is_greatest() {
    for seed in 0..100 {
        let random = &mut Random::new(seed);
        let count = random.below(12);
        let values = texts(random);
        let mut sorted = values.clone();
        sorted.sort_unstable_by(|one, other| ByLength.compare(other, one));
        sorted.truncate(count);
        let top = Top::greatest_by(count, ByLength);
        assert_eq!(combine(&top, values, random), sorted);
    }
}

#[test]
fn numbers_with_fractions_have_an_order_that_knows_all_of_them() {
    let values = vec![1.5, f64::NEG_INFINITY, f64::INFINITY, -0.0, 0.0];
    let random = &mut Random::new(0);
    let greatest = combine(&Top::greatest_by(2, Numeric), values.clone(), random);
    assert_eq!(greatest, [f64::INFINITY, 1.5]);
    let least = combine(&Top::least_by(3, Numeric), values, random);
    let bits = [f64::NEG_INFINITY, -0.0, 0.0].map(f64::to_bits);
    assert_eq!(
        least.into_iter().map(f64::to_bits).collect::<Vec<_>>(),
        bits
    );
}

#[test]
fn accumulators_hold_no_more_than_is_wanted() {
    let (top, sample) = (Top::greatest(3), Sample::of(3));
    let (mut best, mut some) = (top.zero(), sample.zero());
    for n in 0..1000i64 {
        top.add(&mut best, n);
        sample.add(&mut some, n);
        assert!(best.len() <= 6 && some.len() <= 6);
    }
    top.merge(&mut best, vec![7; 100]);
    top.compact(&mut best);
    sample.merge(&mut some, (0..100).map(|n| Kv(n, n)).collect());
    sample.compact(&mut some);
    assert_eq!((best.len(), some.len()), (3, 3));
}

#[test]
fn samples_are_some_of_the_values() {
    for seed in 0..300 {
        let random = &mut Random::new(seed);
        let count = random.below(12);
        let values = numbers(random);
        let mut left = values.clone();
        let sample = combine(&Sample::of(count), values, random);
        assert_eq!(sample.len(), count.min(left.len()));
        for value in sample {
            let at = left.iter().position(|&it| it == value);
            left.swap_remove(at.expect("no value is in a sample more often than in what it is of"));
        }
    }
}

#[test]
fn tuples_have_the_results_of_their_parts() {
    for seed in 0..100 {
        let random = &mut Random::new(seed);
        let values = numbers(random);
        let (count, sum) = (values.len() as i64, values.iter().sum::<i64>());
        let least = values.iter().copied().min().unwrap_or(i64::MAX);
        let greatest = values.iter().copied().max().unwrap_or(i64::MIN);
        let two = (Count::new(), Sum::<i64>::new());
        assert_eq!(combine(&two, values.clone(), random), Kv(count, sum));
        let three = (Count::new(), Min::<i64>::new(), Max::<i64>::new());
        assert_eq!(
            combine(&three, values.clone(), random),
            Kv(count, Kv(least, greatest))
        );
        let four = (
            Top::greatest(1),
            Sum::<i64>::new(),
            Sample::of(0),
            Count::new(),
        );
        let top = values.iter().copied().max().into_iter().collect();
        assert_eq!(
            combine(&four, values, random),
            Kv(top, Kv(sum, Kv(vec![], count)))
        );
    }
}

#[test]
fn composed_names_tell_their_parts() {
    assert_eq!(
        Top::<Natural<i64>>::NAME,
        "ferrobeam.Top.ferrobeam.Natural.i64.v1/v1"
    );
    assert_eq!(Top::<ByLength>::NAME, "ferrobeam.Top.text.ByLength.v1/v1");
    assert_eq!(Sample::<String>::NAME, "ferrobeam.Sample.String/v1");
    assert_eq!(
        <(Sum<i64>, Mean<i64>, Count<i64>)>::NAME,
        "ferrobeam.All.ferrobeam.Sum.i64.v1+ferrobeam.Mean.i64.v1+ferrobeam.Count.i64.v1/v1"
    );
    assert_eq!(<Vec<u8> as TypeName>::TYPE_NAME, "bytes");
}

#[test]
fn combiners_travel_with_what_they_are_told() {
    let there = serde_json::to_value(Top::greatest_by(2, ByLength)).unwrap();
    assert_eq!(
        there.to_string(),
        r#"{"count":2,"least":false,"order":null}"#
    );
    let top: Top<ByLength> = serde_json::from_value(there).unwrap();
    let values = ["a", "ccc", "bb"].map(str::to_owned).to_vec();
    let random = &mut Random::new(0);
    assert_eq!(combine(&top, values, random), ["ccc", "bb"]);
    let all = (Sample::<i64>::of(2), Top::<Natural<i64>>::least(1));
    let there = serde_json::to_value(&all).unwrap();
    assert_eq!(
        there.to_string(),
        r#"[{"count":2},{"count":1,"least":true,"order":null}]"#
    );
    let all: (Sample<i64>, Top<Natural<i64>>) = serde_json::from_value(there).unwrap();
    let Kv(sample, least) = combine(&all, vec![5, 5, 5], random);
    assert_eq!((sample, least), (vec![5, 5], vec![5]));
}
