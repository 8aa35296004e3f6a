//! Chains of closures, and combiners.

use ferrobeam::dofn::{Merge, Named, Plain, Sum};
use ferrobeam::prelude::*;
use ferrobeam::testing::DoFnTester;
use serde::{Deserialize, Serialize};

use crate::{ms, text};

fn long_words() -> Steps<String, impl Step<String, Out = i64>> {
    steps("text.long_words/v1")
        .flat_map(|line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .filter(|word| word.len() > 1)
        .try_map(|word| {
            word.parse::<i64>()
                .map_err(|e| Error::user(format!("{word:?} is no number")).because(e))
        })
        .map(|n| n * 2)
}

#[test]
fn closures_are_one_function() {
    assert_eq!(long_words().name(), "text.long_words/v1");
    let mut tester = DoFnTester::of(long_words()).at(ms(5));
    let out = tester.run(text(["12 3 45", "6", "78"])).unwrap();
    assert_eq!(out.timestamped(), [(ms(5), 24), (ms(5), 90), (ms(5), 156)]);
}

#[test]
fn the_first_error_of_a_chain_fails_the_bundle() {
    let error = DoFnTester::of(long_words())
        .run(text(["12 no nono 34"]))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"no\" is no number: invalid digit found in string"
    );
}

/// The union of sets of up to 64 numbers.
#[derive(Serialize, Deserialize, CombineFn)]
#[beam(name = "sets.Union/v1")]
struct Union;

impl Merge for Union {
    type Value = i64;

    fn identity(&self) -> i64 {
        0
    }

    fn merge(&self, into: &mut i64, from: i64) {
        *into |= from;
    }
}

/// Combines values in two parts, as runners do.
fn combine<C: CombineFn>(combiner: &C, values: [C::In; 4]) -> C::Out {
    let (mut left, mut right) = (combiner.zero(), combiner.zero());
    let [a, b, c, d] = values;
    combiner.add(&mut left, a);
    combiner.add(&mut left, b);
    combiner.add(&mut right, c);
    combiner.add(&mut right, d);
    combiner.compact(&mut right);
    combiner.merge(&mut left, right);
    combiner.finish(left)
}

#[test]
fn combiners() {
    assert_eq!(
        combine(&Sum::<i64>::new(), [1, 2, 3, i64::MAX]),
        i64::MIN + 5
    );
    assert_eq!(combine(&Plain(Union), [1, 2, 2, 8]), 11);
    assert_eq!(Plain::<Union>::NAME, "sets.Union/v1");
}
