//! From the runner's descriptor to a [`PlanSpec`].

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use beam_proto::fnexec::{ProcessBundleDescriptor, RemoteGrpcPort};
use beam_proto::pipeline::{self as proto, ApiServiceDescriptor, FunctionSpec, PTransform};
use beam_proto::urns::user_states;
use prost::Message;

use super::{
    CollectionIndex, CollectionSpec, CombineStage, HeaderSpec, NodeKind, NodeSpec, OutputTime,
    PlanSpec, PortSpec, SideSpec, SplittableStage, StateSpec, TimerSpec, WindowFnSpec,
    WindowingSpec,
};
use crate::dofn::{FUNCTION_URN, FunctionPayload, StateProtocol, TimeDomain};
use crate::element::coder::urn;
use crate::element::{Coder, Header, Input, Timestamp, WindowCoding};
use crate::error::{Context, Error, Result};
use crate::model::{circles, coders, windowing};

impl TryFrom<ProcessBundleDescriptor> for PlanSpec {
    type Error = Error;

    fn try_from(descriptor: ProcessBundleDescriptor) -> Result<Self> {
        let id = descriptor.id.clone();
        Reader::new(&descriptor).read().at("descriptor", id)
    }
}

/// Reads one descriptor.
struct Reader<'a> {
    descriptor: &'a ProcessBundleDescriptor,
    indices: HashMap<&'a str, CollectionIndex>,
}

impl<'a> Reader<'a> {
    fn new(descriptor: &'a ProcessBundleDescriptor) -> Self {
        let indices = descriptor
            .pcollections
            .keys()
            .enumerate()
            .map(|(i, id)| (id.as_str(), i))
            .collect();
        Reader {
            descriptor,
            indices,
        }
    }

