//! A pipeline under construction.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::rc::Rc;

use beam_proto::pipeline::{
    self as proto, Components, Environment, FunctionSpec, PCollection as CollectionProto,
    PTransform,
};
use bytes::Bytes;

use super::components::{ComponentsBuilder, Kind};
use super::{Keeping, PCollection, boundary};
use crate::element::Raw;
use crate::error::{Context, Error, Result};

/// What the ids of a pipeline that nobody sent us begin with.
const OWN_NAMESPACE: &str = "fb";

/// A pipeline under construction. Clones are handles of the same pipeline.
///
/// Placing a transform returns its outputs at once, and nothing else: what is wrong with it — a label that is taken, a
/// key that cannot be grouped — waits in the pipeline, which [`build`](Self::build) then refuses. The first such error
/// is kept. [`check`](Self::check) asks for it early.
#[derive(Clone)]
pub struct Pipeline {
    graph: Rc<RefCell<Graph>>,
}

pub(super) struct Graph {
    pub(super) components: ComponentsBuilder,
    /// The labels of the open composites, from the outside, each with the transforms that it consists of.
    open: Vec<Open>,
    /// The transforms of each full name.
    names: BTreeMap<String, String>,
    requirements: BTreeSet<String>,
    /// What the workers need, by URN.
    pub(super) hints: BTreeMap<String, Bytes>,
    /// What is noted on each transform that is placed now.
    pub(super) annotations: BTreeMap<String, Bytes>,
    pub(super) keeping: Keeping,
    error: Option<Error>,
}

struct Open {
    /// The id and full name of the composite; the root of a pipeline has neither.
    id: String,
    name: String,
    parts: Vec<String>,
}

/// A finished pipeline, or the part of one that another SDK asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// All components, those of the other SDK included.
    pub components: Components,
    /// The ids of what was added, in order, without the environment.
    pub added: Vec<(Kind, String)>,
    /// The ids of the outermost transforms, in the order in which they were placed.
    pub roots: Vec<String>,
    /// URNs of what the transforms require of a runner.
    pub requirements: BTreeSet<String>,
    /// The id of the environment that the functions run in.
    pub environment: String,
}

impl Built {
    /// The pipeline as runners take it.
    pub fn into_proto(self) -> proto::Pipeline {
        proto::Pipeline {
            components: Some(self.components),
            root_transform_ids: self.roots,
            display_data: Vec::new(),
            requirements: self.requirements.into_iter().collect(),
        }
    }
}

/// A transform that is about to be placed.
pub(super) struct Placement {
    pub(super) id: String,
    /// Its label and those of the composites around it, joined by slashes.
    pub(super) name: String,
}

impl Default for Pipeline {
    fn default() -> Self {
        Pipeline::new()
    }
}

impl Pipeline {
    /// An empty pipeline.
    pub fn new() -> Self {
        Pipeline::within(OWN_NAMESPACE, "", Components::default())
    }

    /// A part of another SDK's pipeline, whose components are `seed`.
    ///
    /// Every new id begins with `namespace`, and every full name with `name`, which is that of the transform that the
    /// part replaces.
    pub fn within(namespace: &str, name: &str, seed: Components) -> Self {
        let graph = Graph {
            components: ComponentsBuilder::seeded(namespace, seed),
            open: vec![Open {
                id: String::new(),
                name: name.into(),
                parts: Vec::new(),
            }],
            names: BTreeMap::new(),
            requirements: BTreeSet::new(),
            hints: BTreeMap::new(),
            annotations: BTreeMap::new(),
            keeping: Keeping::default(),
            error: None,
        };
        Pipeline {
            graph: Rc::new(RefCell::new(graph)),
        }
    }

    /// Has sets, maps and multimaps of functions that are placed from now on kept as lists of values.
    ///
    /// Some runners know no other state: Flink and Spark, and Beam's Python runners where maps are listed or cleared. It
    /// costs memory: what a map holds is read as a whole, once for each bundle and key.
    pub fn keeping_maps_in_bags(&self) -> &Self {
        self.graph.borrow_mut().keeping = Keeping::MapsInBags;
        self
    }

    /// A collection that is in the pipeline already, as values that only their coder describes.
    ///
    /// # Errors
    /// There is no collection of this id, or it lacks its coder or windowing strategy.
    pub fn collection(&self, id: &str) -> Result<PCollection<Raw>> {
        let graph = self.graph.borrow();
        let collection = graph.components.collection(id)?;
        graph
            .components
            .coder_parts(&collection.coder_id)
            .at("collection", id)?;
        graph
            .components
            .windowing_of_collection(id)
            .at("collection", id)?;
        Ok(self.handle(id.into()))
    }

    /// Places what `place` places within a composite: its labels are told apart from those outside.
    pub fn scope<R>(&self, label: &str, place: impl FnOnce(&Pipeline) -> R) -> R {
        self.native(label, FunctionSpec::default(), place)
    }

