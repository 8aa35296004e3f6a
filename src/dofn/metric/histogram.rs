//! Counts by bucket.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::MetricCell;
use crate::dofn::{Describe, Port, Wiring};
use crate::error::Result;

/// The most buckets of a histogram.
const MAX_BUCKETS: usize = 500;

/// Where the buckets of a histogram lie. What lies outside of them is only counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BucketOptions {
    /// Buckets of one width.
    Linear {
        /// Where the first begins.
        start: f64,
        /// How wide each is.
        width: f64,
        /// How many there are.
        count: usize,
    },
    /// Buckets whose bounds grow by the factor 2^(2^-scale). The first begins at zero.
    Exponential {
        /// From −3 to 3.
        scale: i32,
        /// How many there are.
        count: usize,
    },
}

impl BucketOptions {
    /// How many buckets there are.
    pub fn count(&self) -> usize {
        let (BucketOptions::Linear { count, .. } | BucketOptions::Exponential { count, .. }) = self;
        *count
    }

    /// The bucket of a value, if it lies in one.
    pub fn index(&self, value: f64) -> Option<usize> {
        let place = match self {
            BucketOptions::Linear { start, width, .. } => ((value - start) / width).floor(),
            // The first bucket has everything from zero to the first bound.
            BucketOptions::Exponential { .. } if (0.0..1.0).contains(&value) => 0.0,
            BucketOptions::Exponential { scale, .. } => (value.log2() * 2f64.powi(*scale)).floor(),
        };
        (place >= 0.0 && place < self.count() as f64).then_some(place as usize)
    }
}

/// The buckets of a [`Histogram`].
pub trait Buckets: Send + 'static {
    /// Where they lie.
    const OPTIONS: BucketOptions;
}

/// `COUNT` buckets, `WIDTH` wide each, of which the first begins at `START`.
pub struct Linear<const START: i64, const WIDTH: i64, const COUNT: usize>;

impl<const START: i64, const WIDTH: i64, const COUNT: usize> Buckets
    for Linear<START, WIDTH, COUNT>
{
    const OPTIONS: BucketOptions = {
        assert!(WIDTH > 0, "buckets have a width");
        assert!(
            0 < COUNT && COUNT <= MAX_BUCKETS,
            "there are 1 to 500 buckets"
        );
        BucketOptions::Linear {
            start: START as f64,
            width: WIDTH as f64,
            count: COUNT,
        }
    };
}

/// `COUNT` buckets whose bounds grow by the factor 2^(2^-`SCALE`).
pub struct Exponential<const SCALE: i32, const COUNT: usize>;

impl<const SCALE: i32, const COUNT: usize> Buckets for Exponential<SCALE, COUNT> {
    const OPTIONS: BucketOptions = {
        assert!(-3 <= SCALE && SCALE <= 3, "the scale is from -3 to 3");
        assert!(
            0 < COUNT && COUNT <= MAX_BUCKETS,
            "there are 1 to 500 buckets"
        );
        BucketOptions::Exponential {
            scale: SCALE,
            count: COUNT,
        }
    };
}

/// The counts of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramData {
    /// Where the buckets lie.
    pub buckets: BucketOptions,
    /// All values, those outside of the buckets too.
    pub count: i64,
    /// By bucket.
    pub counts: Vec<i64>,
}

impl HistogramData {
    /// Adds the counts of another histogram, if it has the same buckets; whether it has.
    pub fn merge(&mut self, other: &HistogramData) -> bool {
        let same = self.buckets == other.buckets;
        if same {
            self.count = self.count.wrapping_add(other.count);
            for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
                *sum = sum.wrapping_add(*count);
            }
        }
        same
    }
}

/// A histogram.
pub struct HistogramCell {
    buckets: BucketOptions,
    count: AtomicI64,
    counts: Box<[AtomicI64]>,
}

