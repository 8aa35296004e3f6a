//! The answer to a request: what the client sent, what is new, and the root that ties them together.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use beam_proto::expansion::ExpansionResponse;
use beam_proto::pipeline::{Components, FunctionSpec, PTransform};
use beam_proto::urns::annotations::{
    CONFIG_ROW_KEY, CONFIG_ROW_SCHEMA_KEY, SCHEMATRANSFORM_URN_KEY,
};
use beam_proto::urns::transforms::FLATTEN;
use bytes::Bytes;
use prost::Message;

use super::namespace::{self, Fresh};
use super::request::{EncodedRow, Request, Wanted};
use crate::error::{Error, Result};

/// What clients in Java, Go and TypeScript accept at most; gRPC's default.
const LARGEST: usize = 4 << 20;

/// The tag of a transform's only output.
pub(super) const OUTPUT: &str = "output";

/// What a transform built for a request.
pub(super) struct Built {
    /// The request's components and the new ones.
    pub(super) components: Components,
    /// The new transforms directly below the root, in the order in which they were added.
    pub(super) parts: Vec<String>,
    /// Tags and collection ids of the outputs.
    pub(super) outputs: Vec<(String, String)>,
    /// What the new transforms require of a runner.
    pub(super) requirements: BTreeSet<String>,
    /// Where they run.
    pub(super) environment: String,
    /// The row that configured the transform, if one did.
    pub(super) config: Option<EncodedRow>,
}

/// Makes the response.
///
/// # Errors
/// Outputs that are not those that the client named, a response that clients cannot receive, or a [`Built`] that breaks
/// the rules of [`namespace`].
pub(super) fn compose(request: &Request, built: Built) -> Result<ExpansionResponse> {
    let mut components = built.components;
    let mut root = request.root.clone();
    root.subtransforms = built.parts;
    root.environment_id = built.environment;
    root.annotations
        .extend(annotations(&request.wanted, built.config));
    root.outputs = outputs(&request.root.outputs, built.outputs)?;
    own_outputs(request, &mut components, &mut root);
    namespace::check(&request.namespace, &request.components, &components, &root)?;
    let mut requirements = request.requirements.clone();
    for requirement in built.requirements {
        if !requirements.contains(&requirement) {
            requirements.push(requirement);
        }
    }
    let response = ExpansionResponse {
        components: Some(components),
        transform: Some(root),
        requirements,
        error: String::new(),
    };
    check_size(&response)?;
    Ok(response)
}

/// A failure as clients expect it: the message is shown to the author of the pipeline.
pub(super) fn failure(error: impl Into<String>) -> ExpansionResponse {
    ExpansionResponse {
        error: error.into(),
        ..ExpansionResponse::default()
    }
}

/// What lets a later version of the transform take its place in a saved pipeline.
fn annotations(wanted: &Wanted, config: Option<EncodedRow>) -> Vec<(String, Bytes)> {
    let mut all = Vec::new();
    if let Some(config) = config {
        all.push((CONFIG_ROW_KEY.to_owned(), config.row));
        all.push((CONFIG_ROW_SCHEMA_KEY.to_owned(), config.schema));
    }
    if let Wanted::Schema { identifier, .. } = wanted {
        let identifier = Bytes::copy_from_slice(identifier.as_bytes());
        all.push((SCHEMATRANSFORM_URN_KEY.to_owned(), identifier));
    }
    all
}

