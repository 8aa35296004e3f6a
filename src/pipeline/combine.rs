//! Combining.

use std::collections::BTreeMap;

use beam_proto::pipeline::{CombinePayload, FunctionSpec, PTransform, Trigger, trigger};
use beam_proto::urns::transforms::{
    COMBINE_PER_KEY, COMBINE_PER_KEY_CONVERT_TO_ACCUMULATORS, COMBINE_PER_KEY_EXTRACT_OUTPUTS,
    COMBINE_PER_KEY_MERGE_ACCUMULATORS, COMBINE_PER_KEY_PRECOMBINE,
};
use bytes::Bytes;
use prost::Message;

use super::graph::{Graph, Like};
use super::group::{self, OUTPUT, place_grouping};
use super::par_do::function_spec;
use super::site::{INPUT, OutputsAre};
use super::transforms::plain_form;
use super::{PCollection, Pipeline};
use crate::dofn::builtin::{AsKeys, IfEmpty, UnderUnit};
use crate::dofn::{CombineFn, Count, FunctionPayload, Named};
use crate::element::{Coder, Element, Kv, Raw, Transcoder};
use crate::error::{Error, Result};
use crate::window::WindowFn;

impl<K: Element, V: Element> PCollection<Kv<K, V>> {
    /// Combines the values of each key, per window. Runners combine parts of them before they group.
    pub fn combine_per_key<C>(&self, label: &str, combine: C) -> PCollection<Kv<K, C::Out>>
    where
        C: CombineFn<In = V> + Named,
    {
        let combined = combine_per_key(&self.pipeline, label, &self.id, &combine);
        self.pipeline.handle(combined)
    }

    /// Counts the values of each key, per window.
    pub fn count_per_key(&self, label: &str) -> PCollection<Kv<K, i64>> {
        let counted = combine_per_key(&self.pipeline, label, &self.id, &Count::<Raw>::new());
        self.pipeline.handle(counted)
    }
}

impl<T: Element> PCollection<T> {
    /// Combines all elements into one, per window.
    ///
    /// Where there is one window for all of time, the result of no elements is what `combine` makes of none. In other
    /// windows there is no result where there are no elements.
    pub fn combine_globally<C>(&self, label: &str, combine: C) -> PCollection<C::Out>
    where
        C: CombineFn<In = T> + Named,
    {
        let combined = combine_globally(&self.raw(), label, &combine);
        self.pipeline.handle(combined.id)
    }

    /// Counts all elements, per window; as [`combine_globally`](Self::combine_globally).
    pub fn count_globally(&self, label: &str) -> PCollection<i64> {
        let counted = combine_globally(&self.raw(), label, &Count::<Raw>::new());
        self.pipeline.handle(counted.id)
    }

    /// Counts how often each element occurs, per window.
    pub fn count_per_element(&self, label: &str) -> PCollection<Kv<T, i64>> {
        let counted = self.pipeline.scope(label, |_| {
            let keys = self.raw().par_do("Keys", AsKeys);
            keys.count_per_key("Count")
        });
        self.pipeline.handle(counted.id)
    }
}

impl PCollection<Raw> {
    /// Combines the values of each key, per window, of a collection of pairs. The keys may be of any type.
    pub fn combine_values_per_key<C>(&self, label: &str, combine: C) -> PCollection<Raw>
    where
        C: CombineFn + Named,
    {
        let combined = combine_per_key(&self.pipeline, label, &self.id, &combine);
        self.pipeline.handle(combined)
    }
}

fn combine_globally<C>(values: &PCollection<Raw>, label: &str, combine: &C) -> PCollection<Raw>
where
    C: CombineFn + Named,
{
    let pipeline = &values.pipeline;
    pipeline.scope(label, |_| {
        let pairs = values.par_do("Pair", UnderUnit);
        let combined = combine_per_key(pipeline, "Combine", &pairs.id, combine);
        let combined = pipeline.handle::<Kv<(), C::Out>>(combined);
        let results = combined.values("Values").raw();
        if !matches!(values.window_fn(), Ok(Some(WindowFn::Global))) {
            return results;
        }
        let outputs_are = pipeline.graph(|graph| {
            let like = graph.like(&results.id).unwrap_or_default();
            OutputsAre {
                raw: Some(like.coder_id.clone()),
                like,
            }
        });
        let none = plain_form(&combine.finish(combine.zero())).unwrap_or_else(|error| {
            pipeline.fail(error.at("transform", label));
            Vec::new()
        });
        let default = pipeline.impulse("Impulse").par_do_into(
            "Default",
            &IfEmpty::of(&none),
            results.as_list(),
            outputs_are,
        );
        pipeline.flatten("Flatten", [results, default])
    })
}

