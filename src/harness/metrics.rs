//! Metrics as the runner reads them: monitoring infos, and the short ids that stand for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};

use beam_proto::pipeline::MonitoringInfo;
use beam_proto::urns::MonitoringInfoSpec;
use beam_proto::urns::monitoring_infos::{
    USER_BOUNDED_TRIE, USER_DISTRIBUTION_DOUBLE, USER_HISTOGRAM, USER_LATEST_DOUBLE,
    USER_SET_STRING, USER_SUM_DOUBLE,
};
use bytes::Bytes;
use prost::Message;

use crate::dofn::{MetricCell, Spread};
use crate::element::put_varint;
use crate::model::metrics::{histogram_to_proto, trie_to_proto};

/// What a metric is, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MetricKind {
    pub(crate) urn: &'static str,
    pub(crate) value_type: &'static str,
    pub(crate) labels: BTreeMap<String, String>,
}

impl MetricKind {
    pub(crate) fn new(
        urn: &'static str,
        value_type: &'static str,
        labels: &[(&str, &str)],
    ) -> Self {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        MetricKind {
            urn,
            value_type,
            labels,
        }
    }

    /// The kind as a monitoring info without payload.
    pub(crate) fn info(&self) -> MonitoringInfo {
        MonitoringInfo {
            urn: self.urn.into(),
            r#type: self.value_type.into(),
            labels: self.labels.clone(),
            ..MonitoringInfo::default()
        }
    }
}

/// A metric of a plan: its short id, and everything of its info but the payload, encoded.
pub(crate) struct MetricName {
    pub(crate) short_id: String,
    pub(crate) encoded: Bytes,
}

/// The short ids of a worker. An id stands for the same metric as long as the worker lives.
///
/// Ids of different workers differ as well: Prism keeps one table for all workers of a job, and would take the sum of
/// one SDK for the distribution of another.
pub(crate) struct ShortIds {
    prefix: String,
    table: Mutex<ShortIdTable>,
}

#[derive(Default)]
struct ShortIdTable {
    ids: HashMap<MetricKind, usize>,
    kinds: Vec<MetricKind>,
}

impl ShortIds {
    /// No ids yet, for the worker of this id.
    pub(crate) fn new(worker: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        worker.hash(&mut hasher);
        ShortIds {
            // Other SDKs have plain numbers. 24 bits tell a runner's workers apart, and are sent with each value.
            prefix: format!("fb{:06x}-", hasher.finish() & 0x00ff_ffff),
            table: Mutex::default(),
        }
    }

    /// The name of a metric.
    pub(crate) fn name(&self, kind: MetricKind) -> MetricName {
        let encoded = kind.info().encode_to_vec().into();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let index = match table.ids.get(&kind) {
            Some(index) => *index,
            None => {
                let index = table.kinds.len();
                table.kinds.push(kind.clone());
                table.ids.insert(kind, index);
                index
            }
        };
        MetricName {
            short_id: format!("{}{index:x}", self.prefix),
            encoded,
        }
    }

    /// The metric that an id stands for.
    pub(crate) fn info(&self, short_id: &str) -> Option<MonitoringInfo> {
        let index = usize::from_str_radix(short_id.strip_prefix(&self.prefix)?, 16).ok()?;
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.kinds.get(index).map(MetricKind::info)
    }
}

/// URN and type of a user metric.
pub(crate) fn user_kind(cell: &MetricCell) -> (&'static str, &'static str) {
    match cell {
        MetricCell::Counter(_) => ("beam:metric:user:sum_int64:v1", SUM),
        MetricCell::Distribution(_) => ("beam:metric:user:distribution_int64:v1", DISTRIBUTION),
        MetricCell::Gauge(_) => (
            "beam:metric:user:latest_int64:v1",
            "beam:metrics:latest_int64:v1",
        ),
        MetricCell::DoubleSum(_) => of(&USER_SUM_DOUBLE),
        MetricCell::DoubleDistribution(_) => of(&USER_DISTRIBUTION_DOUBLE),
        MetricCell::DoubleGauge(_) => of(&USER_LATEST_DOUBLE),
        MetricCell::StringSet(_) => of(&USER_SET_STRING),
        MetricCell::BoundedTrie(_) => of(&USER_BOUNDED_TRIE),
        MetricCell::Histogram(_) => of(&USER_HISTOGRAM),
    }
}

