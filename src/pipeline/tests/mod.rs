#![allow(clippy::unwrap_used, reason = "tests")]

mod commits;
mod golden;
mod mistakes;
mod seeded;
mod timers;

use std::collections::BTreeMap;

use beam_proto::pipeline::{Components, Environment, PTransform};

use super::*;
use crate::dofn::{Step, Steps, steps};
use crate::element::Kv;

/// Pairs of words and one.
fn ones() -> Steps<String, impl Step<String, Out = Kv<String, i64>>> {
    steps("test.ones/v1").map(|word: String| Kv(word, 1))
}

fn built(pipeline: &Pipeline) -> Built {
    pipeline.build(&Environment::default()).unwrap()
}

fn refused(pipeline: &Pipeline) -> String {
    let error = pipeline.build(&Environment::default()).unwrap_err();
    error.to_string()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

/// The transform with this full name.
fn transform<'a>(built: &'a Built, name: &str) -> &'a PTransform {
    let mut all = built.components.transforms.values();
    all.find(|transform| transform.unique_name == name)
        .unwrap_or_else(|| panic!("no transform is called {name:?}"))
}

/// One line for each transform that was added: id, name, URN, inputs, outputs, parts.
fn transforms(built: &Built) -> Vec<String> {
    let added = built.added.iter();
    added
        .filter(|(kind, _)| *kind == Kind::Transform)
        .map(|(_, id)| {
            let t = &built.components.transforms[id];
            let urn = t.spec.as_ref().map_or("-", |spec| &spec.urn);
            let tags = |tags: &BTreeMap<String, String>| {
                let all: Vec<_> = tags.iter().map(|(tag, id)| format!("{tag}={id}")).collect();
                all.join(",")
            };
            let (inputs, outputs) = (tags(&t.inputs), tags(&t.outputs));
            let parts = t.subtransforms.join(",");
            let name = &t.unique_name;
            let place = &t.environment_id;
            format!("{id} {name} {urn} [{inputs}] [{outputs}] [{parts}] {place}")
        })
        .collect()
}

/// One line for each coder.
fn coders(components: &Components) -> Vec<String> {
    let all = components.coders.iter();
    all.map(|(id, coder)| {
        let urn = &coder.spec.as_ref().unwrap().urn;
        format!("{id} {urn} {}", coder.component_coder_ids.join(","))
    })
    .collect()
}
