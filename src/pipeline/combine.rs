//! Combining.

use std::collections::BTreeMap;

use beam_proto::pipeline::{CombinePayload, FunctionSpec, PTransform};
use beam_proto::urns::transforms::{COMBINE_GROUPED_VALUES, COMBINE_PER_KEY};
use bytes::Bytes;
use prost::Message;

use super::graph::{Graph, Like};
use super::group::{self, OUTPUT, place_grouping};
use super::par_do::function_spec;
use super::site::INPUT;
use super::{PCollection, Pipeline};
use crate::dofn::builtin::{DefaultIfEmpty, DefaultIfEmptySides, DropUnit, PairWithUnit, UnderUnit};
use crate::dofn::{CombineFn, Count, FunctionPayload, Named};
use crate::element::{Coder, Element, Kv, Nesting, Raw, encoded};
use crate::error::{Error, Result};
use crate::window::WindowFn;

impl<K: Element, V: Element> PCollection<Kv<K, V>> {
    /// Combines the values of each key, per window. Runners combine parts of them before they group.
    pub fn combine_per_key<C>(&self, label: &str, combine: C) -> PCollection<Kv<K, C::Out>>
    where
        C: CombineFn<In = V> + Named,
    {
        let combined = combine_per_key::<C>(&self.pipeline, label, &self.id, &combine);
        self.pipeline.handle(combined)
    }

    /// Counts the values of each key, per window.
    pub fn count_per_key(&self, label: &str) -> PCollection<Kv<K, i64>> {
        let count = Count::<Raw>::new();
        let combined = combine_per_key::<Count<Raw>>(&self.pipeline, label, &self.id, &count);
        self.pipeline.handle(combined)
    }
}

impl PCollection<Raw> {
    /// Combines the values of each key, per window, of a collection of pairs. The keys may be of any type.
    ///
    /// # Errors
    /// The values are not of the type that `combine` takes.
    pub fn combine_values_per_key<C>(&self, label: &str, combine: C) -> Result<PCollection<Raw>>
    where
        C: CombineFn + Named,
    {
        let coder = self.coder()?;
        let (_, value) = group::pair(&coder)?;
        let wanted = C::In::coder();
        if crate::element::Transcoder::between(value, &wanted).is_err() {
            return Err(Error::config(format!(
                "{} combines values of {wanted}, but these are encoded as {value}",
                C::NAME
            )));
        }
        let combined = combine_per_key::<C>(&self.pipeline, label, &self.id, &combine);
        Ok(self.pipeline.handle(combined))
    }
}