fn of(spec: &MonitoringInfoSpec) -> (&'static str, &'static str) {
    (spec.urn, spec.type_urn)
}

/// Value type of sums.
pub(crate) const SUM: &str = "beam:metrics:sum_int64:v1";
/// Value type of distributions.
pub(crate) const DISTRIBUTION: &str = "beam:metrics:distribution_int64:v1";

/// Appends the payload of a user metric; `false` if it was never touched.
pub(crate) fn put_user(cell: &MetricCell, payload: &mut Vec<u8>) -> bool {
    match cell {
        MetricCell::Counter(counter) => put_sum(counter.get(), payload),
        MetricCell::Distribution(distribution) => put_spread(distribution.get(), payload),
        MetricCell::Gauge(gauge) => match gauge.get() {
            None => false,
            Some((millis, value)) => {
                put_varint(payload, millis as u64);
                put_varint(payload, value as u64);
                true
            }
        },
        MetricCell::DoubleSum(sum) => {
            payload.extend(sum.get().to_be_bytes());
            sum.get() != 0.0
        }
        MetricCell::DoubleDistribution(distribution) => distribution.get().is_some_and(|spread| {
            put_varint(payload, spread.count as u64);
            for part in [spread.sum, spread.min, spread.max] {
                payload.extend(part.to_be_bytes());
            }
            true
        }),
        MetricCell::DoubleGauge(gauge) => gauge.get().is_some_and(|(millis, value)| {
            put_varint(payload, millis as u64);
            payload.extend(value.to_be_bytes());
            true
        }),
        MetricCell::StringSet(strings) => strings.with(|set| put_strings(set, payload)),
        MetricCell::BoundedTrie(trie) => {
            let data = trie.get();
            payload.extend(trie_to_proto(&data).encode_to_vec());
            !data.is_empty()
        }
        MetricCell::Histogram(histogram) => histogram.get().is_some_and(|data| {
            payload.extend(histogram_to_proto(data).encode_to_vec());
            true
        }),
    }
}

/// Appends strings with their number before them; `false` if there are none.
fn put_strings(strings: &BTreeSet<String>, payload: &mut Vec<u8>) -> bool {
    // A set has a million bytes at most, so its number of strings is small.
    payload.extend((strings.len() as u32).to_be_bytes());
    for text in strings {
        put_varint(payload, text.len() as u64);
        payload.extend(text.as_bytes());
    }
    !strings.is_empty()
}

/// Appends numbers with their number before them.
pub(crate) fn put_doubles(numbers: &[f64], payload: &mut Vec<u8>) {
    payload.extend((numbers.len() as u32).to_be_bytes());
    for number in numbers {
        payload.extend(number.to_be_bytes());
    }
}

/// Appends a sum; `false` if it is zero.
pub(crate) fn put_sum(sum: i64, payload: &mut Vec<u8>) -> bool {
    put_varint(payload, sum as u64);
    sum != 0
}

