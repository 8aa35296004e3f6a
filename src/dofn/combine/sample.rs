//! A sample of many values.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::CombineFn;
use super::top::{is_full, keep_least};
use crate::dofn::named::{ComposedName, Named, TypeName};
use crate::element::{Element, Kv, NotAByte};

/// Some of the values, in any order: each set of so many values is as likely as any other. All values, if there are not
/// so many.
///
/// Each value gets a random number, and those with the least numbers are kept. However the values are spread over
/// accumulators, and however these are merged, all that counts is which numbers are the least of all: the sample of a
/// merged accumulator is as good as one that was taken of all values at once. (Bottom-k sampling: E. Cohen and H. Kaplan,
/// “Summarizing data using bottom-k sketches”, PODC 2007. The numbers are those of SplitMix64: G. Steele, D. Lea and
/// C. Flood, “Fast splittable pseudorandom number generators”, OOPSLA 2014.)
///
/// Numbers differ from run to run: a bundle that is tried again may have another sample.
///
/// Accumulators hold at most as many values as are wanted when they travel, and twice as many while values are added.
///
/// ```
/// use ferrobeam::dofn::{CombineFn, Sample};
///
/// let sample = Sample::of(3);
/// let mut acc = sample.zero();
/// for n in 0..1000i64 {
///     sample.add(&mut acc, n);
/// }
/// assert_eq!(sample.finish(acc).len(), 3);
/// ```
///
/// Registries know it for `i64`, `f64` and `String`; for other types with a [`TypeName`] it is registered by its type, as
/// in `registry.add_combine::<Sample<Order>>()`.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Sample<T> {
    count: usize,
    #[serde(skip)]
    numbers: Numbers,
    #[serde(skip)]
    values: PhantomData<fn() -> T>,
}

impl<T> Sample<T> {
    /// A sample of `count` values.
    pub fn of(count: usize) -> Self {
        Sample {
            count,
            numbers: Numbers::default(),
            values: PhantomData,
        }
    }
}

impl<T: TypeName> Sample<T> {
    const COMPOSED: &'static ComposedName =
        &ComposedName::of(&["ferrobeam.Sample.", T::TYPE_NAME, "/v1"]);
}

impl<T: TypeName> Named for Sample<T> {
    const NAME: &'static str = Self::COMPOSED.as_str();
}

impl<T: Element + NotAByte> CombineFn for Sample<T> {
    type In = T;
    /// The values, each with its number.
    type Acc = Vec<Kv<i64, T>>;
    type Out = Vec<T>;

    fn zero(&self) -> Self::Acc {
        Vec::new()
    }

    fn add(&self, acc: &mut Self::Acc, value: T) {
        acc.push(Kv(self.numbers.next(), value));
        if is_full(acc, self.count) {
            self.compact(acc);
        }
    }

    fn merge(&self, into: &mut Self::Acc, from: Self::Acc) {
        into.extend(from);
        if is_full(into, self.count) {
            self.compact(into);
        }
    }

    fn finish(&self, mut acc: Self::Acc) -> Vec<T> {
        self.compact(&mut acc);
        acc.into_iter().map(|Kv(_, value)| value).collect()
    }

    fn compact(&self, acc: &mut Self::Acc) {
        keep_least(acc, self.count, |one, other| one.0.cmp(&other.0));
    }
}

/// Random numbers: SplitMix64 from a random start, so that no two combiners draw the same ones.
struct Numbers(Cell<u64>);

impl Default for Numbers {
    fn default() -> Self {
        // Each state of the standard library's maps has keys of its own.
        Numbers(Cell::new(RandomState::new().build_hasher().finish()))
    }
}

impl Numbers {
    fn next(&self) -> i64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: i64 = 60;
    const WANTED: usize = 6;
    const SAMPLES: u64 = 4000;

    fn seeded(seed: u64) -> Sample<i64> {
        Sample {
            count: WANTED,
            numbers: Numbers(Cell::new(seed)),
            values: PhantomData,
        }
    }