impl HistogramCell {
    /// No values yet.
    pub fn new(buckets: BucketOptions) -> Self {
        HistogramCell {
            buckets,
            count: AtomicI64::new(0),
            counts: (0..buckets.count()).map(|_| AtomicI64::new(0)).collect(),
        }
    }

    /// Adds one value.
    pub fn add(&self, value: f64) {
        let add_one = |cell: &AtomicI64| cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
        if let Some(index) = self.buckets.index(value) {
            add_one(&self.counts[index]);
        }
        add_one(&self.count);
    }

    /// What was added so far; `None` if nothing. While the bundle runs, the sum may be one value behind.
    pub fn get(&self) -> Option<HistogramData> {
        let count = self.count.load(Relaxed);
        (count > 0).then(|| HistogramData {
            buckets: self.buckets,
            count,
            counts: self
                .counts
                .iter()
                .map(|count| count.load(Relaxed))
                .collect(),
        })
    }

    pub(super) fn reset(&self) {
        self.count.store(0, Relaxed);
        self.counts.iter().for_each(|count| count.store(0, Relaxed));
    }
}

/// A port that counts values by buckets: [`Linear`] or [`Exponential`] ones, or others of your own. The field's name is
/// the metric's.
///
/// Without other buckets there are those between the powers of the root of 2, up to 2⁴⁰.
pub struct Histogram<B = Exponential<1, 80>>(Arc<HistogramCell>, PhantomData<fn() -> B>);

impl<B> Histogram<B> {
    /// Adds one value.
    pub fn add(&self, value: f64) {
        self.0.add(value);
    }
}

impl<F: ?Sized, B: Buckets> Port<F> for Histogram<B> {
    fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
        let make = || MetricCell::Histogram(Arc::new(HistogramCell::new(B::OPTIONS)));
        let cell: Arc<HistogramCell> = super::wired(wiring, name, make)?;
        Ok(Histogram(cell, PhantomData))
    }

    fn describe<D: Describe>(_describe: &mut D, _name: &'static str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_buckets_have_their_lower_bound() {
        let buckets = <Linear<-10, 5, 4>>::OPTIONS;
        let index = |value| buckets.index(value);
        assert_eq!(index(-10.0), Some(0));
        assert_eq!(index(-5.1), Some(0));
        assert_eq!(index(-5.0), Some(1));
        assert_eq!(index(9.9), Some(3));
        assert_eq!(index(10.0), None);
        assert_eq!(index(-10.1), None);
        assert_eq!(index(f64::NAN), None);
    }

    #[test]
    fn exponential_buckets_are_bounded_by_powers() {
        let doubling = <Exponential<0, 4>>::OPTIONS;
        let index = |value| doubling.index(value);
        assert_eq!(index(0.0), Some(0));
        assert_eq!(index(1.9), Some(0));
        assert_eq!(index(2.0), Some(1));
        assert_eq!(index(15.9), Some(3));
        assert_eq!(index(16.0), None);
        assert_eq!(index(-0.1), None);
        let fine = <Exponential<1, 8>>::OPTIONS;
        assert_eq!(fine.index(1.41), Some(0));
        assert_eq!(fine.index(1.42), Some(1));
        assert_eq!(fine.index(2.0), Some(2));
        let coarse = <Exponential<-1, 8>>::OPTIONS;
        assert_eq!(coarse.index(3.9), Some(0));
        assert_eq!(coarse.index(4.0), Some(1));
    }

    #[test]
    fn values_outside_of_the_buckets_are_counted() {
        let cell = HistogramCell::new(<Linear<0, 1, 2>>::OPTIONS);
        assert_eq!(cell.get(), None);
        for value in [0.5, 1.5, 1.7, 7.0, -1.0] {
            cell.add(value);
        }
        let mut data = cell.get().expect("it has values");
        assert_eq!((data.count, &*data.counts), (5, &[1, 2][..]));
        let again = data.clone();
        assert!(data.merge(&again));
        assert_eq!((data.count, &*data.counts), (10, &[2, 4][..]));
        cell.reset();
        assert_eq!(cell.get(), None);
    }
}
