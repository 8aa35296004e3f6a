//! Ids of one expansion: what is new begins with the request's namespace, what the client sent stays as it was.
//!
//! Clients keep only what begins with the namespace, look up unchanged what they sent, and stop with an assertion, or
//! worse, at run time, when either rule is broken.

use std::collections::BTreeMap;

use beam_proto::pipeline::{Components, PTransform};
use beam_proto::urns::coders::{ITERABLE, KV};
use beam_proto::urns::transforms::GROUP_BY_KEY;

use crate::error::{Error, ErrorKind, Result};

/// Makes ids that nothing else has.
pub(super) struct Fresh<'a> {
    namespace: &'a str,
    next: u32,
}

impl<'a> Fresh<'a> {
    /// Ids within `namespace`. Equal requests get equal ids.
    pub(super) fn new(namespace: &'a str) -> Self {
        Fresh { namespace, next: 0 }
    }

    /// An id that `taken` has not.
    pub(super) fn id<V>(&mut self, kind: &str, taken: &BTreeMap<String, V>) -> String {
        loop {
            let id = format!("{}_{kind}_{}", self.namespace, self.next);
            self.next += 1;
            if !taken.contains_key(&id) {
                return id;
            }
        }
    }
}

/// Checks what an expansion added against what the client sent.
///
/// # Errors
/// A broken rule. It is a fault of the transform or of this crate, never of the client.
pub(super) fn check(
    namespace: &str,
    sent: &Components,
    built: &Components,
    root: &PTransform,
) -> Result<()> {
    grown(namespace, "transform", &sent.transforms, &built.transforms)?;
    grown(
        namespace,
        "collection",
        &sent.pcollections,
        &built.pcollections,
    )?;
    grown(
        namespace,
        "windowing strategy",
        &sent.windowing_strategies,
        &built.windowing_strategies,
    )?;
    grown(namespace, "coder", &sent.coders, &built.coders)?;
    grown(
        namespace,
        "environment",
        &sent.environments,
        &built.environments,
    )?;
    let added = built
        .transforms
        .iter()
        .filter(|(id, _)| !sent.transforms.contains_key(*id));
    let mut labels = BTreeMap::new();
    for (id, transform) in added {
        references(id, transform, built)?;
        grouping(id, transform, built)?;
        if let Some(other) = labels.insert(&transform.unique_name, id) {
            return Err(broken(format!(
                "the transforms {other:?} and {id:?} are both called {:?}",
                transform.unique_name
            )));
        }
    }
    references("the root", root, built)?;
    for (id, collection) in &built.pcollections {
        if !built.coders.contains_key(&collection.coder_id) {
            return Err(missing(id, "coder", &collection.coder_id));
        }
        let windowing = &collection.windowing_strategy_id;
        if !built.windowing_strategies.contains_key(windowing) {
            return Err(missing(id, "windowing strategy", windowing));
        }
    }
    for (id, coder) in &built.coders {
        if sent.coders.contains_key(id) {
            continue;
        }
        if let Some(lost) = coder
            .component_coder_ids
            .iter()
            .find(|component| !built.coders.contains_key(*component))
        {
            return Err(missing(id, "coder", lost));
        }
    }
    Ok(())
}

fn grown<V: PartialEq>(
    namespace: &str,
    kind: &str,
    sent: &BTreeMap<String, V>,
    built: &BTreeMap<String, V>,
) -> Result<()> {
    for (id, value) in sent {
        if built.get(id) != Some(value) {
            return Err(broken(format!("the client's {kind} {id:?} was changed")));
        }
    }
    let outside = built
        .keys()
        .find(|id| !sent.contains_key(*id) && !id.starts_with(namespace));
    match outside {
        None => Ok(()),
        Some(id) => Err(broken(format!(
            "the new {kind} {id:?} does not begin with the namespace {namespace:?}"
        ))),
    }
}

fn references(id: &str, transform: &PTransform, built: &Components) -> Result<()> {
    let collections = transform.inputs.values().chain(transform.outputs.values());
    for collection in collections {
        if !built.pcollections.contains_key(collection) {
            return Err(missing(id, "collection", collection));
        }
    }
    for part in &transform.subtransforms {
        if !built.transforms.contains_key(part) {
            return Err(missing(id, "transform", part));
        }
    }
    let environment = &transform.environment_id;
    if !environment.is_empty() && !built.environments.contains_key(environment) {
        return Err(missing(id, "environment", environment));
    }
    Ok(())
}

/// Python's runner compares the coders round a grouping by their ids, not by what they are.
fn grouping(id: &str, transform: &PTransform, built: &Components) -> Result<()> {
    if transform
        .spec
        .as_ref()
        .is_none_or(|s| s.urn != GROUP_BY_KEY)
    {
        return Ok(());
    }
    let parts = |collection: Option<&String>| {
        let coder = built
            .coders
            .get(&built.pcollections.get(collection?)?.coder_id)?;
        let [key, value] = &coder.component_coder_ids[..] else {
            return None;
        };
        (coder.spec.as_ref()?.urn == KV).then_some((key, value))
    };
    let inner = |coder: &String| {
        let coder = built.coders.get(coder)?;
        (coder.spec.as_ref()?.urn == ITERABLE).then(|| coder.component_coder_ids.first())?
    };
    let before = parts(transform.inputs.values().next());
    let after = parts(transform.outputs.values().next());
    match (before, after) {
        (Some((key, value)), Some((grouped, values)))
            if key == grouped && inner(values) == Some(value) =>
        {
            Ok(())
        }
        _ => Err(broken(format!(
            "the grouping {id:?} does not go from kv<K, V> to kv<K, iterable<V>> with the same coder ids"
        ))),
    }
}

