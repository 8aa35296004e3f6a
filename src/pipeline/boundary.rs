//! What goes into composites and comes out of them.

use std::collections::{BTreeMap, BTreeSet};

use beam_proto::pipeline::{Components, PTransform};

use super::components::Kind;

/// Sets the inputs and outputs of the composites among the transforms that were `added`.
///
/// An input is what a part reads and no part makes; an output is what a part makes and is read elsewhere, or nowhere.
pub(super) fn connect_composites(components: &mut Components, added: &[(Kind, String)]) {
    let mut readers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, transform) in leaves(components) {
        for input in transform.inputs.values() {
            readers.entry(input.clone()).or_default().push(id.clone());
        }
    }
    for (kind, id) in added {
        let Some(composite) = components.transforms.get(id) else {
            continue;
        };
        if *kind != Kind::Transform || composite.subtransforms.is_empty() {
            continue;
        }
        let (inputs, outputs) = boundary(components, composite, &readers);
        if let Some(composite) = components.transforms.get_mut(id) {
            composite.inputs = tagged("input", inputs);
            composite.outputs = tagged("output", outputs);
        }
    }
}

fn leaves(components: &Components) -> impl Iterator<Item = (&String, &PTransform)> {
    let all = components.transforms.iter();
    all.filter(|(_, transform)| transform.subtransforms.is_empty())
}

fn boundary(
    components: &Components,
    composite: &PTransform,
    readers: &BTreeMap<String, Vec<String>>,
) -> (Vec<String>, Vec<String>) {
    let mut parts = Vec::new();
    let mut below: Vec<&String> = composite.subtransforms.iter().rev().collect();
    while let Some(id) = below.pop() {
        match components.transforms.get(id) {
            Some(part) if part.subtransforms.is_empty() => parts.push((id, part)),
            Some(part) => below.extend(part.subtransforms.iter().rev()),
            None => {}
        }
    }
    let inside: BTreeSet<&String> = parts.iter().map(|(id, _)| *id).collect();
    let made: BTreeSet<&String> = parts.iter().flat_map(|(_, p)| p.outputs.values()).collect();
    let read = parts.iter().flat_map(|(_, part)| part.inputs.values());
    let inputs = distinct(read.filter(|id| !made.contains(id)));
    let all_made = parts.iter().flat_map(|(_, part)| part.outputs.values());
    let outputs = distinct(all_made.filter(|id| match readers.get(*id) {
        None => true,
        Some(readers) => readers.iter().any(|reader| !inside.contains(reader)),
    }));
    (inputs, outputs)
}

/// The ids in their first order.
fn distinct<'a>(ids: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    ids.filter(|id| seen.insert(*id)).cloned().collect()
}

/// A single collection has the tag `one`; several are numbered.
fn tagged(one: &str, ids: Vec<String>) -> BTreeMap<String, String> {
    match ids.as_slice() {
        [id] => BTreeMap::from([(one.into(), id.clone())]),
        _ => ids
            .into_iter()
            .enumerate()
            .map(|(i, id)| (i.to_string(), id))
            .collect(),
    }
}
