//! What the runner must know of a descriptor to check its output.

use std::collections::{BTreeMap, BTreeSet};

use beam_proto::fnexec::{ProcessBundleDescriptor, RemoteGrpcPort};
use beam_proto::pipeline::{FunctionSpec, PTransform, ParDoPayload};
use prost::Message;

use super::timers::Family;
use crate::element::coder::urn;
use crate::element::{Coder, Input, Layout, Nesting};
use crate::model::coders;
use crate::model::descriptor::SplittableStage;

/// A descriptor with the shapes of its output.
pub(super) struct Stage {
    pub(super) descriptor: ProcessBundleDescriptor,
    /// By sink. There is none for coders that the runner does not know.
    pub(super) sinks: BTreeMap<String, Option<Shape>>,
    /// Whether a function wants to know when bundles are committed.
    pub(super) finalizes: bool,
    /// The coders of its families of timers.
    pub(super) timers: BTreeMap<Family, Coder>,
    /// The splittable functions that process.
    pub(super) splittables: BTreeMap<String, Process>,
    /// The data services of its sources and sinks, and of its timers.
    endpoints: BTreeSet<String>,
}

/// A splittable function that processes.
pub(super) struct Process {
    /// Its name for its main input.
    pub(super) input: String,
    /// Its names for its outputs.
    pub(super) outputs: BTreeSet<String>,
    /// The source of its input, if it comes right after one.
    pub(super) source: Option<String>,
    /// The shape of its elements, if a source tells.
    pub(super) shape: Option<Shape>,
}

/// The shape of the elements of a sink.
pub(super) struct Shape {
    layout: Layout,
    /// Whether there are no headers, so that an element may have no bytes: then one zero byte stands for it.
    is_bare: bool,
}

impl Stage {
    pub(super) fn of(descriptor: ProcessBundleDescriptor) -> Self {
        let mut sinks = BTreeMap::new();
        let mut endpoints = BTreeSet::new();
        let mut finalizes = false;
        let mut timers = BTreeMap::new();
        let splittables = splittables(&descriptor);
        for (id, transform) in &descriptor.transforms {
            let Some(spec) = &transform.spec else {
                continue;
            };
            let is_sink = spec.urn == "beam:runner:sink:v1";
            let is_function = spec.urn == "beam:transform:pardo:v1";
            if is_function || splittables.contains_key(id) {
                let par_do = ParDoPayload::decode(&spec.payload[..]).unwrap_or_default();
                finalizes |= par_do.requests_finalization;
                timers.extend(families(&descriptor, id, par_do));
                continue;
            }
            if !is_sink && spec.urn != "beam:runner:source:v1" {
                continue;
            }
            let port = RemoteGrpcPort::decode(&spec.payload[..]).unwrap_or_default();
            endpoints.extend(port.api_service_descriptor.map(|service| service.url));
            if is_sink {
                sinks.insert(id.clone(), Shape::of(&descriptor, &port.coder_id));
            }
        }
        if !timers.is_empty() {
            let service = descriptor.timer_api_service_descriptor.as_ref();
            endpoints.extend(service.map(|service| service.url.clone()));
        }
        Stage {
            descriptor,
            sinks,
            finalizes,
            timers,
            splittables,
            endpoints,
        }
    }

    /// Whether it is connected to one of these data services.
    pub(super) fn uses_any(&self, endpoints: &[String]) -> bool {
        endpoints
            .iter()
            .any(|endpoint| self.endpoints.contains(endpoint))
    }
}

/// The splittable functions of a descriptor that process.
fn splittables(descriptor: &ProcessBundleDescriptor) -> BTreeMap<String, Process> {
    let with_urn = |urn: &'static str| {
        let all = descriptor.transforms.iter();
        all.filter_map(move |(id, transform)| {
            let spec = transform.spec.as_ref()?;
            (spec.urn == urn).then_some((id, transform, spec))
        })
    };
    let process = |(id, transform, spec): (&String, &PTransform, &FunctionSpec)| {
        let par_do = ParDoPayload::decode(&spec.payload[..]).ok()?;
        let mut inputs = transform.inputs.iter();
        let (input, collection) = inputs.find(|(tag, _)| !par_do.side_inputs.contains_key(*tag))?;
        let source = with_urn("beam:runner:source:v1")
            .find(|(_, source, _)| source.outputs.values().any(|output| output == collection));
        let port = source.and_then(|(_, _, spec)| RemoteGrpcPort::decode(&spec.payload[..]).ok());
        let process = Process {
            input: input.clone(),
            outputs: transform.outputs.keys().cloned().collect(),
            source: source.map(|(id, _, _)| id.clone()),
            shape: port.and_then(|port| Shape::of(descriptor, &port.coder_id)),
        };
        Some((id.clone(), process))
    };
    with_urn(SplittableStage::Process.urn())
        .filter_map(process)
        .collect()
}

/// The families of timers of a function, as far as their coders can be read.
fn families(
    descriptor: &ProcessBundleDescriptor,
    transform: &str,
    par_do: ParDoPayload,
) -> Vec<(Family, Coder)> {
    let families = par_do.timer_family_specs.into_iter();
    families
        .filter_map(|(family, spec)| {
            let coder = coders::resolve(&descriptor.coders, &spec.timer_family_coder_id).ok()?;
            Some(((transform.to_owned(), family), coder))
        })
        .collect()
}

impl Shape {
    fn of(descriptor: &ProcessBundleDescriptor, coder: &str) -> Option<Self> {
        let coder = coders::resolve(&descriptor.coders, coder).ok()?;
        Some(Shape {
            layout: Layout::of(&coder).ok()?,
            is_bare: coder.is(urn::PARAM_WINDOWED_VALUE),
        })
    }

    /// How many elements some bytes are.
    ///
    /// # Errors
    /// They are not whole elements.
    pub(super) fn check(&self, data: &[u8]) -> Result<usize, String> {
        let mut input = Input::new(data);
        let mut count = 0;
        while !input.is_empty() {
            let before = input.remaining();
            self.layout
                .skip(&mut input, Nesting::Nested)
                .map_err(|e| format!("the message does not hold whole elements: {e}"))?;
            if input.remaining() == before {
                if !self.is_bare {
                    return Err("an element has no bytes".into());
                }
                if !matches!(input.byte(), Ok(0)) {
                    return Err("an element without bytes must be sent as one zero byte".into());
                }
            }
            count += 1;
        }
        Ok(count)
    }
}
