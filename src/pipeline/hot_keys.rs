//! Combining where a few keys have most of the values.

use std::num::NonZeroU32;

use beam_proto::pipeline::{FunctionSpec, accumulation_mode};
use beam_proto::urns::transforms::{
    COMBINE_PER_KEY_EXTRACT_OUTPUTS, COMBINE_PER_KEY_MERGE_ACCUMULATORS, COMBINE_PER_KEY_PRECOMBINE,
};
use bytes::Bytes;

use super::PCollection;
use super::combine::{fires_once, payload, place_stage};
use super::graph::Graph;
use super::group::{self, place_grouping};
use super::site::OutputsAre;
use crate::dofn::builtin::{Shard, Unshard};
use crate::dofn::{CombineFn, Named};
use crate::element::{Coder, Element, Kv, Raw};
use crate::error::{Error, Result};

impl<K: Element, V: Element> PCollection<Kv<K, V>> {
    /// As [`combine_per_key`](Self::combine_per_key), for keys that have more values than one worker can combine: each
    /// becomes `shards` keys first, whose results are merged.
    ///
    /// The windows must fire once.
    pub fn combine_hot_keys<C>(
        &self,
        label: &str,
        combine: C,
        shards: NonZeroU32,
    ) -> PCollection<Kv<K, C::Out>>
    where
        C: CombineFn<In = V> + Named,
    {
        let pipeline = &self.pipeline;
        let id = pipeline.scope(label, |_| {
            self.place_hot_keys::<C>(&combine, shards)
                .unwrap_or_else(|error| {
                    pipeline.fail(error.at("transform", label));
                    String::new()
                })
        });
        pipeline.handle(id)
    }

    fn place_hot_keys<C>(&self, combine: &C, shards: NonZeroU32) -> Result<String>
    where
        C: CombineFn<In = V> + Named,
    {
        let pipeline = &self.pipeline;
        let strategy = self.windowing_strategy()?;
        let accumulates = strategy.accumulation_mode() == accumulation_mode::Enum::Accumulating;
        // A shard that repeats what it has put out would be counted twice.
        if accumulates || !fires_once(strategy.trigger.as_ref()) {
            return Err(Error::config(
                "the shards of hot keys would fire apart from each other; combine them in windows that fire once",
            ));
        }
        let payload = payload(pipeline, combine)?;
        let stage = |graph: &mut Graph, label: &str, urn: &str, input: &str, value: Coder| {
            let spec = FunctionSpec {
                urn: urn.into(),
                payload: Bytes::clone(&payload),
            };
            place_stage(graph, label, C::NAME, spec, input, value)
        };
        let (accumulator, merge) = (C::Acc::coder(), COMBINE_PER_KEY_MERGE_ACCUMULATORS);

        let pairs = pipeline.handle::<Kv<Raw, Raw>>(self.id.clone());
        let coder = self.coder()?;
        let (key, value) = group::pair(&coder)?;
        let sharded = Coder::kv(Coder::kv(key.clone(), i64::coder()), value.clone());
        let sharded = outputs_of(self, &sharded)?;
        let sharded = pairs.par_do_into("Shard", &Shard::new(shards.get()), (), sharded);
        let parts = pipeline.graph(|graph| {
            let urn = COMBINE_PER_KEY_PRECOMBINE;
            let parts = stage(graph, "Precombine", urn, &sharded.id, accumulator.clone())?;
            let grouped = place_grouping(graph, "Group shards", &parts)?;
            stage(graph, "Merge shards", merge, &grouped, accumulator.clone())
        })?;

        let pairs = pipeline.handle::<Kv<Kv<Raw, i64>, Raw>>(parts);
        let whole = outputs_of(&pairs, &Coder::kv(key.clone(), accumulator.clone()))?;
        let whole = pairs.par_do_into("Unshard", &Unshard, (), whole);
        pipeline.graph(|graph| {
            let grouped = place_grouping(graph, "Group", &whole.id)?;
            let merged = stage(graph, "Merge", merge, &grouped, accumulator.clone())?;
            let urn = COMBINE_PER_KEY_EXTRACT_OUTPUTS;
            stage(graph, "Extract", urn, &merged, C::Out::coder())
        })
    }
}

/// Outputs like a collection, with a coder of their own.
fn outputs_of<T>(like: &PCollection<T>, coder: &Coder) -> Result<OutputsAre> {
    like.pipeline.graph(|graph| {
        Ok(OutputsAre {
            like: graph.like(&like.id)?,
            raw: Some(graph.components.coder(coder)),
        })
    })
}