    /// The first error of the transforms placed so far.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn check(&self) -> Result<()> {
        match self.graph.borrow_mut().error.take() {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// The finished pipeline, whose functions run in `environment`.
    ///
    /// # Errors
    /// A transform that could not be placed. The error is told once.
    pub fn build(&self, environment: &Environment) -> Result<Built> {
        self.check()?;
        let graph = self.graph.borrow();
        let mut environment = environment.clone();
        environment.resource_hints.extend(graph.hints.clone());
        let mut components = graph.components.finish(&environment);
        boundary::connect_composites(&mut components, graph.components.added());
        Ok(Built {
            components,
            added: graph.components.added().to_vec(),
            roots: graph
                .open
                .first()
                .map(|root| root.parts.clone())
                .unwrap_or_default(),
            requirements: graph.requirements.clone(),
            environment: graph.components.environment_id().into(),
        })
    }

    pub(crate) fn handle<T>(&self, id: String) -> PCollection<T> {
        PCollection {
            pipeline: self.clone(),
            id,
            element: PhantomData,
        }
    }

    /// The full name of a collection, for people; its id, where it has none.
    pub(crate) fn name_of(&self, collection: &str) -> String {
        self.graph(|graph| match graph.components.collection(collection) {
            Ok(known) if !known.unique_name.is_empty() => known.unique_name.clone(),
            _ => collection.to_owned(),
        })
    }

    /// Whether both are handles of one pipeline.
    pub(super) fn is(&self, other: &Pipeline) -> bool {
        Rc::ptr_eq(&self.graph, &other.graph)
    }

    /// Works on the graph. `work` must not call back into the pipeline.
    pub(super) fn graph<R>(&self, work: impl FnOnce(&mut Graph) -> R) -> R {
        work(&mut self.graph.borrow_mut())
    }

    /// Keeps an error, unless there was one before.
    #[cold]
    pub(crate) fn fail(&self, error: Error) {
        self.graph(|graph| graph.error.get_or_insert(error).kind());
    }

    /// Places a composite. `spec` says what it does for runners that know; its parts say it for those that do not.
    pub(super) fn native<R>(
        &self,
        label: &str,
        spec: FunctionSpec,
        place: impl FnOnce(&Pipeline) -> R,
    ) -> R {
        self.graph(|graph| graph.open(label, &spec));
        let result = place(self);
        self.graph(|graph| graph.close(spec, String::new()));
        result
    }

    /// As [`native`](Self::native), where knowing runners let our worker execute what `spec` says.
    pub(super) fn composite<R>(
        &self,
        label: &str,
        spec: FunctionSpec,
        place: impl FnOnce(&Pipeline) -> R,
    ) -> R {
        self.graph(|graph| graph.open(label, &spec));
        let result = place(self);
        self.graph(|graph| {
            let environment = graph.components.environment_id().to_owned();
            graph.close(spec, environment);
        });
        result
    }
}

impl Graph {
    /// Takes a label and an id for a transform, and makes it a part of the composite that is open.
    ///
    /// `what` names the transform in errors.
    pub(super) fn begin(&mut self, label: &str, what: &str) -> Placement {
        let id = self.components.fresh(Kind::Transform);
        let outer = self.open.last().map_or("", |open| open.name.as_str());
        let name = match outer {
            "" => label.to_owned(),
            outer => format!("{outer}/{label}"),
        };
        if label.is_empty() {
            let error = Error::config("a transform has an empty label; give it one");
            self.error.get_or_insert(error.at("within", outer));
        }
        if let Some(other) = self.names.get(&name) {
            let error = Error::config(format!(
                "two transforms are labelled {name:?}: {other} and {what}; give one of them another label"
            ));
            self.error.get_or_insert(error);
        } else {
            self.names.insert(name.clone(), what.into());
        }
        if let Some(open) = self.open.last_mut() {
            open.parts.push(id.clone());
        }
        Placement { id, name }
    }

    /// Says that a runner must support something, by URN.
    pub(super) fn require(&mut self, requirement: &str) {
        self.requirements.insert(requirement.into());
    }

    /// Places a transform whose outputs exist.
    pub(super) fn place(&mut self, placement: Placement, transform: PTransform) {
        let transform = PTransform {
            unique_name: placement.name,
            annotations: self.annotations.clone(),
            ..transform
        };
        self.components.add_transform(&placement.id, transform);
    }

    /// A new collection of the transform that is being placed.
    pub(super) fn output(&mut self, placement: &Placement, tag: &str, like: Like) -> String {
        self.components.add_collection(CollectionProto {
            unique_name: format!("{}.{tag}", placement.name),
            coder_id: like.coder_id,
            is_bounded: like.is_bounded,
            windowing_strategy_id: like.windowing_strategy_id,
            display_data: Vec::new(),
        })
    }

    /// What a collection that is made of the elements of another one has in common with it.
    pub(super) fn like(&self, collection: &str) -> Result<Like> {
        let collection = self.components.collection(collection)?;
        Ok(Like {
            coder_id: collection.coder_id.clone(),
            is_bounded: collection.is_bounded,
            windowing_strategy_id: collection.windowing_strategy_id.clone(),
        })
    }

    fn open(&mut self, label: &str, spec: &FunctionSpec) {
        let what = match spec.urn.as_str() {
            "" => "a composite",
            urn => urn,
        };
        let placement = self.begin(label, what);
        // Composites stand before their parts.
        self.components
            .add_transform(&placement.id, PTransform::default());
        self.open.push(Open {
            id: placement.id,
            name: placement.name,
            parts: Vec::new(),
        });
    }

    fn close(&mut self, spec: FunctionSpec, environment_id: String) {
        let Some(open) = self.open.pop() else { return };
        if open.parts.is_empty() {
            // Without parts it would be taken for a transform of its own.
            self.components.remove_transform(&open.id);
            if let Some(outer) = self.open.last_mut() {
                outer.parts.retain(|part| *part != open.id);
            }
            return;
        }
        if let Some(composite) = self.components.own_transform(&open.id) {
            composite.unique_name = open.name;
            composite.subtransforms = open.parts;
            if !spec.urn.is_empty() {
                composite.environment_id = environment_id;
                composite.spec = Some(spec);
            }
        }
    }
}

/// What one collection takes over from another.
#[derive(Clone, Default)]
pub(super) struct Like {
    pub(super) coder_id: String,
    pub(super) is_bounded: i32,
    pub(super) windowing_strategy_id: String,
}