fn missing(id: &str, kind: &str, lost: &str) -> Error {
    broken(format!(
        "{id:?} names the {kind} {lost:?}, which does not exist"
    ))
}

fn broken(what: String) -> Error {
    Error::new(
        ErrorKind::Descriptor,
        format!("the expansion is damaged: {what}; please report this"),
    )
}

#[cfg(test)]
mod tests {
    use beam_proto::pipeline::{Coder, Environment, FunctionSpec, PCollection, WindowingStrategy};

    use super::*;

    fn spec(urn: &str) -> Option<FunctionSpec> {
        Some(FunctionSpec {
            urn: urn.into(),
            ..FunctionSpec::default()
        })
    }

    fn coder(urn: &str, components: &[&str]) -> Coder {
        Coder {
            spec: spec(urn),
            component_coder_ids: components.iter().map(|c| (*c).to_owned()).collect(),
        }
    }

    fn collection(coder: &str) -> PCollection {
        PCollection {
            coder_id: coder.into(),
            windowing_strategy_id: "w".into(),
            ..PCollection::default()
        }
    }

    fn edge(tag: &str, collection: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(tag.into(), collection.into())])
    }

    /// A client's keyed collection `in`, and a grouping of it in the namespace `ns`.
    fn example() -> (Components, Components, PTransform) {
        let mut sent = Components::default();
        sent.coders
            .insert("k".into(), coder("beam:coder:bytes:v1", &[]));
        sent.coders.insert("kv".into(), coder(KV, &["k", "k"]));
        sent.pcollections.insert("in".into(), collection("kv"));
        sent.windowing_strategies
            .insert("w".into(), WindowingStrategy::default());
        sent.environments.insert("e".into(), Environment::default());
        let mut built = sent.clone();
        built
            .coders
            .insert("ns_c_0".into(), coder(ITERABLE, &["k"]));
        built
            .coders
            .insert("ns_c_1".into(), coder(KV, &["k", "ns_c_0"]));
        built
            .pcollections
            .insert("ns_pc_0".into(), collection("ns_c_1"));
        let group = PTransform {
            unique_name: "root/Group".into(),
            spec: spec(GROUP_BY_KEY),
            inputs: edge("in", "in"),
            outputs: edge("out", "ns_pc_0"),
            ..PTransform::default()
        };
        built.transforms.insert("ns_t_0".into(), group);
        let root = PTransform {
            unique_name: "root".into(),
            inputs: edge("input", "in"),
            outputs: edge("output", "ns_pc_0"),
            subtransforms: vec!["ns_t_0".into()],
            ..PTransform::default()
        };
        (sent, built, root)
    }

    /// What is said about the example after `damage`.
    fn after(damage: impl FnOnce(&mut Components, &mut PTransform)) -> String {
        let (sent, mut built, mut root) = example();
        damage(&mut built, &mut root);
        match check("ns", &sent, &built, &root) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_good_expansion_passes() {
        assert_eq!(after(|_, _| ()), "");
    }

    #[test]
    fn what_the_client_sent_stays() {
        let error = after(|built, _| {
            built.coders.insert("k".into(), coder("other", &[]));
        });
        assert!(
            error.contains(r#"the client's coder "k" was changed"#),
            "{error}"
        );
        let error = after(|built, _| {
            built.environments.remove("e");
        });
        assert!(error.contains(r#"environment "e" was changed"#), "{error}");
    }

    #[test]
    fn what_is_new_begins_with_the_namespace() {
        let error = after(|built, _| {
            built.coders.insert("mine".into(), coder("x", &[]));
        });
        assert!(error.contains(r#"the new coder "mine""#), "{error}");
    }

    #[test]
    fn references_lead_somewhere() {
        let error = after(|_, root| {
            root.outputs.insert("b".into(), "nowhere".into());
        });
        assert!(error.contains(r#"collection "nowhere""#), "{error}");
        let error = after(|_, root| root.subtransforms.push("lost".into()));
        assert!(error.contains(r#"transform "lost""#), "{error}");
        let error = after(|_, root| root.environment_id = "gone".into());
        assert!(error.contains(r#"environment "gone""#), "{error}");
        let error = after(|built, _| {
            built
                .coders
                .insert("ns_c_9".into(), coder(ITERABLE, &["absent"]));
        });
        assert!(error.contains(r#"coder "absent""#), "{error}");
    }

    #[test]
    fn groupings_keep_coder_ids() {
        let error = after(|built, _| {
            let copy = built.coders["k"].clone();
            built.coders.insert("ns_c_2".into(), copy);
            built
                .coders
                .insert("ns_c_1".into(), coder(KV, &["ns_c_2", "ns_c_0"]));
        });
        assert!(error.contains("same coder ids"), "{error}");
    }

    #[test]
    fn names_are_unique() {
        let error = after(|built, _| {
            let twin = built.transforms["ns_t_0"].clone();
            built.transforms.insert("ns_t_1".into(), twin);
        });
        assert!(error.contains(r#"both called "root/Group""#), "{error}");
    }

    #[test]
    fn ids_are_fresh() {
        let mut fresh = Fresh::new("ns_");
        let taken = BTreeMap::from([("ns__t_0".to_owned(), ())]);
        assert_eq!(fresh.id("t", &taken), "ns__t_1");
        assert_eq!(fresh.id("t", &taken), "ns__t_2");
    }
}