fn combine_per_key<C>(pipeline: &Pipeline, label: &str, input: &str, combine: &C) -> String
where
    C: CombineFn + Named,
{
    let outcome = payload(pipeline, combine).and_then(|payload| {
        let spec = FunctionSpec {
            urn: COMBINE_PER_KEY.into(),
            payload: payload.clone(),
        };
        pipeline.composite(label, spec, |pipeline| {
            pipeline.graph(|graph| place_stages::<C>(graph, payload, input))
        })
    });
    outcome.unwrap_or_else(|error| {
        pipeline.fail(error.at("transform", label));
        String::new()
    })
}

pub(super) fn payload<C: CombineFn + Named>(pipeline: &Pipeline, combine: &C) -> Result<Bytes> {
    let function = FunctionPayload::of(combine)?;
    let accumulator_coder_id = pipeline.graph(|graph| graph.components.coder(&C::Acc::coder()));
    let payload = CombinePayload {
        combine_fn: Some(function_spec(&function)),
        accumulator_coder_id,
    };
    Ok(Bytes::from(payload.encode_to_vec()))
}

/// Places the parts of a combine and yields its output.
///
/// They are the stages that runners who know combines make of it themselves: those who do not combine before they group
/// as well. The form with `combine_grouped_values` would be shorter, but Java's runners do not know that transform.
fn place_stages<C>(graph: &mut Graph, payload: Bytes, input: &str) -> Result<String>
where
    C: CombineFn + Named,
{
    let coder_id = graph.components.collection(input)?.coder_id.clone();
    let coder = graph.components.resolve_coder(&coder_id)?;
    let (_, value) = group::pair(&coder)?;
    let takes = C::In::coder();
    if Transcoder::check(value, &takes).is_err() {
        return Err(Error::config(format!(
            "{} combines values of {takes}, but these are encoded as {value}; convert them first",
            C::NAME
        )));
    }
    let strategy = graph.components.windowing_of_collection(input)?;
    let (label, urn) = if fires_once(strategy.trigger.as_ref()) {
        ("Precombine", COMBINE_PER_KEY_PRECOMBINE)
    } else {
        // A trigger may count what comes in.
        ("Convert", COMBINE_PER_KEY_CONVERT_TO_ACCUMULATORS)
    };
    let stage = |graph: &mut Graph, label: &str, urn: &str, input: &str, value: Coder| {
        let spec = FunctionSpec {
            urn: urn.into(),
            payload: payload.clone(),
        };
        place_stage(graph, label, C::NAME, spec, input, value)
    };
    let parts = stage(graph, label, urn, input, C::Acc::coder())?;
    let grouped = place_grouping(graph, "GroupByKey", &parts)?;
    let urn = COMBINE_PER_KEY_MERGE_ACCUMULATORS;
    let merged = stage(graph, "Merge", urn, &grouped, C::Acc::coder())?;
    let urn = COMBINE_PER_KEY_EXTRACT_OUTPUTS;
    stage(graph, "Extract", urn, &merged, C::Out::coder())
}

/// Whether a group fires when all of its elements have come, or each for itself.
pub(super) fn fires_once(trigger: Option<&Trigger>) -> bool {
    use trigger::Trigger::{Always, Default, Never};
    let trigger = trigger.and_then(|trigger| trigger.trigger.as_ref());
    matches!(trigger, None | Some(Default(_) | Always(_) | Never(_)))
}

/// Places a stage that turns the values of pairs into some of the coder `value`.
pub(super) fn place_stage(
    graph: &mut Graph,
    label: &str,
    name: &str,
    spec: FunctionSpec,
    input: &str,
    value: Coder,
) -> Result<String> {
    let placement = graph.begin(label, name);
    let like = graph.like(input)?;
    let components = &mut graph.components;
    let coder = components.resolve_coder(&like.coder_id)?;
    let (key, _) = group::pair(&coder)?;
    let value_id = components.coder(&value);
    let [key_id, ..] = components.coder_parts(&like.coder_id)? else {
        return Err(Error::config("grouping needs pairs"));
    };
    let key_id = key_id.clone();
    let pair = Coder::kv(key.clone(), value);
    let coder_id = components.coder_of(&pair, vec![key_id, value_id]);
    let output = graph.output(&placement, OUTPUT, Like { coder_id, ..like });
    let transform = PTransform {
        spec: Some(spec),
        inputs: BTreeMap::from([(INPUT.into(), input.into())]),
        outputs: BTreeMap::from([(OUTPUT.into(), output.clone())]),
        environment_id: graph.components.environment_id().into(),
        ..PTransform::default()
    };
    graph.place(placement, transform);
    Ok(output)
}
