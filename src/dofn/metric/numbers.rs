//! Sums, distributions and latest values.
//!
//! Writers use plain loads and stores: a counter costs what an addition costs.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::MetricCell;
use crate::dofn::{Clock, Describe, Port, Wiring};
use crate::error::Result;

/// A sum.
#[derive(Default)]
pub struct CounterCell(AtomicI64);

impl CounterCell {
    /// Adds; the sum wraps around at 64 bits.
    #[inline]
    pub fn add(&self, n: i64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// The sum.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }

    pub(super) fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// Count, sum, least and greatest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// How many numbers.
    pub count: i64,
    /// Their sum, which wraps around at 64 bits.
    pub sum: i64,
    /// The least.
    pub min: i64,
    /// The greatest.
    pub max: i64,
}

/// A distribution.
#[derive(Default)]
pub struct DistributionCell {
    count: AtomicI64,
    sum: AtomicI64,
    min: AtomicI64,
    max: AtomicI64,
}

impl DistributionCell {
    /// Adds one number.
    #[inline]
    pub fn add(&self, n: i64) {
        let count = self.count.load(Relaxed);
        if count == 0 || n < self.min.load(Relaxed) {
            self.min.store(n, Relaxed);
        }
        if count == 0 || n > self.max.load(Relaxed) {
            self.max.store(n, Relaxed);
        }
        self.sum
            .store(self.sum.load(Relaxed).wrapping_add(n), Relaxed);
        self.count.store(count + 1, Relaxed);
    }

    /// What was added so far; `None` if nothing. While the bundle runs, the parts may be one number apart.
    pub fn get(&self) -> Option<Spread> {
        let count = self.count.load(Relaxed);
        (count > 0).then(|| Spread {
            count,
            sum: self.sum.load(Relaxed),
            min: self.min.load(Relaxed),
            max: self.max.load(Relaxed),
        })
    }

    /// Forgets everything.
    pub fn clear(&self) {
        for part in [&self.count, &self.sum, &self.min, &self.max] {
            part.store(0, Relaxed);
        }
    }
}

/// The latest of some numbers.
#[derive(Default)]
pub struct GaugeCell(Mutex<Option<(i64, i64)>>);

impl GaugeCell {
    /// Sets the number as of `millis` since 1970.
    pub fn set(&self, millis: i64, value: i64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((millis, value));
    }

    /// When it was set, in milliseconds since 1970, and to what.
    pub fn get(&self) -> Option<(i64, i64)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A port that counts. The field's name is the metric's.
pub struct Counter(Arc<CounterCell>);

impl Counter {
    /// Adds `n`, which may be negative.
    #[inline]
    pub fn add(&self, n: i64) {
        self.0.add(n);
    }

    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.0.add(1);
    }
}

impl<F: ?Sized> Port<F> for Counter {
    fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
        super::wired(wiring, name, || MetricCell::Counter(Arc::default())).map(Counter)
    }

    fn describe<D: Describe>(_describe: &mut D, _name: &'static str) {}
}

/// A port that keeps count, sum, least and greatest. The field's name is the metric's.
pub struct Distribution(Arc<DistributionCell>);

impl Distribution {
    /// Adds one number.
    #[inline]
    pub fn add(&self, n: i64) {
        self.0.add(n);
    }
}

impl<F: ?Sized> Port<F> for Distribution {
    fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
        super::wired(wiring, name, || MetricCell::Distribution(Arc::default())).map(Distribution)
    }

    fn describe<D: Describe>(_describe: &mut D, _name: &'static str) {}
}

/// A port that keeps the latest number. The field's name is the metric's.
pub struct Gauge {
    cell: Arc<GaugeCell>,
    clock: Arc<dyn Clock>,
}

impl Gauge {
    /// Sets the number.
    pub fn set(&self, value: i64) {
        self.cell.set(self.clock.now_millis(), value);
    }
}

impl<F: ?Sized> Port<F> for Gauge {
    fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
        let cell = super::wired(wiring, name, || MetricCell::Gauge(Arc::default()))?;
        let clock = wiring.services().clock.clone();
        Ok(Gauge { cell, clock })
    }

    fn describe<D: Describe>(_describe: &mut D, _name: &'static str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_what_was_added() {
        let counter = CounterCell::default();
        counter.add(-5);
        counter.add(2);
        assert_eq!(counter.get(), -3);
        let distribution = DistributionCell::default();
        assert_eq!(distribution.get(), None);
        for n in [1, 2, 9] {
            distribution.add(n);
        }
        assert_eq!(
            distribution.get(),
            Some(Spread {
                count: 3,
                sum: 12,
                min: 1,
                max: 9
            })
        );
        distribution.clear();
        distribution.add(-4);
        assert_eq!(
            distribution.get(),
            Some(Spread {
                count: 1,
                sum: -4,
                min: -4,
                max: -4
            })
        );
        let gauge = GaugeCell::default();
        gauge.set(1, 5);
        gauge.set(2, 7);
        assert_eq!(gauge.get(), Some((2, 7)));
    }
}
