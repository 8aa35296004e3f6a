//! Bundle descriptors, built by hand.

use std::collections::BTreeMap;
use std::ops::Index;

use beam_proto::fnexec::{ProcessBundleDescriptor, RemoteGrpcPort};
use beam_proto::pipeline::{
    self as proto, ApiServiceDescriptor, CombinePayload, PTransform, ParDoPayload,
    WindowIntoPayload,
};
use prost::Message;

use super::descriptor_parts::{
    CoderIds, PortList, StateCell, TimerFamily, function_spec, spec, windowing_strategy,
};
use super::{Collection, Windowing};
use crate::dofn::{CombineFn, DoFn, FunctionPayload, Named, Ports, Step, Steps};
use crate::element::{Coder, Element};
use crate::model::descriptor::CombineStage;
use crate::model::windowing;
use crate::pipeline::Keeping;
use crate::window::{IntervalWindow, WindowFn};

/// The outputs of a function, by tag.
#[derive(Debug, Clone)]
pub struct Outputs(pub(super) BTreeMap<String, Collection>);

impl Index<&str> for Outputs {
    type Output = Collection;

    /// # Panics
    /// The function has no such output.
    fn index(&self, tag: &str) -> &Collection {
        &self.0[tag]
    }
}

/// Where the services are that a descriptor names, as `host:port`.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// Data services, by the numbers that [`Descriptor::data_service`] chooses from.
    pub data: Vec<String>,
    /// The state service.
    pub state: Option<String>,
}

/// A bundle descriptor under construction: what a runner says of one fused stage.
///
/// ```
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::Descriptor;
///
/// fn doubled() -> Steps<i64, impl Step<i64, Out = i64>> {
///     steps("test.double/v1").map(|n: i64| n * 2)
/// }
///
/// let mut stage = Descriptor::new("doubling");
/// let numbers = stage.source("numbers", i64::coder());
/// let doubled = stage.steps("double", &doubled(), &numbers);
/// stage.sink("sink", &doubled);
/// ```
#[derive(Debug, Clone)]
pub struct Descriptor {
    id: String,
    collections: BTreeMap<String, Collection>,
    transforms: BTreeMap<String, Transform>,
    data_service: usize,
    keeping: Keeping,
}

#[derive(Debug, Clone)]
struct Transform {
    urn: String,
    payload: Payload,
    inputs: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
}

/// What a transform says besides its collections.
#[derive(Debug, Clone)]
pub(super) enum Payload {
    Bytes(Vec<u8>),
    /// A function, whose state and families of timers name coders that have no ids yet.
    Function(ParDoPayload, Vec<StateCell>, Vec<TimerFamily>),
    /// A connection to a data service, whose address comes last.
    Port {
        service: usize,
        coder: Coder,
    },
}

