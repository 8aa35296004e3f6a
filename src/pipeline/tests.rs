#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use beam_proto::pipeline::{
    Coder as CoderProto, CombinePayload, Components, Environment, FunctionSpec,
    PCollection as CollectionProto, ParDoPayload, WindowingStrategy,
};
use prost::Message;

use super::*;
use crate::dofn::{FunctionPayload, Step, Steps, Sum, steps};
use crate::element::{Kv, Raw};
use crate::window::{FixedWindows, WindowFn};

fn words() -> Steps<String, impl Step<String, Out = Kv<String, i64>>> {
    steps("test.words/v1").map(|word: String| Kv(word, 1))
}

fn built(pipeline: &Pipeline) -> Built {
    pipeline.build(&Environment::default()).unwrap()
}

fn refused(pipeline: &Pipeline) -> String {
    let error = pipeline.build(&Environment::default()).unwrap_err();
    error.to_string()
}

/// One line for each transform: id, name, URN, inputs, outputs, parts.
fn lines(components: &Components, added: &[(Kind, String)]) -> Vec<String> {
    let transforms = added.iter().filter(|(kind, _)| *kind == Kind::Transform);
    transforms
        .map(|(_, id)| {
            let t = &components.transforms[id];
            let urn = t.spec.as_ref().map_or("-", |spec| &spec.urn);
            let tags = |tags: &BTreeMap<String, String>| {
                let all: Vec<_> = tags.iter().map(|(tag, id)| format!("{tag}={id}")).collect();
                all.join(",")
            };
            let (inputs, outputs) = (tags(&t.inputs), tags(&t.outputs));
            let parts = t.subtransforms.join(",");
            format!(
                "{id} {} {urn} [{inputs}] [{outputs}] [{parts}]",
                t.unique_name
            )
        })
        .collect()
}

fn coders(components: &Components) -> Vec<String> {
    let all = components.coders.iter();
    all.map(|(id, coder)| {
        let urn = &coder.spec.as_ref().unwrap().urn;
        format!("{id} {urn} {:?}", coder.component_coder_ids)
    })
    .collect()
}

#[test]
fn a_small_pipeline_is_what_it_always_was() {
    let pipeline = Pipeline::new();
    let lines_read = pipeline.create("Lines", ["a".to_owned()]);
    let _counts = lines_read
        .steps("Words", words())
        .combine_per_key("Count", Sum::<i64>::new());
    let built = built(&pipeline);
    assert_eq!(built.environment, "fb_env_0");
    assert_eq!(lines(&built.components, &built.added), ["",]);
    assert_eq!(coders(&built.components), [""]);
    assert_eq!(built.roots, [""]);
}