/// The outputs under the tags that the client will look for.
///
/// Most clients name none and take what comes. Go names its outputs, and with a single one chooses its name freely. A
/// client that names some of several outputs gets those.
fn outputs(
    named: &BTreeMap<String, String>,
    built: Vec<(String, String)>,
) -> Result<BTreeMap<String, String>> {
    if let ([(_, id)], 1) = (&built[..], named.len()) {
        return Ok(named.keys().map(|tag| (tag.clone(), id.clone())).collect());
    }
    let mut outputs: BTreeMap<String, String> = built.into_iter().collect();
    if named.is_empty() {
        return Ok(outputs);
    }
    let lacks: Vec<&str> = named
        .keys()
        .filter(|tag| !outputs.contains_key(*tag))
        .map(String::as_str)
        .collect();
    if !lacks.is_empty() {
        let available: Vec<&str> = outputs.keys().map(String::as_str).collect();
        return Err(Error::config(format!(
            "the pipeline wants the outputs {:?}, but the transform has {available:?}; it lacks {lacks:?}",
            named.keys().collect::<Vec<_>>(),
        )));
    }
    outputs.retain(|tag, _| named.contains_key(tag));
    Ok(outputs)
}

/// Gives each output a collection of its own: clients cannot take one of their collections, or the same collection
/// twice, as an output.
fn own_outputs(request: &Request, components: &mut Components, root: &mut PTransform) {
    let mut fresh = Fresh::new(&request.namespace);
    let mut used = HashSet::new();
    for (tag, id) in &mut root.outputs {
        let is_new = !request.components.pcollections.contains_key(id);
        if is_new && used.insert(id.clone()) {
            continue;
        }
        let Some(mut copy) = components.pcollections.get(id).cloned() else {
            continue; // Reported by the check that follows.
        };
        let label = format!("{}/Output {tag}", root.unique_name);
        copy.unique_name = format!("{label}.{OUTPUT}");
        let own = fresh.id("pc", &components.pcollections);
        let flatten = PTransform {
            unique_name: label,
            spec: Some(FunctionSpec {
                urn: FLATTEN.into(),
                payload: Bytes::new(),
            }),
            inputs: BTreeMap::from([("0".into(), id.clone())]),
            outputs: BTreeMap::from([(OUTPUT.into(), own.clone())]),
            ..PTransform::default()
        };
        let part = fresh.id("t", &components.transforms);
        components.pcollections.insert(own.clone(), copy);
        components.transforms.insert(part.clone(), flatten);
        root.subtransforms.push(part);
        *id = own;
    }
}