/// Appends a distribution; `false` if it is empty.
pub(crate) fn put_spread(spread: Option<Spread>, payload: &mut Vec<u8>) -> bool {
    let Some(Spread {
        count,
        sum,
        min,
        max,
    }) = spread
    else {
        return false;
    };
    for part in [count, sum, min, max] {
        put_varint(payload, part as u64);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dofn::{
        BoundedTrieCell, Buckets, CounterCell, DistributionCell, DoubleDistributionCell,
        DoubleGaugeCell, DoubleSumCell, GaugeCell, HistogramCell, Linear, StringSetCell,
    };

    #[test]
    fn golden_payloads() {
        let payload = |cell| {
            let mut out = Vec::new();
            assert!(put_user(&cell, &mut out));
            out
        };
        let counter = Arc::new(CounterCell::default());
        counter.add(-5);
        counter.add(2);
        assert_eq!(
            payload(MetricCell::Counter(counter)),
            [0xfd, 255, 255, 255, 255, 255, 255, 255, 255, 1]
        );
        let distribution = Arc::new(DistributionCell::default());
        [1, 2, 9].into_iter().for_each(|n| distribution.add(n));
        assert_eq!(
            payload(MetricCell::Distribution(distribution)),
            [3, 12, 1, 9]
        );
        let gauge = Arc::new(GaugeCell::default());
        gauge.set(5, 5);
        gauge.set(300, 7);
        assert_eq!(payload(MetricCell::Gauge(gauge)), [0xac, 2, 7]);
        let strings = Arc::new(StringSetCell::default());
        ["b", "", "äb"].into_iter().for_each(|s| strings.add(s));
        assert_eq!(
            payload(MetricCell::StringSet(strings)),
            b"\0\0\0\x03\0\x01b\x03\xc3\xa4b"
        );
        let trie = Arc::new(BoundedTrieCell::default());
        trie.add(&["a", "b"]);
        assert_eq!(
            payload(MetricCell::BoundedTrie(trie)),
            b"\x08\x64\x1a\x01a\x1a\x01b"
        );
        let buckets = <Linear<0, 1, 3>>::OPTIONS;
        let histogram = Arc::new(HistogramCell::new(buckets));
        for value in [0.0, 1.5, 1.6, 9.0] {
            histogram.add(value);
        }
        // The count; three buckets one wide from zero; their counts.
        assert_eq!(
            payload(MetricCell::Histogram(histogram)),
            b"\x08\x04\x12\x16\x0a\x14\x08\x03\x11\0\0\0\0\0\0\xf0?\x19\0\0\0\0\0\0\0\0\x1a\x03\x01\x02\0"
        );
    }

    #[test]
    fn golden_payloads_of_floating_point_numbers() {
        let payload = |cell| {
            let mut out = Vec::new();
            assert!(put_user(&cell, &mut out));
            out
        };
        let sum = Arc::new(DoubleSumCell::default());
        [1.25, 0.25].into_iter().for_each(|n| sum.add(n));
        let bytes = |n: f64| n.to_be_bytes();
        assert_eq!(bytes(1.5), *b"\x3f\xf8\0\0\0\0\0\0");
        assert_eq!(payload(MetricCell::DoubleSum(sum)), bytes(1.5));
        let spread = Arc::new(DoubleDistributionCell::default());
        [-1.0, 2.5].into_iter().for_each(|n| spread.add(n));
        assert_eq!(
            payload(MetricCell::DoubleDistribution(spread)),
            [&[2][..], &bytes(1.5), &bytes(-1.0), &bytes(2.5)].concat()
        );
        let gauge = Arc::new(DoubleGaugeCell::default());
        gauge.set(300, 1.5);
        assert_eq!(
            payload(MetricCell::DoubleGauge(gauge)),
            [&[0xac, 2][..], &bytes(1.5)].concat()
        );
    }

    #[test]
    fn metrics_that_were_never_touched_have_no_payload() {
        let is_sent = |cell| put_user(&cell, &mut Vec::new());
        assert!(!is_sent(MetricCell::StringSet(Arc::default())));
        assert!(!is_sent(MetricCell::DoubleSum(Arc::default())));
        assert!(!is_sent(MetricCell::DoubleDistribution(Arc::default())));
        assert!(!is_sent(MetricCell::DoubleGauge(Arc::default())));
        assert!(!is_sent(MetricCell::BoundedTrie(Arc::default())));
        let buckets = <Linear<0, 1, 3>>::OPTIONS;
        let histogram = Arc::new(HistogramCell::new(buckets));
        assert!(!is_sent(MetricCell::Histogram(histogram)));
    }

    #[test]
    fn progress_is_a_list_of_numbers() {
        let mut payload = Vec::new();
        put_doubles(&[1.5], &mut payload);
        assert_eq!(payload, b"\0\0\0\x01\x3f\xf8\0\0\0\0\0\0");
    }

    #[test]
    fn a_short_id_stands_for_one_metric() {
        let ids = ShortIds::new("worker");
        let kind = |name| MetricKind::new("beam:metric:user:sum_int64:v1", SUM, &[("NAME", name)]);
        let (a, b) = (ids.name(kind("a")), ids.name(kind("b")));
        assert_ne!(a.short_id, b.short_id);
        assert_eq!(ids.name(kind("a")).short_id, a.short_id);
        assert_eq!(ids.info(&b.short_id).expect("known").labels["NAME"], "b");
        let other = ShortIds::new("another worker");
        assert_ne!(other.name(kind("a")).short_id, a.short_id);
        assert_eq!(other.info(&a.short_id), None);
        assert_eq!(ids.info("ffff"), None);
        assert_eq!(ids.info("no"), None);
    }
}
