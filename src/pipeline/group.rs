//! Grouping by key.

use std::collections::BTreeMap;

use beam_proto::pipeline::{FunctionSpec, PTransform, WindowingStrategy};
use beam_proto::urns::transforms::GROUP_BY_KEY;

use super::graph::{Graph, Like};
use super::site::INPUT;
use super::windowing::continuation;
use super::{PCollection, Pipeline};
use crate::element::{Coder, Element, Iter, Kv, Raw, Schema, coder::urn};
use crate::error::{Error, Result};

/// The tag of an only output.
pub(super) const OUTPUT: &str = "output";

impl<K: Element, V: Element> PCollection<Kv<K, V>> {
    /// Collects the values of each key, per window.
    ///
    /// Keys are compared by their encodings. A key that may be encoded in more than one way is refused; of one whose rows
    /// have fields like that, the log warns.
    pub fn group_by_key(&self, label: &str) -> PCollection<Kv<K, Iter<V>>> {
        group_by_key(&self.pipeline, label, &self.id)
    }
}

impl PCollection<Raw> {
    /// Collects the values of each key, per window, of a collection of pairs.
    pub fn group_by_key(&self, label: &str) -> PCollection<Raw> {
        group_by_key(&self.pipeline, label, &self.id)
    }
}

fn group_by_key<T>(pipeline: &Pipeline, label: &str, input: &str) -> PCollection<T> {
    let outcome = pipeline.graph(|graph| place_grouping(graph, label, input));
    let id = outcome.unwrap_or_else(|error| {
        pipeline.fail(error);
        String::new()
    });
    pipeline.handle(id)
}

/// Places a grouping and yields its output.
pub(super) fn place_grouping(graph: &mut Graph, label: &str, input: &str) -> Result<String> {
    let placement = graph.begin(label, GROUP_BY_KEY);
    let at = |error: Error| error.at("transform", &placement.name);
    let like = graph.like(input).map_err(at)?;
    let coder_id = grouped_coder(graph, &like, &placement.name).map_err(at)?;
    let windowing_strategy_id = grouped_windowing(graph, input).map_err(at)?;
    let like = Like {
        coder_id,
        windowing_strategy_id,
        ..like
    };
    let output = graph.output(&placement, OUTPUT, like);
    let transform = PTransform {
        spec: Some(FunctionSpec {
            urn: GROUP_BY_KEY.into(),
            ..FunctionSpec::default()
        }),
        inputs: BTreeMap::from([(INPUT.into(), input.into())]),
        outputs: BTreeMap::from([(OUTPUT.into(), output.clone())]),
        ..PTransform::default()
    };
    graph.place(placement, transform);
    Ok(output)
}

/// The windowing of groups: that of the elements, whose trigger has fired.
fn grouped_windowing(graph: &mut Graph, input: &str) -> Result<String> {
    let strategy = graph.components.windowing_of_collection(input)?;
    let next = strategy.trigger.as_ref().map(continuation);
    if next == strategy.trigger {
        return Ok(graph
            .components
            .collection(input)?
            .windowing_strategy_id
            .clone());
    }
    let strategy = WindowingStrategy {
        trigger: next,
        ..strategy.clone()
    };
    Ok(graph.components.windowing_of(strategy))
}

/// The coder `kv<K, iterable<V>>` for an input of `kv<K, V>`, made of the very ids of K and V. `name` is that of the
/// grouping.
fn grouped_coder(graph: &mut Graph, input: &Like, name: &str) -> Result<String> {
    let components = &mut graph.components;
    let coder = components.resolve_coder(&input.coder_id)?;
    let (key, value) = pair(&coder)?;
    check_key(key)?;
    warn_of_rows(key, name);
    let [key_id, value_id] = components.coder_parts(&input.coder_id)? else {
        return Err(no_pair(&coder));
    };
    let (key_id, value_id) = (key_id.clone(), value_id.clone());
    let values = Coder::iterable(value.clone());
    let values_id = components.coder_of(&values, vec![value_id]);
    let grouped = Coder::kv(key.clone(), values);
    Ok(components.coder_of(&grouped, vec![key_id, values_id]))
}

/// Key and value of a coder of pairs.
pub(super) fn pair(coder: &Coder) -> Result<(&Coder, &Coder)> {
    match (coder.is(urn::KV), coder.components.as_slice()) {
        (true, [key, value]) => Ok((key, value)),
        _ => Err(no_pair(coder)),
    }
}

#[cold]
fn no_pair(coder: &Coder) -> Error {
    Error::config(format!(
        "grouping needs pairs, but the elements are encoded as {coder}; make pairs of key and value first"
    ))
}

/// Warns of rows as keys of which equal ones may have different encodings: which they are, only their authors know.
fn warn_of_rows(key: &Coder, grouping: &str) {
    let schema = Schema::find_in(key, |schema| schema.unstable_field().is_some());
    if let Some(field) = schema.as_ref().and_then(Schema::unstable_field) {
        tracing::warn!(
            "{grouping:?} groups by rows whose field `{field}` has floating-point numbers or maps: equal ones may have \
             different bytes, and are then different keys; use whole numbers, text or bytes"
        );
    }
}

/// Refuses keys of which equal ones may have different encodings. Coders of our users and of other SDKs are believed.
pub(super) fn check_key(key: &Coder) -> Result<()> {
    let culprit = match key.urn.as_ref() {
        urn::DOUBLE => {
            Some("a number with a fraction has several encodings of zero and of not-a-number")
        }
        urn::ITERABLE | urn::STATE_BACKED_ITERABLE => {
            Some("the same values may be encoded in blocks of different sizes")
        }
        _ => None,
    };
    match culprit {
        None => key.components.iter().try_for_each(check_key),
        Some(why) => Err(Error::config(format!(
            "keys of {key} cannot be grouped: {why}; use whole numbers, text or bytes"
        ))),
    }
}