    /// How often each value is in samples that `take` takes with a seed each.
    fn frequencies(take: impl Fn(u64) -> Vec<i64>) -> Vec<u64> {
        let mut seen = vec![0; VALUES as usize];
        for seed in 0..SAMPLES {
            let sample = take(seed);
            assert_eq!(sample.len(), WANTED);
            for value in sample {
                seen[value as usize] += 1;
            }
        }
        seen
    }

    /// Fails unless the frequencies are those of values that are all as likely.
    fn assert_uniform(seen: &[u64]) {
        let expected = SAMPLES as f64 * WANTED as f64 / VALUES as f64;
        // A value is in a sample or not: what varies is binomial, and samples without repetition vary a little less.
        let variance = expected * (1.0 - WANTED as f64 / VALUES as f64);
        let squares = seen.iter().map(|&n| (n as f64 - expected).powi(2));
        let chi_squared = squares.sum::<f64>() / variance;
        // 59 degrees of freedom: one in 1000 uniform samplers would exceed 98.3, and seeds are fixed.
        assert!(chi_squared < 98.3, "{chi_squared}: {seen:?}");
    }

    /// Parts of very different sizes.
    fn parts() -> [std::ops::Range<i64>; 4] {
        [0..1, 1..4, 4..50, 50..VALUES]
    }

    /// An accumulator for each part, each of a combiner of its own.
    fn accumulators(seed: u64) -> [Vec<Kv<i64, i64>>; 4] {
        let mut which = 0;
        parts().map(|part| {
            which += 1;
            let combiner = seeded((seed << 2 | (which - 1)).wrapping_mul(0xd6e8_feb8_6659_fd93));
            let mut acc = combiner.zero();
            for value in part {
                combiner.add(&mut acc, value);
            }
            combiner.compact(&mut acc);
            acc
        })
    }

    #[test]
    fn samples_of_one_accumulator_are_uniform() {
        assert_uniform(&frequencies(|seed| {
            let combiner = seeded(seed.wrapping_mul(0xd6e8_feb8_6659_fd93));
            let mut acc = combiner.zero();
            for value in 0..VALUES {
                combiner.add(&mut acc, value);
            }
            combiner.finish(acc)
        }));
    }

    #[test]
    fn samples_merged_one_after_the_other_are_uniform() {
        assert_uniform(&frequencies(|seed| {
            let combiner = seeded(0);
            let mut all = combiner.zero();
            for acc in accumulators(seed) {
                combiner.merge(&mut all, acc);
            }
            combiner.finish(all)
        }));
    }

    #[test]
    fn samples_merged_in_a_tree_are_uniform() {
        assert_uniform(&frequencies(|seed| {
            let combiner = seeded(0);
            let [a, mut b, c, mut d] = accumulators(seed);
            combiner.merge(&mut d, a);
            combiner.compact(&mut d);
            combiner.merge(&mut b, c);
            combiner.compact(&mut b);
            combiner.merge(&mut b, d);
            combiner.finish(b)
        }));
    }

    /// Pairs as well as single values: where one value is, another is neither more nor less likely.
    #[test]
    fn values_of_one_part_do_not_come_together() {
        let mut both = 0;
        for seed in 0..SAMPLES {
            let combiner = seeded(0);
            let mut all = combiner.zero();
            for acc in accumulators(seed) {
                combiner.merge(&mut all, acc);
            }
            let sample = combiner.finish(all);
            both += u64::from(sample.contains(&1) && sample.contains(&2));
        }
        let (n, k) = (VALUES as f64, WANTED as f64);
        let likely = k * (k - 1.0) / (n * (n - 1.0));
        let expected = SAMPLES as f64 * likely;
        let deviation = (expected * (1.0 - likely)).sqrt();
        let off = (both as f64 - expected).abs() / deviation;
        assert!(off < 3.0, "{both} of {expected}");
    }

    #[test]
    fn combiners_draw_numbers_of_their_own() {
        let draw = || {
            let numbers = Numbers::default();
            [numbers.next(), numbers.next()]
        };
        assert_ne!(draw(), draw());
    }
}
