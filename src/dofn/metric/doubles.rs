//! Sums, distributions and latest values of floating-point numbers.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::MetricCell;
use crate::dofn::{Clock, Describe, Port, Wiring};
use crate::error::Result;

/// The bits of a floating-point number, which one thread writes and others read.
#[derive(Default)]
struct AtomicF64(AtomicU64);

impl AtomicF64 {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    fn set(&self, number: f64) {
        self.0.store(number.to_bits(), Relaxed);
    }
}

/// A sum of floating-point numbers.
#[derive(Default)]
pub struct DoubleSumCell(AtomicF64);

impl DoubleSumCell {
    /// Adds a number.
    pub fn add(&self, number: f64) {
        self.0.set(self.0.get() + number);
    }

    /// The sum.
    pub fn get(&self) -> f64 {
        self.0.get()
    }

    pub(super) fn reset(&self) {
        self.0.set(0.0);
    }
}

/// Count, sum, least and greatest of some floating-point numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DoubleSpread {
    /// How many numbers.
    pub count: i64,
    /// Their sum.
    pub sum: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

/// A distribution of floating-point numbers.
#[derive(Default)]
pub struct DoubleDistributionCell {
    count: AtomicI64,
    sum: AtomicF64,
    min: AtomicF64,
    max: AtomicF64,
}

impl DoubleDistributionCell {
    /// Adds one number.
    pub fn add(&self, number: f64) {
        let count = self.count.load(Relaxed);
        let (min, max) = match count {
            0 => (number, number),
            _ => (self.min.get().min(number), self.max.get().max(number)),
        };
        self.min.set(min);
        self.max.set(max);
        self.sum.set(self.sum.get() + number);
        self.count.store(count + 1, Relaxed);
    }

    /// What was added so far; `None` if nothing. While the bundle runs, the parts may be one number apart.
    pub fn get(&self) -> Option<DoubleSpread> {
        let count = self.count.load(Relaxed);
        (count > 0).then(|| DoubleSpread {
            count,
            sum: self.sum.get(),
            min: self.min.get(),
            max: self.max.get(),
        })
    }

    pub(super) fn reset(&self) {
        self.count.store(0, Relaxed);
        self.sum.set(0.0);
    }
}

/// The latest of some floating-point numbers.
#[derive(Default)]
pub struct DoubleGaugeCell(Mutex<Option<(i64, f64)>>);

impl DoubleGaugeCell {
    /// Sets the number as of `millis` since 1970.
    pub fn set(&self, millis: i64, value: f64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((millis, value));
    }

    /// When it was set, in milliseconds since 1970, and to what.
    pub fn get(&self) -> Option<(i64, f64)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A port that adds up floating-point numbers. The field's name is the metric's.
pub struct DoubleSum(Arc<DoubleSumCell>);

impl DoubleSum {
    /// Adds a number.
    pub fn add(&self, number: f64) {
        self.0.add(number);
    }
}

impl<F: ?Sized> Port<F> for DoubleSum {
    fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
        super::wired(wiring, name, || MetricCell::DoubleSum(Arc::default())).map(DoubleSum)
    }

    fn describe<D: Describe>(_describe: &mut D, _name: &'static str) {}
}

/// A port that keeps count, sum, least and greatest of floating-point numbers. The field's name is the metric's.
pub struct DoubleDistribution(Arc<DoubleDistributionCell>);

impl DoubleDistribution {
    /// Adds one number.
    pub fn add(&self, number: f64) {
        self.0.add(number);
    }
}

impl<F: ?Sized> Port<F> for DoubleDistribution {
    fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
        let make = || MetricCell::DoubleDistribution(Arc::default());
        super::wired(wiring, name, make).map(DoubleDistribution)
    }

    fn describe<D: Describe>(_describe: &mut D, _name: &'static str) {}
}

/// A port that keeps the latest floating-point number. The field's name is the metric's.
pub struct DoubleGauge {
    cell: Arc<DoubleGaugeCell>,
    clock: Arc<dyn Clock>,
}

impl DoubleGauge {
    /// Sets the number.
    pub fn set(&self, value: f64) {
        self.cell.set(self.clock.now_millis(), value);
    }
}

impl<F: ?Sized> Port<F> for DoubleGauge {
    fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
        let cell = super::wired(wiring, name, || MetricCell::DoubleGauge(Arc::default()))?;
        let clock = wiring.services().clock.clone();
        Ok(DoubleGauge { cell, clock })
    }

    fn describe<D: Describe>(_describe: &mut D, _name: &'static str) {}
}
