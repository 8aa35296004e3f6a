//! The pipeline as a place for functions: what their ports become.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use beam_proto::pipeline::{FunctionSpec, PTransform, ParDoPayload, SideInput, is_bounded};
use beam_proto::urns::transforms::PAR_DO;
use beam_proto::urns::{requirements, side_inputs};
use bytes::Bytes;
use prost::Message;

use super::graph::{Like, Placement};
use super::group::check_key;
use super::par_do::function_spec;
use super::state::{KeyedPorts, KeyedSpecs};
use super::{PCollection, Pipeline, notes};
use crate::dofn::{Describe, FunctionPayload, SideAccess, Site, StateKind, TimeDomain, View};
use crate::element::{Coder, Element};
use crate::error::{Error, Result};
use crate::model::windowing;
use crate::window::{Window, WindowFn};

/// URN of the view functions of our side inputs: the function that reads one knows how, so it says nothing.
pub const VIEW_URN: &str = "ferrobeam:view:v1";

/// The tag of a function's main input.
pub(super) const INPUT: &str = "input";

/// A collection that a function may look things up in.
pub struct SideView<V> {
    pipeline: Pipeline,
    id: String,
    view: PhantomData<fn() -> V>,
}

impl<V> Clone for SideView<V> {
    fn clone(&self) -> Self {
        SideView {
            pipeline: self.pipeline.clone(),
            id: self.id.clone(),
            view: PhantomData,
        }
    }
}

impl<V: View> SideView<V> {
    pub(super) fn of(collection: &PCollection<V::Element>) -> Self {
        SideView {
            pipeline: collection.pipeline.clone(),
            id: collection.id.clone(),
            view: PhantomData,
        }
    }
}

/// What the outputs of a function have in common.
#[derive(Clone, Default)]
pub(super) struct OutputsAre {
    /// Windowing and boundedness.
    pub(super) like: Like,
    /// The id of the coder that [`Raw`](crate::element::Raw) stands for.
    pub(super) raw: Option<String>,
}

/// The [`Site`] of functions in a [`Pipeline`]: outputs are collections, side inputs are [`SideView`]s.
pub struct InPipeline {
    pipeline: Pipeline,
    placement: Placement,
    outputs_are: OutputsAre,
    inputs: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
    side_inputs: BTreeMap<String, SideInput>,
    keyed: KeyedSpecs,
    finalizes: bool,
    /// The id of the coder of restrictions, where the function is splittable.
    restrictions: String,
}

impl InPipeline {
    /// A site for a function that reads `input`.
    pub(super) fn new(
        pipeline: &Pipeline,
        placement: Placement,
        input: &str,
        outputs_are: OutputsAre,
    ) -> Self {
        InPipeline {
            pipeline: pipeline.clone(),
            placement,
            outputs_are,
            inputs: BTreeMap::from([(INPUT.into(), input.into())]),
            outputs: BTreeMap::new(),
            side_inputs: BTreeMap::new(),
            keyed: KeyedSpecs::default(),
            finalizes: false,
            restrictions: String::new(),
        }
    }

    /// Keeps an error of this transform.
    #[cold]
    pub(super) fn fail(&self, error: Error) {
        self.pipeline
            .fail(error.at("transform", &self.placement.name));
    }

    /// Says that the function is splittable, and its restrictions have this coder.
    pub(super) fn splits(&mut self, restrictions: &Coder) {
        self.restrictions = self.pipeline.graph(|graph| {
            graph.require(requirements::REQUIRES_SPLITTABLE_DOFN);
            graph.components.coder(restrictions)
        });
    }

    /// Says that the outputs do not end.
    pub(super) fn unbound(&mut self) {
        self.outputs_are.like.is_bounded = is_bounded::Enum::Unbounded.into();
    }

    /// Declares the state, the timers and the callbacks that the ports of the function are.
    pub(super) fn declare(&mut self, ports: &KeyedPorts) {
        if ports.finalizes {
            self.finalizes = true;
            self.pipeline
                .graph(|graph| graph.require(requirements::REQUIRES_BUNDLE_FINALIZATION));
        }
        if ports.is_empty() {
            return;
        }
        let input = self.inputs[INPUT].clone();
        let outcome = self.pipeline.graph(|graph| {
            let components = &mut graph.components;
            let coder_id = components.collection(&input)?.coder_id.clone();
            let window = components
                .windowing_of_collection(&input)?
                .window_coder_id
                .clone();
            let [key, _] = components.coder_parts(&coder_id)? else {
                return Err(Error::config(
                    "the function has state or timers, but the coder of its input is not one of pairs",
                ));
            };
            let key = key.clone();
            check_key(&components.resolve_coder(&key)?)?;
            let specs = ports.specs(components, &key, &window, graph.keeping);
            graph.require(requirements::REQUIRES_STATEFUL_PROCESSING);
            if !specs.expiration.is_empty() {
                graph.require(requirements::REQUIRES_ON_WINDOW_EXPIRATION);
            }
            Ok(specs)
        });
        match outcome {
            Ok(specs) => self.keyed = specs,
            Err(error) => self.fail(error),
        }
    }

