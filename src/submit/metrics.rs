//! Metrics of a job.

use std::collections::{BTreeMap, HashMap};

use beam_proto::job::MetricResults;
use beam_proto::pipeline::{MonitoringInfo, Pipeline};
use beam_proto::urns::monitoring_info_labels as labels;
use beam_proto::urns::monitoring_infos::{
    USER_DISTRIBUTION_INT64, USER_LATEST_INT64, USER_SUM_INT64,
};

use crate::dofn::{MetricId, Spread};
use crate::element::{Input, Timestamp};
use crate::error::{Context, Result};

/// Full names of transforms by id.
pub(super) type Names = HashMap<String, String>;

/// The value of a user metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricValue {
    /// A sum.
    Counter(i64),
    /// Count, sum, least and greatest.
    Distribution(Spread),
    /// The latest value, and when it was set.
    Gauge(Timestamp, i64),
}

/// The metrics that functions kept during a job.
///
/// A metric is named by the function's name without its version, the port's name, and the full name of the transform.
/// Values are those of committed bundles where the runner tells them apart, else of all attempts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobMetrics(BTreeMap<MetricId, MetricValue>);

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
                let Some(id) = id(info, names) else { continue };
                let Some(value) = value(info).at("metric", &id.name)? else {
                    continue;
                };
                // A transform may have several infos, one for each bundle or stage.
                all.entry(id)
                    .and_modify(|sum| *sum = merged(*sum, value))
                    .or_insert(value);
            }
            metrics.0.extend(all);
        }
        Ok(metrics)
    }

    /// All metrics.
    pub fn iter(&self) -> impl Iterator<Item = (&MetricId, MetricValue)> {
        self.0.iter().map(|(id, value)| (id, *value))
    }

    /// The metrics of the transform with this full name.
    #[must_use]
    pub fn of_transform(&self, name: &str) -> Self {
        let all = self.0.iter();
        let kept = all.filter(|(id, _)| id.transform == name);
        JobMetrics(kept.map(|(id, value)| (id.clone(), *value)).collect())
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

    fn total(&self, namespace: &str, name: &str) -> Option<MetricValue> {
        let all = self.0.iter();
        let named = all.filter(|(id, _)| id.namespace == namespace && id.name == name);
        named.map(|(_, value)| *value).reduce(merged)
    }
}

fn id(info: &MonitoringInfo, names: &Names) -> Option<MetricId> {
    let label = |name: &str| info.labels.get(name).cloned();
    let transform = label(labels::TRANSFORM)?;
    Some(MetricId {
        transform: names.get(&transform).cloned().unwrap_or(transform),
        namespace: label(labels::NAMESPACE)?,
        name: label(labels::NAME)?,
    })
}

/// The value of a user metric of a kind that functions here can keep.
fn value(info: &MonitoringInfo) -> Result<Option<MetricValue>> {
    let mut input = Input::new(&info.payload);
    let mut number = || input.varint().map(|n| n as i64);
    Ok(if info.urn == USER_SUM_INT64.urn {
        Some(MetricValue::Counter(number()?))
    } else if info.urn == USER_DISTRIBUTION_INT64.urn {
        Some(MetricValue::Distribution(Spread {
            count: number()?,
            sum: number()?,
            min: number()?,
            max: number()?,
        }))
    } else if info.urn == USER_LATEST_INT64.urn {
        let at = Timestamp::from_millis(number()?);
        Some(MetricValue::Gauge(at, number()?))
    } else {
        None
    })
}

fn merged(a: MetricValue, b: MetricValue) -> MetricValue {
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
        // The later gauge. Metrics of different kinds cannot have one name.
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

#[cfg(test)]
mod tests {
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
    fn damaged_payloads_are_errors() {
        let results = MetricResults {
            attempted: vec![info(USER_SUM_INT64.urn, "t1", b"\x80")],
            committed: Vec::new(),
        };
        let error = JobMetrics::read(results, &Names::new()).expect_err("cut");
        assert_eq!(error.place("metric"), Some("m"));
    }
}
