//! Metrics as the runner reads them.

use std::collections::{BTreeMap, BTreeSet};

use beam_proto::pipeline::MonitoringInfo;
use bytes::Bytes;

use crate::dofn::{Spread, Work};
use crate::element::{Element, Input, Nesting};
use crate::error::{Error, Result};

/// The metrics of one answer.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Vec<MonitoringInfo>);

impl Metrics {
    /// The metrics of full infos.
    pub fn new(infos: Vec<MonitoringInfo>) -> Self {
        Metrics(infos)
    }

    /// All of them, as they were sent.
    pub fn infos(&self) -> &[MonitoringInfo] {
        &self.0
    }

    fn payload(&self, urn: &str, labels: &[(&str, &str)]) -> Option<Input<'_>> {
        let info = self.0.iter().find(|info| {
            let label = |(name, value): &(&str, &str)| {
                info.labels.get(*name).is_some_and(|known| known == value)
            };
            info.urn == urn && labels.iter().all(label)
        });
        info.map(|info| Input::new(&info.payload))
    }

    fn sum(&self, urn: &str, labels: &[(&str, &str)]) -> Option<i64> {
        let value = self.payload(urn, labels)?.varint().ok()?;
        Some(value as i64)
    }

    fn spread(&self, urn: &str, labels: &[(&str, &str)]) -> Option<Spread> {
        read_spread(self.payload(urn, labels)?).ok()
    }

    /// The sum of a user's counter.
    pub fn counter(&self, transform: &str, name: &str) -> Option<i64> {
        self.sum("beam:metric:user:sum_int64:v1", &user(transform, name))
    }

    /// A user's distribution.
    pub fn distribution(&self, transform: &str, name: &str) -> Option<Spread> {
        let urn = "beam:metric:user:distribution_int64:v1";
        self.spread(urn, &user(transform, name))
    }

    /// When a user's gauge was set, in milliseconds since 1970, and to what.
    pub fn gauge(&self, transform: &str, name: &str) -> Option<(i64, i64)> {
        let urn = "beam:metric:user:latest_int64:v1";
        let mut payload = self.payload(urn, &user(transform, name))?;
        let (millis, value) = (payload.varint().ok()?, payload.varint().ok()?);
        Some((millis as i64, value as i64))
    }

    /// How many elements a collection has.
    pub fn element_count(&self, collection: &str) -> Option<i64> {
        let labels = [("PCOLLECTION", collection)];
        self.sum("beam:metric:element_count:v1", &labels)
    }

    /// Encoded sizes of some elements of a collection, in bytes.
    pub fn sampled_sizes(&self, collection: &str) -> Option<Spread> {
        let labels = [("PCOLLECTION", collection)];
        self.spread("beam:metric:sampled_byte_size:v1", &labels)
    }

    /// While a bundle runs, the index of the element of a source that is in hand; after it, the number of all.
    pub fn read_index(&self, source: &str) -> Option<i64> {
        let labels = [("PTRANSFORM", source)];
        self.sum("beam:metric:data_channel:read_index:v1", &labels)
    }

    /// How much of the work that a transform has in hand is done, and how much is left.
    pub fn work(&self, transform: &str) -> Option<Work> {
        let read = |urn| {
            let mut payload = self.payload(urn, &[("PTRANSFORM", transform)])?;
            Vec::<f64>::decode(&mut payload, Nesting::Outer).ok()?.pop()
        };
        Some(Work {
            completed: read("beam:metric:ptransform_progress:completed:v1")?,
            remaining: read("beam:metric:ptransform_progress:remaining:v1")?,
        })
    }

    /// Milliseconds that a transform spent in all.
    pub fn total_millis(&self, transform: &str) -> Option<i64> {
        let urn = "beam:metric:ptransform_execution_time:total_msecs:v1";
        self.sum(urn, &[("PTRANSFORM", transform)])
    }
}

fn user<'a>(transform: &'a str, name: &'a str) -> [(&'a str, &'a str); 2] {
    [("PTRANSFORM", transform), ("NAME", name)]
}

fn read_spread(mut payload: Input<'_>) -> Result<Spread> {
    let mut next = || payload.varint().map(|value| value as i64);
    let spread = Spread {
        count: next()?,
        sum: next()?,
        min: next()?,
        max: next()?,
    };
    if payload.is_empty() {
        Ok(spread)
    } else {
        Err(Error::decode("bytes are left over after a distribution"))
    }
}

/// What is wrong with the metrics of one answer; nothing, mostly.
///
/// `infos` are full, `data` is by short id, and `names` tells what the short ids that are known stand for.
pub(super) fn faults(
    infos: &[MonitoringInfo],
    data: &BTreeMap<String, Bytes>,
    names: &BTreeMap<String, MonitoringInfo>,
    short_ids: bool,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for info in infos {
        if !seen.insert((&info.urn, &info.labels)) {
            faults.push(format!("{} {:?} is sent twice", info.urn, info.labels));
        }
        if info.r#type.is_empty() {
            faults.push(format!("{} has no type", info.urn));
        }
    }
    if short_ids && !infos.is_empty() {
        faults.push("full infos are sent to a runner that knows short ids".into());
    }
    if !short_ids && infos.len() != data.len() {
        let (full, short) = (infos.len(), data.len());
        faults.push(format!(
            "there are {full} full infos, but {short} short ids"
        ));
    }
    for (id, payload) in data {
        let Some(name) = names.get(id) else { continue };
        let full = infos
            .iter()
            .find(|info| info.urn == name.urn && info.labels == name.labels);
        if full.is_some_and(|full| full.payload != *payload) {
            faults.push(format!("short id {id} differs from its full info"));
        }
    }
    faults
}
