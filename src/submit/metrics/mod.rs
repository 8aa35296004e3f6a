//! Metrics of a job.

mod value;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use beam_proto::job::MetricResults;
use beam_proto::pipeline::{MonitoringInfo, Pipeline};
use beam_proto::urns::monitoring_info_labels as labels;
use beam_proto::urns::monitoring_infos::{ELEMENT_COUNT, SAMPLED_BYTE_SIZE, TOTAL_MSECS};

pub use value::MetricValue;
use value::{merged, value};

use crate::dofn::{BoundedTrieData, DoubleSpread, HistogramData, MetricId, Spread};
use crate::error::{Context, Result};

/// Full names of transforms by id.
pub(super) type Names = HashMap<String, String>;

/// The metrics of a job: those that its functions kept, and what the workers measured of collections and transforms.
///
/// A function's metric is named by the function's name without its version, the port's name, and the full name of the
/// transform. Values are those of committed bundles where the runner tells them apart, else of all attempts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobMetrics {
    functions: BTreeMap<MetricId, MetricValue>,
    /// By kind, and the collection or transform that was measured.
    workers: BTreeMap<(Measured, String), MetricValue>,
}

/// What workers measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Measured {
    /// How many elements a collection has, by its id.
    Elements,
    /// How large its elements are.
    Sizes,
    /// How long a transform took, by its full name.
    Time,
}

/// What a monitoring info is about.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Function(MetricId),
    Worker(Measured, String),
}

impl JobMetrics {
    /// The metrics that a runner tells of a pipeline.
    ///
    /// # Errors
    /// Metrics that cannot be read.
    pub fn of(results: MetricResults, pipeline: &Pipeline) -> Result<Self> {
        Self::read(results, &super::names(pipeline))
    }

    pub(super) fn read(results: MetricResults, names: &Names) -> Result<Self> {
        let mut metrics = JobMetrics::default();
        for infos in [&results.attempted, &results.committed] {
            let mut all = BTreeMap::new();
            for info in infos {
                let Some(key) = key(info, names) else {
                    continue;
                };
                let Some(value) = value(info).at("metric", key.name())? else {
                    continue;
                };
                // A transform may have several infos, one for each bundle or stage.
                let sum = match all.remove(&key) {
                    Some(before) => merged(before, value),
                    None => value,
                };
                all.insert(key, sum);
            }
            for (key, value) in all {
                match key {
                    Key::Function(id) => metrics.functions.insert(id, value),
                    Key::Worker(what, of) => metrics.workers.insert((what, of), value),
                };
            }
        }
        Ok(metrics)
    }

    /// All metrics of functions.
    pub fn iter(&self) -> impl Iterator<Item = (&MetricId, &MetricValue)> {
        self.functions.iter()
    }

    /// The metrics of the transform with this full name.
    #[must_use]
    pub fn of_transform(&self, name: &str) -> Self {
        let mut kept = self.clone();
        kept.functions.retain(|id, _| id.transform == name);
        let time = |(what, of): &(Measured, String)| *what == Measured::Time && of == name;
        kept.workers.retain(|key, _| time(key));
        kept
    }

    /// How many elements the workers have put into a collection, which its
    /// [id](crate::pipeline::PCollection::id) names. Not all runners tell.
    pub fn element_count(&self, collection: &str) -> Option<i64> {
        match self.measured(Measured::Elements, collection)? {
            MetricValue::Counter(count) => Some(*count),
            _ => None,
        }
    }

    /// How many bytes elements of a collection have, as far as they were measured: not every element is. Not all
    /// runners tell.
    pub fn element_sizes(&self, collection: &str) -> Option<Spread> {
        match self.measured(Measured::Sizes, collection)? {
            MetricValue::Distribution(spread) => Some(*spread),
            _ => None,
        }
    }

    /// How long the workers were busy with the transform of this full name, all of them together. Not all runners tell.
    pub fn busy(&self, transform: &str) -> Option<Duration> {
        match self.measured(Measured::Time, transform)? {
            MetricValue::Counter(millis) => u64::try_from(*millis).ok().map(Duration::from_millis),
            _ => None,
        }
    }