fn check_size(response: &ExpansionResponse) -> Result<()> {
    let size = response.encoded_len();
    if size < LARGEST {
        return Ok(());
    }
    Err(Error::config(format!(
        "the expanded pipeline takes {size} bytes, and clients accept less than {LARGEST}; keep large data out of \
         configurations, for example in a file that workers read"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expansion::CallerOptions;
    use beam_proto::pipeline::{Coder, PCollection, WindowingStrategy};

    fn tags(tags: &[(&str, &str)]) -> Vec<(String, String)> {
        tags.iter()
            .map(|(tag, id)| ((*tag).to_owned(), (*id).to_owned()))
            .collect()
    }

    fn named(names: &[&str]) -> BTreeMap<String, String> {
        names
            .iter()
            .map(|n| ((*n).to_owned(), format!("theirs_{n}")))
            .collect()
    }

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        tags(entries).into_iter().collect()
    }

    #[test]
    fn a_single_output_takes_the_clients_tag() {
        let got = outputs(&named(&["set_output"]), tags(&[("output", "ns_pc")])).expect("fits");
        assert_eq!(got, map(&[("set_output", "ns_pc")]));
        let got = outputs(&named(&[]), tags(&[("output", "ns_pc")])).expect("fits");
        assert_eq!(got, map(&[("output", "ns_pc")]));
    }

    #[test]
    fn several_outputs_keep_their_tags() {
        let built = tags(&[("main", "a"), ("side", "b")]);
        let got = outputs(&named(&["main", "side"]), built.clone()).expect("fits");
        assert_eq!(got, map(&[("main", "a"), ("side", "b")]));
        let got = outputs(&named(&["side"]), built.clone()).expect("fits");
        assert_eq!(got, map(&[("side", "b")]));
        let error = outputs(&named(&["main", "sid"]), built)
            .expect_err("no such output")
            .to_string();
        assert_eq!(
            error,
            r#"the pipeline wants the outputs ["main", "sid"], but the transform has ["main", "side"]; it lacks ["sid"]"#
        );
        let error = outputs(&named(&["a", "b"]), tags(&[("output", "x")]))
            .expect_err("one of two")
            .to_string();
        assert!(error.contains(r#"has ["output"]"#), "{error}");
    }

    fn request() -> Request {
        let mut components = Components::default();
        components.coders.insert("c".into(), Coder::default());
        components
            .windowing_strategies
            .insert("w".into(), WindowingStrategy::default());
        components.pcollections.insert(
            "in".into(),
            PCollection {
                unique_name: "In.out".into(),
                coder_id: "c".into(),
                windowing_strategy_id: "w".into(),
                ..PCollection::default()
            },
        );
        Request {
            root: PTransform {
                unique_name: "Label".into(),
                inputs: map(&[("input", "in")]),
                ..PTransform::default()
            },
            namespace: "external_1".into(),
            components,
            requirements: vec!["r1".into()],
            options: CallerOptions::default(),
            wanted: Wanted::Schema {
                identifier: "id:v1".into(),
                config: EncodedRow::default(),
            },
        }
    }

    fn built(request: &Request, outputs: &[(&str, &str)]) -> Built {
        let mut components = request.components.clone();
        components
            .environments
            .insert("external_1_env_0".into(), Default::default());
        Built {
            components,
            parts: Vec::new(),
            outputs: tags(outputs),
            requirements: BTreeSet::from(["r1".to_owned(), "r2".to_owned()]),
            environment: "external_1_env_0".into(),
            config: Some(EncodedRow {
                schema: Bytes::from_static(b"schema"),
                row: Bytes::from_static(b"row"),
            }),
        }
    }

    #[test]
    fn an_input_that_is_an_output_passes_through_a_flatten() {
        let request = request();
        let response =
            compose(&request, built(&request, &[("a", "in"), ("b", "in")])).expect("composes");
        let root = response.transform.expect("a root");
        assert_eq!(
            root.outputs,
            map(&[("a", "external_1_pc_0"), ("b", "external_1_pc_2")])
        );
        assert_eq!(root.subtransforms, ["external_1_t_1", "external_1_t_3"]);
        let components = response.components.expect("components");
        let flatten = &components.transforms["external_1_t_1"];
        assert_eq!(flatten.unique_name, "Label/Output a");
        assert_eq!(flatten.inputs, map(&[("0", "in")]));
        assert_eq!(flatten.environment_id, "");
        let copy = &components.pcollections["external_1_pc_0"];
        assert_eq!(copy.coder_id, "c");
        assert_eq!(copy.unique_name, "Label/Output a.output");
    }

    #[test]
    fn the_root_keeps_what_it_was_and_says_where_it_came_from() {
        let request = request();
        let response = compose(&request, built(&request, &[])).expect("composes");
        assert_eq!(response.requirements, ["r1", "r2"]);
        let root = response.transform.expect("a root");
        assert_eq!(root.unique_name, "Label");
        assert_eq!(root.inputs, request.root.inputs);
        assert_eq!(root.environment_id, "external_1_env_0");
        assert_eq!(&root.annotations["config_row"][..], b"row");
        assert_eq!(&root.annotations["config_row_schema"][..], b"schema");
        assert_eq!(&root.annotations["schematransform_urn"][..], b"id:v1");
    }

    #[test]
    fn a_response_that_clients_refuse_is_an_error() {
        let mut request = request();
        request.components.coders.insert(
            "big".into(),
            Coder {
                spec: Some(FunctionSpec {
                    urn: "x".into(),
                    payload: Bytes::from(vec![0; LARGEST]),
                }),
                ..Coder::default()
            },
        );
        let error = compose(&request, built(&request, &[]))
            .expect_err("too large")
            .to_string();
        assert!(
            error.contains("clients accept less than 4194304"),
            "{error}"
        );
    }
}
