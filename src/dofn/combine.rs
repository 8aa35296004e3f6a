//! Combining the values of a key.

mod sample;
mod top;
mod tuples;

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::Named;
use super::named::{ComposedName, TypeName};
use crate::element::{Element, Kv};

pub use sample::Sample;
pub use top::{Natural, Numeric, Order, Top};

/// Combines values into one, in any grouping and order: runners combine parts before and after they group by key.
///
/// Accumulators change in place.
///
/// ```
/// use ferrobeam::prelude::*;
///
/// /// The longest word, the first in the alphabet if there are several.
/// #[derive(serde::Serialize, serde::Deserialize, CombineFn)]
/// #[beam(name = "text.Longest/v1")]
/// struct Longest;
///
/// impl CombineFn for Longest {
///     type In = String;
///     type Acc = Option<String>;
///     type Out = Option<String>;
///
///     fn zero(&self) -> Option<String> {
///         None
///     }
///
///     fn add(&self, acc: &mut Option<String>, word: String) {
///         self.merge(acc, Some(word));
///     }
///
///     fn merge(&self, into: &mut Option<String>, from: Option<String>) {
///         let rank = |word: &Option<String>| {
///             (word.as_ref().map(String::len), std::cmp::Reverse(word.clone()))
///         };
///         if rank(&from) > rank(into) {
///             *into = from;
///         }
///     }
///
///     fn finish(&self, acc: Option<String>) -> Option<String> {
///         acc
///     }
/// }
///
/// let mut acc = Longest.zero();
/// for word in ["to", "thing", "there", "be"] {
///     Longest.add(&mut acc, word.to_owned());
/// }
/// assert_eq!(Longest.finish(acc).as_deref(), Some("there"));
/// ```
///
/// A tuple of combiners is one that has the results of all: `(A, B)` those of `A` and `B`.
///
/// ```
/// use ferrobeam::dofn::{CombineFn, Count, Max, Sum};
/// use ferrobeam::Kv;
///
/// let all = (Count::<i64>::new(), Sum::<i64>::new(), Max::<i64>::new());
/// let mut acc = all.zero();
/// for n in [3, 5, 4] {
///     all.add(&mut acc, n);
/// }
/// assert_eq!(all.finish(acc), Kv(3, Kv(12, 5)));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a CombineFn",
    label = "this type cannot combine values",
    note = "`#[derive(CombineFn)]` only names it; write `impl CombineFn` to say how",
    note = "where values are their own accumulators, `impl Merge` is enough: then use `Plain<{Self}>`"
)]
pub trait CombineFn: Send + 'static {
    /// The values that are combined.
    type In: Element;
    /// What a part of them is combined into.
    type Acc: Element;
    /// What all of them are combined into.
    type Out: Element;

    /// The accumulator of no values.
    fn zero(&self) -> Self::Acc;

    /// Adds one value.
    fn add(&self, acc: &mut Self::Acc, value: Self::In);

    /// Adds all that another accumulator holds.
    fn merge(&self, into: &mut Self::Acc, from: Self::Acc);

    /// The result.
    fn finish(&self, acc: Self::Acc) -> Self::Out;

    /// Makes an accumulator small. Called before it is sent away, and after it was merged.
    fn compact(&self, acc: &mut Self::Acc) {
        let _ = acc;
    }
}

/// The common case of a [`CombineFn`]: values are their own accumulators. Use it as [`Plain`].
pub trait Merge: Send + 'static {
    /// Value, accumulator and result.
    type Value: Element;

    /// The value that changes nothing.
    fn identity(&self) -> Self::Value;

    /// Adds a value to another.
    fn merge(&self, into: &mut Self::Value, from: Self::Value);
}

/// A [`Merge`] as a [`CombineFn`].
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Plain<M>(pub M);

impl<M: Merge> CombineFn for Plain<M> {
    type In = M::Value;
    type Acc = M::Value;
    type Out = M::Value;

    fn zero(&self) -> M::Value {
        self.0.identity()
    }

    #[inline]
    fn add(&self, acc: &mut M::Value, value: M::Value) {
        self.0.merge(acc, value);
    }

    #[inline]
    fn merge(&self, into: &mut M::Value, from: M::Value) {
        self.0.merge(into, from);
    }

    fn finish(&self, acc: M::Value) -> M::Value {
        acc
    }
}

impl<M: Merge + Named> Named for Plain<M> {
    const NAME: &'static str = M::NAME;
}

