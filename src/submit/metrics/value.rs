//! Values of metrics, as they are sent and as they are merged.

use std::collections::BTreeSet;

use beam_proto::pipeline::{BoundedTrie, HistogramValue, MonitoringInfo};
use beam_proto::urns::MonitoringInfoSpec;
use beam_proto::urns::monitoring_infos::{
    ELEMENT_COUNT, SAMPLED_BYTE_SIZE, TOTAL_MSECS, USER_BOUNDED_TRIE, USER_DISTRIBUTION_DOUBLE,
    USER_DISTRIBUTION_INT64, USER_HISTOGRAM, USER_LATEST_DOUBLE, USER_LATEST_INT64,
    USER_SET_STRING, USER_SUM_DOUBLE, USER_SUM_INT64,
};
use prost::Message;

use crate::dofn::{BoundedTrieData, DoubleSpread, HistogramData, Spread};
use crate::element::{Element, Input, Nesting, Timestamp};
use crate::error::Result;
use crate::model::metrics::{histogram_from_proto, trie_from_proto};

/// The value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricValue {
    /// A sum.
    Counter(i64),
    /// Count, sum, least and greatest.
    Distribution(Spread),
    /// The latest value, and when it was set.
    Gauge(Timestamp, i64),
    /// A sum of floating-point numbers.
    DoubleSum(f64),
    /// Count, sum, least and greatest of floating-point numbers.
    DoubleDistribution(DoubleSpread),
    /// The latest floating-point number, and when it was set.
    DoubleGauge(Timestamp, f64),
    /// A set of strings.
    StringSet(BTreeSet<String>),
    /// A set of paths.
    BoundedTrie(BoundedTrieData),
    /// Counts by bucket.
    Histogram(HistogramData),
}

/// The value of a metric of a kind that functions or workers here can keep.
pub(super) fn value(info: &MonitoringInfo) -> Result<Option<MetricValue>> {
    let mut input = Input::new(&info.payload);
    let mut number = || input.varint().map(|n| n as i64);
    let is_one_of = |specs: &[MonitoringInfoSpec]| specs.iter().any(|spec| spec.urn == info.urn);
    Ok(
        if is_one_of(&[USER_SUM_INT64, ELEMENT_COUNT, TOTAL_MSECS]) {
            Some(MetricValue::Counter(number()?))
        } else if is_one_of(&[USER_DISTRIBUTION_INT64, SAMPLED_BYTE_SIZE]) {
            Some(MetricValue::Distribution(Spread {
                count: number()?,
                sum: number()?,
                min: number()?,
                max: number()?,
            }))
        } else if info.urn == USER_LATEST_INT64.urn {
            let at = Timestamp::from_millis(number()?);
            Some(MetricValue::Gauge(at, number()?))
        } else if info.urn == USER_SUM_DOUBLE.urn {
            Some(MetricValue::DoubleSum(double(&mut input)?))
        } else if info.urn == USER_DISTRIBUTION_DOUBLE.urn {
            Some(MetricValue::DoubleDistribution(DoubleSpread {
                count: input.varint()? as i64,
                sum: double(&mut input)?,
                min: double(&mut input)?,
                max: double(&mut input)?,
            }))
        } else if info.urn == USER_LATEST_DOUBLE.urn {
            let at = Timestamp::from_millis(input.varint()? as i64);
            Some(MetricValue::DoubleGauge(at, double(&mut input)?))
        } else if info.urn == USER_SET_STRING.urn {
            Some(MetricValue::StringSet(strings(&mut input)?))
        } else if info.urn == USER_BOUNDED_TRIE.urn {
            let proto = BoundedTrie::decode(info.payload.clone())?;
            Some(MetricValue::BoundedTrie(trie_from_proto(proto)))
        } else if info.urn == USER_HISTOGRAM.urn {
            let proto = HistogramValue::decode(info.payload.clone())?;
            Some(MetricValue::Histogram(histogram_from_proto(proto)?))
        } else {
            None
        },
    )
}

fn double(input: &mut Input<'_>) -> Result<f64> {
    Element::decode(input, Nesting::Nested)
}

/// Strings with their number before them.
fn strings(input: &mut Input<'_>) -> Result<BTreeSet<String>> {
    let all: Vec<String> = Element::decode(input, Nesting::Nested)?;
    Ok(all.into_iter().collect())
}

pub(super) fn merged(a: MetricValue, b: MetricValue) -> MetricValue {
    match (a, b) {
        (MetricValue::Counter(a), MetricValue::Counter(b)) => {
            MetricValue::Counter(a.wrapping_add(b))
        }
        (MetricValue::Distribution(a), MetricValue::Distribution(b)) => {
            MetricValue::Distribution(spread(a, b))
        }
        (MetricValue::Gauge(at, value), MetricValue::Gauge(later, _)) if at > later => {
            MetricValue::Gauge(at, value)
        }
        (MetricValue::DoubleSum(a), MetricValue::DoubleSum(b)) => MetricValue::DoubleSum(a + b),
        (MetricValue::DoubleDistribution(a), MetricValue::DoubleDistribution(b)) => {
            MetricValue::DoubleDistribution(double_spread(a, b))
        }
        (MetricValue::DoubleGauge(at, value), MetricValue::DoubleGauge(later, _)) if at > later => {
            MetricValue::DoubleGauge(at, value)
        }
        (MetricValue::StringSet(mut a), MetricValue::StringSet(b)) => {
            a.extend(b);
            MetricValue::StringSet(a)
        }
        (MetricValue::BoundedTrie(mut a), MetricValue::BoundedTrie(b)) => {
            a.merge(b);
            MetricValue::BoundedTrie(a)
        }
        (MetricValue::Histogram(mut a), MetricValue::Histogram(b)) => {
            let merges = a.merge(&b);
            MetricValue::Histogram(if merges { a } else { b })
        }
        // The later gauge, or the later of two histograms whose buckets differ. Metrics of different kinds cannot have one name.
        (_, b) => b,
    }
}

fn spread(a: Spread, b: Spread) -> Spread {
    match (a.count, b.count) {
        (0, _) => b,
        (_, 0) => a,
        _ => Spread {
            count: a.count.wrapping_add(b.count),
            sum: a.sum.wrapping_add(b.sum),
            min: a.min.min(b.min),
            max: a.max.max(b.max),
        },
    }
}

fn double_spread(a: DoubleSpread, b: DoubleSpread) -> DoubleSpread {
    match (a.count, b.count) {
        (0, _) => b,
        (_, 0) => a,
        _ => DoubleSpread {
            count: a.count.wrapping_add(b.count),
            sum: a.sum + b.sum,
            min: a.min.min(b.min),
            max: a.max.max(b.max),
        },
    }
}
