//! The greatest and the least of many values.

use std::cmp::Ordering;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::CombineFn;
use crate::dofn::named::{ComposedName, Named, TypeName};
use crate::element::{Element, NotAByte};

/// Which of two values is the greater, for [`Top`].
///
/// ```
/// use std::cmp::Ordering;
///
/// use ferrobeam::dofn::{Order, Top};
/// use ferrobeam::prelude::*;
///
/// /// Words by how often they occur, and those that occur alike by the alphabet.
/// #[derive(serde::Serialize, serde::Deserialize, Order)]
/// #[beam(name = "text.ByCount/v1")]
/// struct ByCount;
///
/// impl Order for ByCount {
///     type Value = Kv<String, i64>;
///
///     fn compare(&self, Kv(word, count): &Self::Value, Kv(other, others): &Self::Value) -> Ordering {
///         count.cmp(others).then_with(|| other.cmp(word))
///     }
/// }
///
/// let most = Top::greatest_by(2, ByCount);
/// let mut acc = most.zero();
/// for (word, count) in [("to", 2), ("be", 2), ("or", 1), ("not", 1)] {
///     most.add(&mut acc, Kv(word.to_owned(), count));
/// }
/// assert_eq!(most.finish(acc), [Kv("be".to_owned(), 2), Kv("to".to_owned(), 2)]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which of two values is the greater",
    note = "`#[derive(Order)]` only names it; write `impl Order` to compare values"
)]
pub trait Order: Named {
    /// What is compared.
    type Value: Element + NotAByte;

    /// Compares two values. Must be a total order, as [`Ord::cmp`] is.
    fn compare(&self, one: &Self::Value, other: &Self::Value) -> Ordering;
}

/// The order that a type has of itself.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Natural<T>(#[serde(skip)] PhantomData<fn() -> T>);

impl<T: TypeName> Natural<T> {
    const COMPOSED: &'static ComposedName =
        &ComposedName::of(&["ferrobeam.Natural.", T::TYPE_NAME, "/v1"]);
}

impl<T: TypeName> Named for Natural<T> {
    const NAME: &'static str = Self::COMPOSED.as_str();
}

impl<T: Element + NotAByte + Ord + TypeName> Order for Natural<T> {
    type Value = T;

    fn compare(&self, one: &T, other: &T) -> Ordering {
        one.cmp(other)
    }
}

/// Numbers with fractions from −∞ to ∞, as [`f64::total_cmp`] has them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Numeric;

impl Named for Numeric {
    const NAME: &'static str = "ferrobeam.Numeric/v1";
}

impl Order for Numeric {
    type Value = f64;

    fn compare(&self, one: &f64, other: &f64) -> Ordering {
        one.total_cmp(other)
    }
}

/// The greatest or the least few of all values, the foremost first.
///
/// Which of several values that are equal by the order are among them is left open: an order that tells all values apart
/// gives one result.
///
/// Accumulators hold at most as many values as are wanted when they travel, and twice as many while values are added.
///
/// ```
/// use ferrobeam::dofn::{CombineFn, Top};
///
/// let top = Top::greatest(3);
/// let mut acc = top.zero();
/// for n in [3i64, 9, 4, 7, 1] {
///     top.add(&mut acc, n);
/// }
/// assert_eq!(top.finish(acc), [9, 7, 4]);
/// ```
///
/// Registries know it for `i64` and `String`, and for `f64` in the order [`Numeric`]. For other types and orders it is
/// registered by its type, as in `registry.add_combine::<Top<ByCount>>()`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "O: Order")]
pub struct Top<O> {
    count: usize,
    least: bool,
    order: O,
}

impl<T> Top<Natural<T>> {
    /// The `count` greatest values, the greatest first.
    pub const fn greatest(count: usize) -> Self {
        Top::greatest_by(count, Natural(PhantomData))
    }

    /// The `count` least values, the least first.
    pub const fn least(count: usize) -> Self {
        Top::least_by(count, Natural(PhantomData))
    }
}

impl<O> Top<O> {
    /// The `count` greatest values by an order, the greatest first.
    pub const fn greatest_by(count: usize, order: O) -> Self {
        Top {
            count,
            least: false,
            order,
        }
    }

    /// The `count` least values by an order, the least first.
    pub const fn least_by(count: usize, order: O) -> Self {
        Top {
            count,
            least: true,
            order,
        }
    }
}

impl<O: Order> Top<O> {
    const COMPOSED: &'static ComposedName = &ComposedName::of(&["ferrobeam.Top.", O::NAME, "/v1"]);

    /// The foremost value is the least.
    fn rank(&self, one: &O::Value, other: &O::Value) -> Ordering {
        if self.least {
            self.order.compare(one, other)
        } else {
            self.order.compare(other, one)
        }
    }
}

impl<O: Order> Named for Top<O> {
    const NAME: &'static str = Self::COMPOSED.as_str();
}

impl<O: Order> CombineFn for Top<O> {
    type In = O::Value;
    type Acc = Vec<O::Value>;
    type Out = Vec<O::Value>;

    fn zero(&self) -> Self::Acc {
        Vec::new()
    }

    fn add(&self, acc: &mut Self::Acc, value: O::Value) {
        acc.push(value);
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

    fn finish(&self, mut acc: Self::Acc) -> Self::Out {
        self.compact(&mut acc);
        acc.sort_unstable_by(|one, other| self.rank(one, other));
        acc
    }

    fn compact(&self, acc: &mut Self::Acc) {
        keep_least(acc, self.count, |one, other| self.rank(one, other));
    }
}

/// Whether it is time to [keep](keep_least) only `count` of the values. To wait until there are twice as many makes the
/// cost of one value constant.
pub(super) fn is_full<T>(values: &[T], count: usize) -> bool {
    values.len() >= count.saturating_mul(2)
}

/// Drops all but the `count` least values, and leaves these in any order.
pub(super) fn keep_least<T>(
    values: &mut Vec<T>,
    count: usize,
    compare: impl FnMut(&T, &T) -> Ordering,
) {
    if values.len() > count {
        values.select_nth_unstable_by(count, compare);
        values.truncate(count);
    }
}
