//! What a function measured on a bench.

use std::collections::BTreeSet;

use super::DoFnTester;
use crate::dofn::{BoundedTrieData, DoFn, DoubleSpread, HistogramData, MetricCell, Spread};

impl<F: DoFn> DoFnTester<F> {
    /// The sum of a counter in the last bundle; `None` if there is no such counter.
    pub fn counter(&self, name: &str) -> Option<i64> {
        match self.metric(name)? {
            MetricCell::Counter(cell) => Some(cell.get()),
            _ => None,
        }
    }

    /// A distribution in the last bundle; `None` if it is empty or there is no such distribution.
    pub fn distribution(&self, name: &str) -> Option<Spread> {
        match self.metric(name)? {
            MetricCell::Distribution(cell) => cell.get(),
            _ => None,
        }
    }

    /// What a gauge was last set to in the last bundle; `None` if it was not or there is no such gauge.
    pub fn gauge(&self, name: &str) -> Option<i64> {
        match self.metric(name)? {
            MetricCell::Gauge(cell) => cell.get().map(|(_, value)| value),
            _ => None,
        }
    }

    /// A sum of floating-point numbers in the last bundle; `None` if there is no such sum.
    pub fn double_sum(&self, name: &str) -> Option<f64> {
        match self.metric(name)? {
            MetricCell::DoubleSum(cell) => Some(cell.get()),
            _ => None,
        }
    }

    /// A distribution of floating-point numbers in the last bundle; `None` if it is empty or there is no such one.
    pub fn double_distribution(&self, name: &str) -> Option<DoubleSpread> {
        match self.metric(name)? {
            MetricCell::DoubleDistribution(cell) => cell.get(),
            _ => None,
        }
    }

    /// What a gauge of floating-point numbers was last set to in the last bundle; `None` if it was not or there is no
    /// such gauge.
    pub fn double_gauge(&self, name: &str) -> Option<f64> {
        match self.metric(name)? {
            MetricCell::DoubleGauge(cell) => cell.get().map(|(_, value)| value),
            _ => None,
        }
    }

    /// The strings of a set in the last bundle; `None` if there is no such set.
    pub fn string_set(&self, name: &str) -> Option<BTreeSet<String>> {
        match self.metric(name)? {
            MetricCell::StringSet(cell) => Some(cell.with(BTreeSet::clone)),
            _ => None,
        }
    }

    /// The paths of a trie in the last bundle; `None` if there is no such trie.
    pub fn bounded_trie(&self, name: &str) -> Option<BoundedTrieData> {
        match self.metric(name)? {
            MetricCell::BoundedTrie(cell) => Some(cell.get()),
            _ => None,
        }
    }

    /// A histogram in the last bundle; `None` if it is empty or there is no such histogram.
    pub fn histogram(&self, name: &str) -> Option<HistogramData> {
        match self.metric(name)? {
            MetricCell::Histogram(cell) => cell.get(),
            _ => None,
        }
    }
}