    fn measured(&self, what: Measured, of: &str) -> Option<&MetricValue> {
        self.workers.get(&(what, of.to_owned()))
    }

    /// A counter, summed over all transforms that have it.
    pub fn counter(&self, namespace: &str, name: &str) -> Option<i64> {
        match self.total(namespace, name)? {
            MetricValue::Counter(sum) => Some(sum),
            _ => None,
        }
    }

    /// A distribution over all transforms that have it.
    pub fn distribution(&self, namespace: &str, name: &str) -> Option<Spread> {
        match self.total(namespace, name)? {
            MetricValue::Distribution(spread) => Some(spread),
            _ => None,
        }
    }

    /// The latest value of a gauge over all transforms that have it.
    pub fn gauge(&self, namespace: &str, name: &str) -> Option<i64> {
        match self.total(namespace, name)? {
            MetricValue::Gauge(_, value) => Some(value),
            _ => None,
        }
    }

    /// A sum of floating-point numbers over all transforms that have it.
    pub fn double_sum(&self, namespace: &str, name: &str) -> Option<f64> {
        match self.total(namespace, name)? {
            MetricValue::DoubleSum(sum) => Some(sum),
            _ => None,
        }
    }

    /// A distribution of floating-point numbers over all transforms that have it.
    pub fn double_distribution(&self, namespace: &str, name: &str) -> Option<DoubleSpread> {
        match self.total(namespace, name)? {
            MetricValue::DoubleDistribution(spread) => Some(spread),
            _ => None,
        }
    }

    /// The latest value of a gauge of floating-point numbers over all transforms that have it.
    pub fn double_gauge(&self, namespace: &str, name: &str) -> Option<f64> {
        match self.total(namespace, name)? {
            MetricValue::DoubleGauge(_, value) => Some(value),
            _ => None,
        }
    }

    /// The strings of a set over all transforms that have it.
    pub fn string_set(&self, namespace: &str, name: &str) -> Option<BTreeSet<String>> {
        match self.total(namespace, name)? {
            MetricValue::StringSet(strings) => Some(strings),
            _ => None,
        }
    }

    /// The paths of a trie over all transforms that have it.
    pub fn bounded_trie(&self, namespace: &str, name: &str) -> Option<BoundedTrieData> {
        match self.total(namespace, name)? {
            MetricValue::BoundedTrie(paths) => Some(paths),
            _ => None,
        }
    }

    /// A histogram over all transforms that have it.
    pub fn histogram(&self, namespace: &str, name: &str) -> Option<HistogramData> {
        match self.total(namespace, name)? {
            MetricValue::Histogram(data) => Some(data),
            _ => None,
        }
    }

    fn total(&self, namespace: &str, name: &str) -> Option<MetricValue> {
        let all = self.functions.iter();
        let named = all.filter(|(id, _)| id.namespace == namespace && id.name == name);
        named.map(|(_, value)| value.clone()).reduce(merged)
    }
}

impl Key {
    fn name(&self) -> &str {
        match self {
            Key::Function(id) => &id.name,
            Key::Worker(_, of) => of,
        }
    }
}

fn key(info: &MonitoringInfo, names: &Names) -> Option<Key> {
    let label = |name: &str| info.labels.get(name).cloned();
    let transform = || {
        let id = label(labels::TRANSFORM)?;
        Some(names.get(&id).cloned().unwrap_or(id))
    };
    let collection = || label(labels::PCOLLECTION);
    Some(if info.urn == ELEMENT_COUNT.urn {
        Key::Worker(Measured::Elements, collection()?)
    } else if info.urn == SAMPLED_BYTE_SIZE.urn {
        Key::Worker(Measured::Sizes, collection()?)
    } else if info.urn == TOTAL_MSECS.urn {
        Key::Worker(Measured::Time, transform()?)
    } else {
        Key::Function(MetricId {
            transform: transform()?,
            namespace: label(labels::NAMESPACE)?,
            name: label(labels::NAME)?,
        })
    })
}