/// Marks a combiner of values of type `T`; it has no configuration.
macro_rules! combiner {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Serialize, Deserialize)]
        #[serde(bound = "")]
        pub struct $name<T>(#[serde(skip)] PhantomData<fn() -> T>);

        impl<T> $name<T> {
            /// The combiner.
            pub const fn new() -> Self {
                $name(PhantomData)
            }
        }

        impl<T> Default for $name<T> {
            fn default() -> Self {
                Self::new()
            }
        }
    };
}

combiner!(
    /// The sum of numbers. Integers wrap around at 64 bits.
    Sum
);
combiner!(
    /// The number of values.
    Count
);
combiner!(
    /// The mean of numbers; not a number if there are none.
    Mean
);
combiner!(
    /// The least of numbers; the greatest number there is if there are none.
    Min
);
combiner!(
    /// The greatest of numbers; the least number there is if there are none.
    Max
);

macro_rules! numbers {
    ($($number:ty, $name:literal, $add:expr, $least:expr, $greatest:expr;)*) => {$(
        impl CombineFn for Sum<$number> {
            type In = $number;
            type Acc = $number;
            type Out = $number;

            fn zero(&self) -> $number {
                <$number>::default()
            }

            #[inline]
            fn add(&self, acc: &mut $number, value: $number) {
                *acc = $add(*acc, value);
            }

            #[inline]
            fn merge(&self, into: &mut $number, from: $number) {
                *into = $add(*into, from);
            }

            fn finish(&self, acc: $number) -> $number {
                acc
            }
        }

        impl Named for Sum<$number> {
            const NAME: &'static str = concat!("ferrobeam.Sum.", $name, "/v1");
        }

        impl CombineFn for Mean<$number> {
            type In = $number;
            type Acc = Kv<f64, i64>;
            type Out = f64;

            fn zero(&self) -> Self::Acc {
                Kv(0.0, 0)
            }

            fn add(&self, acc: &mut Self::Acc, value: $number) {
                acc.0 += value as f64;
                acc.1 += 1;
            }

            fn merge(&self, into: &mut Self::Acc, from: Self::Acc) {
                into.0 += from.0;
                into.1 += from.1;
            }

            fn finish(&self, acc: Self::Acc) -> f64 {
                acc.0 / acc.1 as f64
            }
        }

        impl Named for Mean<$number> {
            const NAME: &'static str = concat!("ferrobeam.Mean.", $name, "/v1");
        }

        numbers!(@extreme Min, "Min", $number, $name, $greatest, min);
        numbers!(@extreme Max, "Max", $number, $name, $least, max);
    )*};
    (@extreme $combiner:ident, $prefix:literal, $number:ty, $name:literal, $none:expr, $pick:ident) => {
        impl CombineFn for $combiner<$number> {
            type In = $number;
            type Acc = $number;
            type Out = $number;

            fn zero(&self) -> $number {
                $none
            }

            fn add(&self, acc: &mut $number, value: $number) {
                *acc = (*acc).$pick(value);
            }

            fn merge(&self, into: &mut $number, from: $number) {
                *into = (*into).$pick(from);
            }

            fn finish(&self, acc: $number) -> $number {
                acc
            }
        }

        impl Named for $combiner<$number> {
            const NAME: &'static str = concat!("ferrobeam.", $prefix, ".", $name, "/v1");
        }
    };
}

numbers! {
    i64, "i64", i64::wrapping_add, i64::MIN, i64::MAX;
    f64, "f64", |a: f64, b: f64| a + b, f64::NEG_INFINITY, f64::INFINITY;
}

impl<T: Element> CombineFn for Count<T> {
    type In = T;
    type Acc = i64;
    type Out = i64;

    fn zero(&self) -> i64 {
        0
    }

    fn add(&self, acc: &mut i64, _value: T) {
        *acc += 1;
    }

    fn merge(&self, into: &mut i64, from: i64) {
        *into += from;
    }

    fn finish(&self, acc: i64) -> i64 {
        acc
    }
}

/// Counts values that only their coder describes.
impl Named for Count<crate::element::Raw> {
    const NAME: &'static str = "ferrobeam.Count/v1";
}

impl<T: TypeName> Count<T> {
    const COMPOSED: &'static ComposedName =
        &ComposedName::of(&["ferrobeam.Count.", T::TYPE_NAME, "/v1"]);
}

/// Counts values of a type, beside what others make of them.
impl<T: TypeName> Named for Count<T> {
    const NAME: &'static str = Self::COMPOSED.as_str();
}
