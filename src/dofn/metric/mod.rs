//! User metrics as ports, and the cells they count in.
//!
//! Each cell has one writer, the bundle thread, and any number of readers that answer progress requests. Cells of numbers
//! have no locks; those of the others have locks that hardly anybody else wants.

mod api;
mod doubles;
mod histogram;
mod numbers;
mod strings;
mod trie;

use std::fmt;
use std::sync::Arc;

pub use api::{ApiCall, ApiCounts};
pub use doubles::{
    DoubleDistribution, DoubleDistributionCell, DoubleGauge, DoubleGaugeCell, DoubleSpread,
    DoubleSum, DoubleSumCell,
};
pub use histogram::{
    BucketOptions, Buckets, Exponential, Histogram, HistogramCell, HistogramData, Linear,
};
pub use numbers::{Counter, CounterCell, Distribution, DistributionCell, Gauge, GaugeCell, Spread};
pub use strings::{StringSet, StringSetCell};
pub use trie::{BoundedTrie, BoundedTrieCell, BoundedTrieData, TrieNode, TriePath};

use super::Wiring;
use crate::error::Result;

/// Names a user metric within a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricId {
    /// The transform's id in the descriptor.
    pub transform: String,
    /// The function's name without its version.
    pub namespace: String,
    /// The port's name.
    pub name: String,
}

/// The cell of one metric.
#[derive(Clone)]
pub enum MetricCell {
    /// A sum.
    Counter(Arc<CounterCell>),
    /// A distribution.
    Distribution(Arc<DistributionCell>),
    /// A latest value.
    Gauge(Arc<GaugeCell>),
    /// A sum of floating-point numbers.
    DoubleSum(Arc<DoubleSumCell>),
    /// A distribution of floating-point numbers.
    DoubleDistribution(Arc<DoubleDistributionCell>),
    /// A latest floating-point number.
    DoubleGauge(Arc<DoubleGaugeCell>),
    /// A set of strings.
    StringSet(Arc<StringSetCell>),
    /// A set of paths.
    BoundedTrie(Arc<BoundedTrieCell>),
    /// Counts by bucket.
    Histogram(Arc<HistogramCell>),
}

impl MetricCell {
    fn reset(&self) {
        match self {
            MetricCell::Counter(cell) => cell.reset(),
            MetricCell::Distribution(cell) => cell.clear(),
            MetricCell::Gauge(cell) => cell.reset(),
            MetricCell::DoubleSum(cell) => cell.reset(),
            MetricCell::DoubleDistribution(cell) => cell.reset(),
            MetricCell::DoubleGauge(cell) => cell.reset(),
            MetricCell::StringSet(cell) => cell.reset(),
            MetricCell::BoundedTrie(cell) => cell.reset(),
            MetricCell::Histogram(cell) => cell.reset(),
        }
    }
}

/// A kind of cell.
trait Cell: Sized {
    fn of(cell: MetricCell) -> Option<Arc<Self>>;
}

macro_rules! cells {
    ($($kind:ident $cell:ident),*) => {
        $(impl Cell for $cell {
            fn of(cell: MetricCell) -> Option<Arc<Self>> {
                match cell {
                    MetricCell::$kind(cell) => Some(cell),
                    _ => None,
                }
            }
        })*
    };
}

cells!(
    Counter CounterCell, Distribution DistributionCell, Gauge GaugeCell, StringSet StringSetCell,
    BoundedTrie BoundedTrieCell, Histogram HistogramCell, DoubleSum DoubleSumCell,
    DoubleDistribution DoubleDistributionCell, DoubleGauge DoubleGaugeCell
);

/// The cell of the port `name`.
fn wired<C: Cell>(
    wiring: &mut Wiring<'_>,
    name: &'static str,
    make: impl FnOnce() -> MetricCell,
) -> Result<Arc<C>> {
    let id = wiring.metric_id(name);
    let cell = wiring.metrics().cell(id, make);
    C::of(cell).ok_or_else(|| super::ports::two_kinds(name))
}

/// The user metrics of one plan. Cells are made while it is linked; nothing is looked up afterwards.
#[derive(Clone, Default)]
pub struct MetricSet {
    cells: Vec<(MetricId, MetricCell)>,
}

impl MetricSet {
    /// The cell of a metric, made on first use.
    fn cell(&mut self, id: MetricId, make: impl FnOnce() -> MetricCell) -> MetricCell {
        if let Some((_, cell)) = self.cells.iter().find(|(known, _)| *known == id) {
            return cell.clone();
        }
        let cell = make();
        self.cells.push((id, cell.clone()));
        cell
    }

    /// All metrics.
    pub fn iter(&self) -> impl Iterator<Item = &(MetricId, MetricCell)> {
        self.cells.iter()
    }

    /// Forgets all values: a new bundle begins.
    pub fn reset(&self) {
        self.cells.iter().for_each(|(_, cell)| cell.reset());
    }
}

impl fmt::Debug for MetricSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.cells.iter().map(|(id, _)| id))
            .finish()
    }
}