#[cfg(test)]
mod tests {
    use beam_proto::urns::monitoring_infos::{
        USER_BOUNDED_TRIE, USER_DISTRIBUTION_DOUBLE, USER_DISTRIBUTION_INT64, USER_HISTOGRAM,
        USER_LATEST_DOUBLE, USER_LATEST_INT64, USER_SET_STRING, USER_SUM_DOUBLE, USER_SUM_INT64,
    };
    use bytes::Bytes;

    use super::*;

    fn info(urn: &str, transform: &str, payload: &'static [u8]) -> MonitoringInfo {
        let all = [
            ("PTRANSFORM", transform),
            ("NAMESPACE", "ns"),
            ("NAME", "m"),
        ];
        MonitoringInfo {
            urn: urn.into(),
            payload: Bytes::from_static(payload),
            labels: all.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            ..MonitoringInfo::default()
        }
    }

    fn read(attempted: Vec<MonitoringInfo>, committed: Vec<MonitoringInfo>) -> JobMetrics {
        let names = HashMap::from([("t1".to_owned(), "A/B".to_owned())]);
        let results = MetricResults {
            attempted,
            committed,
        };
        JobMetrics::read(results, &names).expect("valid")
    }

    #[test]
    fn values_are_summed_over_bundles_and_transforms() {
        let sum = USER_SUM_INT64.urn;
        let infos = vec![
            info(sum, "t1", b"\x02"),
            info(sum, "t1", b"\x03"),
            info(sum, "t2", b"\x04"),
        ];
        let metrics = read(infos, Vec::new());
        assert_eq!(metrics.counter("ns", "m"), Some(9));
        assert_eq!(metrics.of_transform("A/B").counter("ns", "m"), Some(5));
        assert_eq!(metrics.counter("ns", "other"), None);
        assert_eq!(metrics.distribution("ns", "m"), None);
        assert_eq!(metrics.iter().count(), 2);
    }

    #[test]
    fn committed_values_win() {
        let sum = USER_SUM_INT64.urn;
        let metrics = read(
            vec![info(sum, "t1", b"\x09"), info(sum, "t2", b"\x01")],
            vec![info(sum, "t1", b"\x03")],
        );
        assert_eq!(metrics.counter("ns", "m"), Some(4));
    }