impl Descriptor {
    /// A descriptor without transforms.
    pub fn new(id: impl Into<String>) -> Self {
        Descriptor {
            id: id.into(),
            collections: BTreeMap::new(),
            transforms: BTreeMap::new(),
            data_service: 0,
            keeping: Keeping::default(),
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The data service of all sources and sinks that are added from now on, and in the end that of timers.
    pub fn data_service(&mut self, number: usize) -> &mut Self {
        self.data_service = number;
        self
    }

    /// Has the runner keep the sets, maps and multimaps of functions that are added from now on as lists of values.
    pub fn keeping_maps_in_bags(&mut self) -> &mut Self {
        self.keeping = Keeping::MapsInBags;
        self
    }

    /// Adds a collection.
    pub fn collection(
        &mut self,
        id: impl Into<String>,
        coder: Coder,
        windowing: impl Into<Windowing>,
    ) -> Collection {
        let collection = Collection {
            id: id.into(),
            coder,
            windowing: windowing.into(),
        };
        self.collections
            .insert(collection.id.clone(), collection.clone());
        collection
    }

    fn output_of(&mut self, transform: &str, coder: Coder, windowing: Windowing) -> Collection {
        self.collection(format!("{transform}.out"), coder, windowing)
    }

    /// Adds any transform.
    pub fn transform(
        &mut self,
        id: &str,
        urn: &str,
        payload: Vec<u8>,
        inputs: &[(&str, &Collection)],
        outputs: &[(&str, &Collection)],
    ) {
        self.add(id, urn, Payload::Bytes(payload), inputs, outputs);
    }

    fn add(
        &mut self,
        id: &str,
        urn: &str,
        payload: Payload,
        inputs: &[(&str, &Collection)],
        outputs: &[(&str, &Collection)],
    ) {
        let ids = |collections: &[(&str, &Collection)]| {
            let ids = collections.iter();
            ids.map(|(tag, collection)| ((*tag).to_owned(), collection.id.clone()))
                .collect()
        };
        let transform = Transform {
            urn: urn.into(),
            payload,
            inputs: ids(inputs),
            outputs: ids(outputs),
        };
        self.transforms.insert(id.into(), transform);
    }

    /// Adds a source of elements of `coder` in the global window.
    pub fn source(&mut self, id: &str, coder: Coder) -> Collection {
        self.source_in(id, coder, WindowFn::Global)
    }

    /// Adds a source of windowed elements.
    pub fn source_in(
        &mut self,
        id: &str,
        coder: Coder,
        windowing: impl Into<Windowing>,
    ) -> Collection {
        let output = self.output_of(id, coder, windowing.into());
        self.source_as(id, output.windowed(), &output);
        output
    }

    /// Adds a source of a collection, whose port has a coder of its own.
    pub fn source_as(&mut self, id: &str, port: Coder, output: &Collection) {
        let payload = Payload::Port {
            service: self.data_service,
            coder: port,
        };
        self.add(
            id,
            "beam:runner:source:v1",
            payload,
            &[],
            &[("out", output)],
        );
    }

    /// Adds a sink.
    pub fn sink(&mut self, id: &str, input: &Collection) {
        self.sink_as(id, input.windowed(), input);
    }

    /// Adds a sink whose port has a coder of its own.
    pub fn sink_as(&mut self, id: &str, port: Coder, input: &Collection) {
        let payload = Payload::Port {
            service: self.data_service,
            coder: port,
        };
        self.add(id, "beam:runner:sink:v1", payload, &[("in", input)], &[]);
    }

    /// Adds a function without side inputs. Its outputs are windowed as its input is.
    ///
    /// # Panics
    /// The function's configuration cannot be written as JSON.
    pub fn par_do<F: DoFn + Named>(
        &mut self,
        id: &str,
        function: &F,
        input: &Collection,
    ) -> Outputs {
        self.par_do_with(id, function, input, &[])
    }

    /// Adds a function with side inputs by name.
    ///
    /// # Panics
    /// As [`Descriptor::par_do`], or a side input that the function does not have.
    pub fn par_do_with<F: DoFn + Named>(
        &mut self,
        id: &str,
        function: &F,
        input: &Collection,
        sides: &[(&str, &Collection)],
    ) -> Outputs {
        let payload = FunctionPayload::of(function).expect("a configuration that JSON can hold");
        self.function::<F>(id, &payload, input, sides)
    }

    /// Adds a chain of closures.
    pub fn steps<T, S>(&mut self, id: &str, steps: &Steps<T, S>, input: &Collection) -> Collection
    where
        T: Element,
        S: Step<T>,
        S::Out: Element,
    {
        let payload = FunctionPayload {
            format: FunctionPayload::FORMAT,
            name: steps.name().into(),
            config: serde_json::Value::Null,
        };
        let outputs = self.function::<Steps<T, S>>(id, &payload, input, &[]);
        outputs["output"].clone()
    }

    /// Adds a function with the ports of `F`, of which the descriptor says `payload`.
    ///
    /// # Panics
    /// A side input that the function does not have.
    pub fn function<F: DoFn>(
        &mut self,
        id: &str,
        payload: &FunctionPayload,
        input: &Collection,
        sides: &[(&str, &Collection)],
    ) -> Outputs {
        let mut ports = PortList::default();
        F::Io::describe(&mut ports);
        let par_do = ParDoPayload {
            on_window_expiration_timer_family_spec: ports.expiration.unwrap_or_default().into(),
            ..ports.par_do(payload, sides)
        };
        let keeping = self.keeping;
        let states = ports.states.into_iter();
        let states = states.map(|(tag, kind)| StateCell {
            tag: tag.into(),
            kind,
            keeping,
        });
        let families = ports.timers.iter();
        let families = families.map(|(family, domain)| TimerFamily::of(family, *domain, input));
        let payload = Payload::Function(par_do, states.collect(), families.collect());
        self.place_function(
            id,
            "beam:transform:pardo:v1",
            payload,
            input,
            sides,
            ports.outputs,
        )
    }

    /// Adds a transform that is a function with these outputs.
    pub(super) fn place_function(
        &mut self,
        id: &str,
        urn: &str,
        payload: Payload,
        input: &Collection,
        sides: &[(&str, &Collection)],
        outputs: Vec<(String, Coder)>,
    ) -> Outputs {
        let outputs = outputs.into_iter().map(|(tag, coder)| {
            let name = format!("{id}.{tag}");
            (tag, self.collection(name, coder, input.windowing))
        });
        let outputs: BTreeMap<String, Collection> = outputs.collect();
        let inputs: Vec<_> = [("in", input)]
            .into_iter()
            .chain(sides.iter().copied())
            .collect();
        let named: Vec<_> = outputs
            .iter()
            .map(|(tag, output)| (tag.as_str(), output))
            .collect();
        self.add(id, urn, payload, &inputs, &named);
        Outputs(outputs)
    }

    /// Adds a flatten of collections of one coder.
    pub fn flatten(&mut self, id: &str, inputs: &[&Collection]) -> Collection {
        let (coder, windowing) = inputs.first().map_or_else(
            || (Vec::<u8>::coder(), Windowing::default()),
            |first| (first.coder.clone(), first.windowing),
        );
        let output = self.output_of(id, coder, windowing);
        let tags: Vec<String> = (0..inputs.len()).map(|n| format!("in{n}")).collect();
        let inputs: Vec<_> = tags
            .iter()
            .map(String::as_str)
            .zip(inputs.iter().copied())
            .collect();
        self.transform(
            id,
            "beam:transform:flatten:v1",
            Vec::new(),
            &inputs,
            &[("out", &output)],
        );
        output
    }

    /// Adds the assignment of windows.
    pub fn window_into(
        &mut self,
        id: &str,
        input: &Collection,
        windowing: impl Into<Windowing>,
    ) -> Collection {
        let windowing = windowing.into();
        let output = self.output_of(id, input.coder.clone(), windowing);
        let payload = WindowIntoPayload {
            window_fn: Some(windowing::to_proto(&windowing.window_fn)),
        };
        let payload = payload.encode_to_vec();
        let urn = "beam:transform:window_into:v1";
        self.transform(id, urn, payload, &[("in", input)], &[("out", &output)]);
        output
    }

    /// Adds a mapping of windows to those of a side input: pairs of a nonce and a window.
    ///
    /// # Panics
    /// The input is not one of pairs.
    pub fn map_windows(
        &mut self,
        id: &str,
        input: &Collection,
        window_fn: &WindowFn,
    ) -> Collection {
        let coder = Coder::kv(nonce(input), window_fn.coder());
        let output = self.output_of(id, coder, input.windowing);
        let payload = windowing::to_proto(window_fn).encode_to_vec();
        let urn = "beam:transform:map_windows:v1";
        self.transform(id, urn, payload, &[("in", input)], &[("out", &output)]);
        output
    }

    /// Adds a merging of windows: pairs of a nonce and many windows.
    ///
    /// # Panics
    /// The input is not one of pairs.
    pub fn merge_windows(
        &mut self,
        id: &str,
        input: &Collection,
        window_fn: &WindowFn,
    ) -> Collection {
        let windows = Coder::iterable(IntervalWindow::coder());
        let merged = Coder::kv(IntervalWindow::coder(), windows.clone());
        let result = Coder::kv(windows, Coder::iterable(merged));
        let output = self.output_of(id, Coder::kv(nonce(input), result), input.windowing);
        let payload = windowing::to_proto(window_fn).encode_to_vec();
        let urn = "beam:transform:merge_windows:v1";
        self.transform(id, urn, payload, &[("in", input)], &[("out", &output)]);
        output
    }

    /// Adds one stage of combining. The input's pairs give the coder of the keys.
    ///
    /// # Panics
    /// The input is not one of pairs, or the combiner's configuration cannot be written as JSON.
    pub fn combine<C: CombineFn + Named>(
        &mut self,
        id: &str,
        stage: CombineStage,
        combiner: &C,
        input: &Collection,
    ) -> Collection {
        let (urn, value) = match stage {
            CombineStage::Precombine => ("combine_per_key_precombine", C::Acc::coder()),
            CombineStage::MergeAccumulators => {
                ("combine_per_key_merge_accumulators", C::Acc::coder())
            }
            CombineStage::ExtractOutputs => ("combine_per_key_extract_outputs", C::Out::coder()),
            CombineStage::ConvertToAccumulators => {
                ("combine_per_key_convert_to_accumulators", C::Acc::coder())
            }
            CombineStage::GroupedValues => ("combine_grouped_values", C::Out::coder()),
        };
        let coder = Coder::kv(nonce(input), value);
        let output = self.output_of(id, coder, input.windowing);
        let function = FunctionPayload::of(combiner).expect("a configuration that JSON can hold");
        let payload = CombinePayload {
            combine_fn: Some(function_spec(&function)),
            ..CombinePayload::default()
        };
        let urn = format!("beam:transform:{urn}:v1");
        let payload = payload.encode_to_vec();
        self.transform(id, &urn, payload, &[("in", input)], &[("out", &output)]);
        output
    }

    /// The coders of all sinks' ports, by transform.
    pub fn sinks(&self) -> impl Iterator<Item = (&str, &Coder)> {
        self.ports("beam:runner:sink:v1")
            .map(|(id, _, coder)| (id, coder))
    }

    /// All sources.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.ports("beam:runner:source:v1").map(|(id, _, _)| id)
    }

    /// The number of the data service of a source or sink.
    pub(super) fn service_of(&self, port: &str) -> Option<usize> {
        match self.transforms.get(port)?.payload {
            Payload::Port { service, .. } => Some(service),
            Payload::Bytes(_) | Payload::Function(..) => None,
        }
    }

    /// The coders of all timers, by transform and family.
    pub fn timer_families(&self) -> impl Iterator<Item = (&str, &str, &Coder)> {
        self.families()
            .map(|(id, family)| (id, family.family.as_str(), &family.coder))
    }

    pub(super) fn families(&self) -> impl Iterator<Item = (&str, &TimerFamily)> {
        self.transforms.iter().flat_map(|(id, transform)| {
            let families = match &transform.payload {
                Payload::Function(_, _, families) => families.as_slice(),
                _ => &[],
            };
            families.iter().map(move |family| (id.as_str(), family))
        })
    }

    /// The number of the data service that timers travel through.
    pub(super) fn timer_service(&self) -> usize {
        self.data_service
    }

    fn ports(&self, urn: &str) -> impl Iterator<Item = (&str, usize, &Coder)> {
        self.transforms
            .iter()
            .filter_map(move |(id, transform)| match &transform.payload {
                Payload::Port { service, coder } if transform.urn == urn => {
                    Some((id.as_str(), *service, coder))
                }
                _ => None,
            })
    }

    /// The descriptor as the runner sends it.
    pub fn build(&self, endpoints: &Endpoints) -> ProcessBundleDescriptor {
        let mut coders = CoderIds::default();
        let address = |url: &String| ApiServiceDescriptor {
            url: url.clone(),
            ..ApiServiceDescriptor::default()
        };
        let transforms = self.transforms.iter().map(|(id, transform)| {
            let payload = match &transform.payload {
                Payload::Bytes(bytes) => bytes.clone(),
                Payload::Function(par_do, states, families) => {
                    let states = states.iter();
                    let state_specs = states
                        .map(|cell| (cell.tag.clone(), cell.spec(&mut coders)))
                        .collect();
                    let families = families.iter();
                    let timer_family_specs = families
                        .map(|family| (family.family.clone(), family.spec(&mut coders)))
                        .collect();
                    let par_do = ParDoPayload {
                        state_specs,
                        timer_family_specs,
                        ..par_do.clone()
                    };
                    par_do.encode_to_vec()
                }
                Payload::Port { service, coder } => {
                    let port = RemoteGrpcPort {
                        api_service_descriptor: endpoints.data.get(*service).map(address),
                        coder_id: coders.id(coder),
                    };
                    port.encode_to_vec()
                }
            };
            let proto = PTransform {
                unique_name: id.clone(),
                spec: Some(spec(&transform.urn, payload)),
                inputs: transform.inputs.clone(),
                outputs: transform.outputs.clone(),
                ..PTransform::default()
            };
            (id.clone(), proto)
        });
        let transforms = transforms.collect();
        let mut strategies = BTreeMap::new();
        let pcollections = self.collections.iter().map(|(id, collection)| {
            let strategy = format!("windowing of {id}");
            let proto = windowing_strategy(&collection.windowing, &mut coders);
            strategies.insert(strategy.clone(), proto);
            let proto = proto::PCollection {
                unique_name: id.clone(),
                coder_id: coders.id(&collection.coder),
                is_bounded: proto::is_bounded::Enum::Bounded.into(),
                windowing_strategy_id: strategy,
                ..proto::PCollection::default()
            };
            (id.clone(), proto)
        });
        let pcollections = pcollections.collect();
        ProcessBundleDescriptor {
            id: self.id.clone(),
            transforms,
            pcollections,
            windowing_strategies: strategies,
            coders: coders.protos,
            state_api_service_descriptor: endpoints.state.as_ref().map(address),
            timer_api_service_descriptor: endpoints.data.get(self.data_service).map(address),
            ..ProcessBundleDescriptor::default()
        }
    }
}

/// The first part of a collection of pairs.
fn nonce(input: &Collection) -> Coder {
    input
        .coder
        .component(0)
        .expect("a collection of pairs")
        .clone()
}