    /// Places the transform, whose ports are connected.
    pub(super) fn place(self, function: &FunctionPayload) {
        let payload = ParDoPayload {
            do_fn: Some(function_spec(function)),
            side_inputs: self.side_inputs,
            state_specs: self.keyed.states,
            timer_family_specs: self.keyed.timers,
            requests_finalization: self.finalizes,
            restriction_coder_id: self.restrictions,
            on_window_expiration_timer_family_spec: self.keyed.expiration,
            ..ParDoPayload::default()
        };
        self.pipeline.graph(|graph| {
            let transform = PTransform {
                spec: Some(FunctionSpec {
                    urn: PAR_DO.into(),
                    payload: Bytes::from(payload.encode_to_vec()),
                }),
                inputs: self.inputs,
                outputs: self.outputs,
                environment_id: graph.components.environment_id().into(),
                display_data: notes::of_function(function),
                ..PTransform::default()
            };
            graph.place(self.placement, transform);
        });
    }

    fn side_input(&self, pipeline: &Pipeline, id: &str, access: SideAccess) -> Result<SideInput> {
        if !self.pipeline.is(pipeline) {
            return Err(Error::config("the side input is in another pipeline"));
        }
        let collection = pipeline.handle::<()>(id.into());
        let strategy = collection.windowing_strategy()?;
        let window_fn = strategy.window_fn.unwrap_or_default();
        if let Some(WindowFn::Session(_)) = windowing::window_fn(&window_fn)? {
            return Err(Error::config(
                "the side input is in session windows, which no window of the main input belongs to; window it otherwise",
            ));
        }
        let urn = match access {
            SideAccess::Iterable => side_inputs::ITERABLE,
            SideAccess::Multimap => side_inputs::MULTIMAP,
        };
        let spec = |urn: &str| FunctionSpec {
            urn: urn.into(),
            ..FunctionSpec::default()
        };
        Ok(SideInput {
            access_pattern: Some(spec(urn)),
            view_fn: Some(spec(VIEW_URN)),
            window_mapping_fn: Some(window_fn),
        })
    }
}

impl Site for InPipeline {
    type Collection<T: Element> = PCollection<T>;
    type View<V: View> = SideView<V>;

    fn output<T: Element>(&mut self, tag: &'static str) -> PCollection<T> {
        let OutputsAre { like, raw } = self.outputs_are.clone();
        let outcome = self.pipeline.graph(|graph| {
            let coder_id = graph.components.coder_with(&T::coder(), raw.as_deref())?;
            Ok(graph.output(&self.placement, tag, Like { coder_id, ..like }))
        });
        match outcome {
            Ok(id) => {
                self.outputs.insert(tag.into(), id.clone());
                self.pipeline.handle(id)
            }
            Err(error) => {
                let error: Error = error;
                self.fail(error.at("output", tag));
                self.pipeline.handle(String::new())
            }
        }
    }

    fn side<V: View>(&mut self, tag: &'static str, view: SideView<V>) {
        if tag == INPUT {
            let error =
                "a side input cannot be called \"input\", like the main input; rename the port";
            self.fail(Error::config(error));
            return;
        }
        match self.side_input(&view.pipeline, &view.id, V::ACCESS) {
            Ok(side) => {
                self.inputs.insert(tag.into(), view.id);
                self.side_inputs.insert(tag.into(), side);
            }
            Err(error) => self.fail(error.at("side input", tag)),
        }
    }
}

/// Refuses functions that look at windows which their input does not have.
pub(super) struct CheckWindows {
    /// The coder of the input's windows.
    pub(super) coder: Option<Coder>,
    pub(super) refused: Option<Coder>,
}

impl Describe for CheckWindows {
    fn output<T: Element>(&mut self, _tag: &'static str) {}

    fn side<V: View>(&mut self, _tag: &'static str) {}

    fn window<W: Window>(&mut self) {
        if self
            .coder
            .as_ref()
            .is_some_and(|coder| *coder != W::coder())
        {
            self.refused = Some(W::coder());
        }
    }

    fn state(&mut self, _tag: &'static str, _kind: StateKind) {}

    fn timer(&mut self, _tag: &'static str, _domain: TimeDomain) {}
}