    #[test]
    fn what_workers_measure_is_summed_by_what_it_is_of() {
        let of = |spec: &str, label: &str, name: &str, payload: &'static [u8]| MonitoringInfo {
            urn: spec.into(),
            payload: Bytes::from_static(payload),
            labels: [(label.to_owned(), name.to_owned())].into(),
            ..MonitoringInfo::default()
        };
        let metrics = read(
            vec![
                of(ELEMENT_COUNT.urn, "PCOLLECTION", "c", b"\x02"),
                of(ELEMENT_COUNT.urn, "PCOLLECTION", "c", b"\x03"),
                of(
                    SAMPLED_BYTE_SIZE.urn,
                    "PCOLLECTION",
                    "c",
                    b"\x02\x07\x03\x04",
                ),
                of(TOTAL_MSECS.urn, "PTRANSFORM", "t1", b"\x14"),
            ],
            Vec::new(),
        );
        assert_eq!(metrics.element_count("c"), Some(5));
        assert_eq!(metrics.element_count("other"), None);
        assert_eq!(metrics.element_sizes("c").map(|sizes| sizes.max), Some(4));
        assert_eq!(metrics.busy("A/B"), Some(Duration::from_millis(20)));
        assert_eq!(metrics.of_transform("A/B").busy("A/B"), metrics.busy("A/B"));
        assert_eq!(metrics.of_transform("A/B").element_count("c"), None);
        assert_eq!(metrics.iter().count(), 0);
    }

    #[test]
    fn distributions_and_gauges_are_merged() {
        let urn = USER_DISTRIBUTION_INT64.urn;
        let metrics = read(
            vec![
                info(urn, "a", b"\x02\x07\x03\x04"),
                info(urn, "b", b"\x01\x01\x01\x01"),
            ],
            Vec::new(),
        );
        let spread = Spread {
            count: 3,
            sum: 8,
            min: 1,
            max: 4,
        };
        assert_eq!(metrics.distribution("ns", "m"), Some(spread));
        let urn = USER_LATEST_INT64.urn;
        let metrics = read(
            vec![info(urn, "a", b"\x05\x2a"), info(urn, "b", b"\x04\x01")],
            Vec::new(),
        );
        assert_eq!(metrics.gauge("ns", "m"), Some(42));
    }

    #[test]
    fn floating_point_numbers_are_merged() {
        let one_and_a_half = b"\x3f\xf8\0\0\0\0\0\0";
        let urn = USER_SUM_DOUBLE.urn;
        let infos = vec![
            info(urn, "a", one_and_a_half),
            info(urn, "b", one_and_a_half),
        ];
        assert_eq!(read(infos, Vec::new()).double_sum("ns", "m"), Some(3.0));
        let urn = USER_DISTRIBUTION_DOUBLE.urn;
        let payload = b"\x01\x3f\xf8\0\0\0\0\0\0\x3f\xf8\0\0\0\0\0\0\x3f\xf8\0\0\0\0\0\0";
        let infos = vec![info(urn, "a", payload), info(urn, "b", payload)];
        let spread = DoubleSpread {
            count: 2,
            sum: 3.0,
            min: 1.5,
            max: 1.5,
        };
        let metrics = read(infos, Vec::new());
        assert_eq!(metrics.double_distribution("ns", "m"), Some(spread));
        let urn = USER_LATEST_DOUBLE.urn;
        let infos = vec![info(urn, "a", b"\x05\x3f\xf8\0\0\0\0\0\0")];
        assert_eq!(read(infos, Vec::new()).double_gauge("ns", "m"), Some(1.5));
    }

    #[test]
    fn sets_tries_and_histograms_are_merged() {
        let urn = USER_SET_STRING.urn;
        let metrics = read(
            vec![
                info(urn, "a", b"\0\0\0\x02\x01x\x01y"),
                info(urn, "b", b"\0\0\0\x01\x01z"),
                info(urn, "b", b"\0\0\0\x01\x01x"),
            ],
            Vec::new(),
        );
        let strings = metrics.string_set("ns", "m").expect("a set");
        assert_eq!(strings.into_iter().collect::<Vec<_>>(), ["x", "y", "z"]);
        let urn = USER_BOUNDED_TRIE.urn;
        let metrics = read(
            vec![
                info(urn, "a", b"\x08\x64\x1a\x01a\x1a\x01b"),
                info(urn, "b", b"\x08\x64\x1a\x01c"),
            ],
            Vec::new(),
        );
        let paths = metrics.bounded_trie("ns", "m").expect("a trie").paths();
        let paths: Vec<_> = paths.iter().map(|path| path.segments.join("/")).collect();
        assert_eq!(paths, ["a/b", "c"]);
        let urn = USER_HISTOGRAM.urn;
        let payload = b"\x08\x03\x12\x06\x12\x04\x08\x02\x10\x00\x1a\x02\x01\x02";
        let metrics = read(
            vec![info(urn, "a", payload), info(urn, "b", payload)],
            Vec::new(),
        );
        let data = metrics.histogram("ns", "m").expect("a histogram");
        assert_eq!((data.count, &*data.counts), (6, &[2, 4][..]));
    }

    #[test]
    fn damaged_payloads_are_errors() {
        let results = MetricResults {
            attempted: vec![info(USER_SUM_INT64.urn, "t1", b"\x80")],
            committed: Vec::new(),
        };
        let error = JobMetrics::read(results, &Names::new()).expect_err("cut");
        assert_eq!(error.place("metric"), Some("m"));
    }
}