    fn read(&self) -> Result<PlanSpec> {
        let mut collections = self
            .descriptor
            .pcollections
            .iter()
            .map(|(id, collection)| {
                Ok(CollectionSpec {
                    id: id.clone(),
                    readers: Vec::new(),
                    windowing: self
                        .windowing(&collection.windowing_strategy_id)
                        .at("collection", id)?,
                    coder: self.coder(&collection.coder_id).ok(),
                    coder_id: collection.coder_id.clone(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let mut nodes = Vec::new();
        for (id, transform) in &self.descriptor.transforms {
            if !transform.subtransforms.is_empty() {
                continue;
            }
            let node = self.node(id, transform, &collections).at("transform", id)?;
            for (tag, collection) in &node.inputs {
                collections[*collection]
                    .readers
                    .push((nodes.len(), tag.clone()));
            }
            nodes.push(node);
        }
        circles::refuse(&nodes, &collections)?;
        let address = |service: Option<&ApiServiceDescriptor>| {
            let url = service.map(|service| service.url.clone());
            url.filter(|url| !url.is_empty())
        };
        let descriptor = self.descriptor;
        let timers = address(descriptor.timer_api_service_descriptor.as_ref());
        let mut plan = PlanSpec {
            id: descriptor.id.clone(),
            nodes,
            collections,
            state_endpoint: address(descriptor.state_api_service_descriptor.as_ref()),
            timer_endpoint: None,
        };
        if plan.timer_families().next().is_some() {
            // A runner with one data service for everything need not name it twice.
            let source = plan.sources().next();
            let timers = timers.or_else(|| source.map(|(_, _, port)| port.endpoint.clone()));
            plan.timer_endpoint = Some(timers.ok_or_else(|| {
                Error::descriptor("a function has timers, but no data service is named for them")
            })?);
        }
        Ok(plan)
    }

    fn node(
        &self,
        id: &str,
        transform: &PTransform,
        collections: &[CollectionSpec],
    ) -> Result<NodeSpec> {
        let spec = transform
            .spec
            .as_ref()
            .ok_or_else(|| Error::descriptor("a transform has no spec"))?;
        let mut inputs = self.collections(&transform.inputs)?;
        let outputs = self.collections(&transform.outputs)?;
        let payload = &spec.payload[..];
        let kind = match spec.urn.as_str() {
            "beam:runner:source:v1" => {
                let (_, output) = only(&outputs, "output")?;
                NodeKind::Source(self.port(payload, &collections[output].coder_id)?)
            }
            "beam:runner:sink:v1" => {
                let (_, input) = only(&inputs, "input")?;
                NodeKind::Sink(self.port(payload, &collections[input].coder_id)?)
            }
            "beam:transform:pardo:v1" => {
                let pardo = proto::ParDoPayload::decode(payload).map_err(unreadable)?;
                let sides = self.sides(&pardo, &mut inputs, collections)?;
                refuse_whole_splittables(&pardo)?;
                NodeKind::ParDo {
                    function: function(pardo.do_fn.as_ref())?,
                    sides,
                    states: states(&pardo)?,
                    timers: self.timers(&pardo)?,
                    finalizes: pardo.requests_finalization,
                }
            }
            "beam:transform:flatten:v1" => NodeKind::Flatten,
            "beam:transform:window_into:v1" => {
                let into = proto::WindowIntoPayload::decode(payload).map_err(unreadable)?;
                NodeKind::WindowInto(known_window_fn(into.window_fn.as_ref())?)
            }
            "beam:transform:map_windows:v1" | "beam:transform:merge_windows:v1" => {
                let window_fn = FunctionSpec::decode(payload).map_err(unreadable)?;
                let window_fn = known_window_fn(Some(&window_fn))?;
                let (_, input) = only(&inputs, "input")?;
                let pair = self.coder(&collections[input].coder_id)?;
                if spec.urn == "beam:transform:map_windows:v1" {
                    NodeKind::MapWindows(window_fn, pair)
                } else {
                    NodeKind::MergeWindows(window_fn, pair)
                }
            }
            other if let Some(stage) = SplittableStage::of(other) => {
                let pardo = proto::ParDoPayload::decode(payload).map_err(unreadable)?;
                NodeKind::Splittable {
                    stage,
                    function: function(pardo.do_fn.as_ref())?,
                    sides: self.sides(&pardo, &mut inputs, collections)?,
                    finalizes: pardo.requests_finalization,
                }
            }
            other => match combine_stage(other) {
                Some(stage) => {
                    let combine = proto::CombinePayload::decode(payload).map_err(unreadable)?;
                    NodeKind::Combine {
                        stage,
                        function: function(combine.combine_fn.as_ref())?,
                    }
                }
                None => {
                    return Err(Error::descriptor(format!(
                        "this worker does not run transforms of {other}; the runner should have expanded it or given it \
                         to another environment"
                    )));
                }
            },
        };
        Ok(NodeSpec {
            id: id.into(),
            name: transform.unique_name.clone(),
            kind,
            inputs,
            outputs,
        })
    }

    fn collections(
        &self,
        ids: &BTreeMap<String, String>,
    ) -> Result<Vec<(String, CollectionIndex)>> {
        ids.iter()
            .map(|(tag, id)| match self.indices.get(id.as_str()) {
                Some(index) => Ok((tag.clone(), *index)),
                None => Err(Error::descriptor(format!("collection {id:?} is missing"))),
            })
            .collect()
    }

    fn coder(&self, id: &str) -> Result<Coder> {
        coders::resolve(&self.descriptor.coders, id)
    }

    fn port(&self, payload: &[u8], collection_coder: &str) -> Result<PortSpec> {
        let port = RemoteGrpcPort::decode(payload).map_err(unreadable)?;
        let endpoint = port
            .api_service_descriptor
            .map(|d| d.url)
            .unwrap_or_default();
        if endpoint.is_empty() {
            return Err(Error::descriptor("the port names no data service"));
        }
        let coder = self.coder(if port.coder_id.is_empty() {
            collection_coder
        } else {
            &port.coder_id
        })?;
        let value = coder.component(0)?.clone();
        let coding = WindowCoding::of(coder.component(1)?)?;
        let header = match coder.urn.as_ref() {
            urn::WINDOWED_VALUE => HeaderSpec::Encoded(coding),
            urn::PARAM_WINDOWED_VALUE => {
                let mut header = Header::global(Timestamp::MIN);
                header.decode_into(&mut Input::new(&coder.payload), &coding)?;
                HeaderSpec::Constant(header)
            }
            _ => {
                return Err(Error::descriptor(format!(
                    "the port's coder {coder} is not one of windowed values"
                )));
            }
        };
        Ok(PortSpec {
            endpoint,
            value,
            header,
        })
    }

    fn windowing(&self, id: &str) -> Result<WindowingSpec> {
        let Some(strategy) = self.descriptor.windowing_strategies.get(id) else {
            return Err(Error::descriptor(format!(
                "windowing strategy {id:?} is missing"
            )));
        };
        let window_fn = strategy
            .window_fn
            .as_ref()
            .map(window_fn)
            .transpose()?
            .flatten();
        let output_time = match strategy.output_time() {
            proto::output_time::Enum::LatestInPane => OutputTime::Latest,
            proto::output_time::Enum::EarliestInPane => OutputTime::Earliest,
            _ => OutputTime::EndOfWindow,
        };
        // Windows that nobody looks at may have a coder that nobody knows.
        let coder = match self.coder(&strategy.window_coder_id) {
            Ok(coder) => coder,
            Err(error) => match window_fn {
                Some(WindowFnSpec::Standard(window_fn)) => window_fn.coder(),
                _ => return Err(error),
            },
        };
        Ok(WindowingSpec {
            window_fn,
            output_time,
            coder,
            allowed_lateness: Duration::from_millis(
                u64::try_from(strategy.allowed_lateness).unwrap_or(0),
            ),
        })
    }

    fn timers(&self, pardo: &proto::ParDoPayload) -> Result<Vec<TimerSpec>> {
        let specs = pardo.timer_family_specs.iter();
        specs
            .map(|(family, spec)| {
                Ok(TimerSpec {
                    family: family.clone(),
                    domain: match spec.time_domain() {
                        proto::time_domain::Enum::ProcessingTime => TimeDomain::ProcessingTime,
                        _ => TimeDomain::EventTime,
                    },
                    coder: self
                        .coder(&spec.timer_family_coder_id)
                        .at("timers", family)?,
                    on_window_expiration: pardo.on_window_expiration_timer_family_spec == *family,
                })
            })
            .collect()
    }

    /// The side inputs of a function, which are no longer among its inputs then.
    fn sides(
        &self,
        pardo: &proto::ParDoPayload,
        inputs: &mut Vec<(String, CollectionIndex)>,
        collections: &[CollectionSpec],
    ) -> Result<Vec<SideSpec>> {
        let sides = pardo.side_inputs.iter();
        let sides = sides
            .map(|(tag, side)| self.side(tag, side, inputs, collections))
            .collect::<Result<Vec<_>>>()?;
        inputs.retain(|(tag, _)| !pardo.side_inputs.contains_key(tag));
        Ok(sides)
    }

    fn side(
        &self,
        tag: &str,
        side: &proto::SideInput,
        inputs: &[(String, CollectionIndex)],
        collections: &[CollectionSpec],
    ) -> Result<SideSpec> {
        let Some((_, collection)) = inputs.iter().find(|(input, _)| input == tag) else {
            return Err(Error::descriptor(format!(
                "side input {tag:?} is not among the inputs"
            )));
        };
        let collection = &collections[*collection];
        let mapped = side
            .window_mapping_fn
            .as_ref()
            .map(window_fn)
            .transpose()?
            .flatten();
        let window_fn = mapped
            .or_else(|| collection.windowing.window_fn.clone())
            .ok_or_else(|| {
                Error::descriptor(format!(
                    "side input {tag:?} has windows of another SDK's own kind; re-window it first"
                ))
            })?;
        Ok(SideSpec {
            tag: tag.into(),
            coder: self.coder(&collection.coder_id)?,
            window_fn,
        })
    }
}

/// A runner expands splittable functions into their stages.
fn refuse_whole_splittables(pardo: &proto::ParDoPayload) -> Result<()> {
    if pardo.restriction_coder_id.is_empty() {
        Ok(())
    } else {
        Err(Error::descriptor(
            "the function is splittable, but the runner has not expanded it into its stages; use a runner that knows \
             splittable functions",
        ))
    }
}

fn states(pardo: &proto::ParDoPayload) -> Result<Vec<StateSpec>> {
    let specs = pardo.state_specs.iter();
    specs
        .map(|(tag, spec)| {
            let urn = spec.protocol.as_ref().map_or("", |protocol| &protocol.urn);
            let protocol = match urn {
                // Before protocols had names, all state was a bag.
                user_states::BAG | "" => StateProtocol::Bag,
                user_states::MULTIMAP => StateProtocol::Multimap,
                user_states::ORDERED_LIST => StateProtocol::OrderedList,
                other => {
                    return Err(Error::descriptor(format!(
                        "this worker does not know the state protocol {other}"
                    ))
                    .at("state", tag));
                }
            };
            Ok(StateSpec {
                tag: tag.clone(),
                protocol,
            })
        })
        .collect()
}

fn function(spec: Option<&FunctionSpec>) -> Result<FunctionPayload> {
    let spec = spec.ok_or_else(|| Error::descriptor("the transform names no function"))?;
    if spec.urn != FUNCTION_URN {
        return Err(Error::descriptor(format!(
            "the function's URN is {}, but this worker runs functions of {FUNCTION_URN} only; the transform was given to \
             the wrong environment",
            spec.urn
        )));
    }
    FunctionPayload::parse(&spec.payload)
}

/// The window function of a spec, unless it is another SDK's own.
fn window_fn(spec: &FunctionSpec) -> Result<Option<WindowFnSpec>> {
    if spec.urn == FUNCTION_URN {
        let function = FunctionPayload::parse(&spec.payload)?;
        return Ok(Some(WindowFnSpec::Custom(function)));
    }
    Ok(windowing::window_fn(spec)?.map(WindowFnSpec::Standard))
}

fn known_window_fn(spec: Option<&FunctionSpec>) -> Result<WindowFnSpec> {
    let spec = spec.ok_or_else(|| Error::descriptor("the transform names no window function"))?;
    window_fn(spec)?.ok_or_else(|| {
        Error::descriptor(format!(
            "this worker does not know the window function {}",
            spec.urn
        ))
    })
}

fn combine_stage(urn: &str) -> Option<CombineStage> {
    Some(match urn {
        "beam:transform:combine_per_key_precombine:v1" => CombineStage::Precombine,
        "beam:transform:combine_per_key_merge_accumulators:v1" => CombineStage::MergeAccumulators,
        "beam:transform:combine_per_key_extract_outputs:v1" => CombineStage::ExtractOutputs,
        "beam:transform:combine_per_key_convert_to_accumulators:v1" => {
            CombineStage::ConvertToAccumulators
        }
        "beam:transform:combine_grouped_values:v1" => CombineStage::GroupedValues,
        _ => return None,
    })
}

fn only(
    collections: &[(String, CollectionIndex)],
    what: &str,
) -> Result<(String, CollectionIndex)> {
    match collections {
        [one] => Ok(one.clone()),
        _ => Err(Error::descriptor(format!(
            "the transform must have one {what}, but has {}",
            collections.len()
        ))),
    }
}

#[cold]
fn unreadable(error: prost::DecodeError) -> Error {
    Error::descriptor("the transform's payload cannot be read").because(error)
}
