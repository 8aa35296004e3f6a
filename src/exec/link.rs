//! From a checked descriptor to a tree of nodes: the only place where kinds of edges are looked at.

mod ports;
mod splittable;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::activity::{Activity, PhaseTimes};
use super::edge::{AnyLink, Edge, FlowOps, Form, SharedMaker, adapt, erase, ops, unbox};
use super::flow::Opaque;
use super::held::{HeldBuffer, HeldOutput};
use super::nodes::{
    CombinePlace, MapWindows, MergeWindows, Merger, ParDoPlace, SinkSpec, TasteSpec, WindowPlace,
    merge_standard,
};
use super::plan::{IdleSinks, Plan, PlanMetrics, from_panic};
use super::registry::{Linked, Registry};
use super::samples::Tasting;
use super::side::side_windows;
use super::source::{Headers, Source, SourceProgress, SourceSpec};
use super::splittable::{BundleGate, InHand};
use super::timers::{LocalTimers, PlanTimers, TimerPlace, TimerStreams, first_family};
use crate::dofn::timer::{TimerRules, TimerWiring};
use crate::dofn::{Meter, MetricSet, Services, StateKey, StatePort, Wiring, namespace};
use crate::element::coder::urn;
use crate::element::{Coder, Layout, Page, Pages, RAW_CODER, plain};
use crate::error::{Context, Error, Result};
use crate::model::descriptor::{
    CollectionIndex, HeaderSpec, NodeKind, NodeSpec, PlanSpec, PortSpec, WindowFnSpec,
    end_of_windows,
};

use ports::SidePlace;

/// Where the bytes of outputs go. Calls may block until there is room.
///
/// Outputs are the sinks, in the order of [`PlanSpec::sinks`], and behind them the families of timers, in the order of
/// [`PlanSpec::timer_families`].
pub trait Outbox: Send + Sync {
    /// Sends bytes of the output with this index; more may follow.
    ///
    /// # Errors
    /// The connection broke, or the bundle was abandoned.
    fn send(&self, output: usize, data: Bytes) -> Result<()>;

    /// Takes the last bytes of an output, possibly none. They are sent when the whole bundle has succeeded.
    ///
    /// # Errors
    /// As [`Outbox::send`].
    fn close(&self, output: usize, data: Bytes) -> Result<()>;

    /// Takes bytes of a sink if that needs no waiting, and leaves `data` empty; else leaves it as it is. More may follow.
    fn offer(&self, sink: usize, data: &mut Vec<u8>) {
        let _ = (sink, data);
    }
}

/// What a plan needs from outside.
#[derive(Clone)]
pub struct LinkServices {
    /// What functions need.
    pub functions: Services,
    /// Where sinks write.
    pub outbox: Arc<dyn Outbox>,
    /// Where samples of elements go, if any are wanted.
    pub samples: Option<Tasting>,
    /// Sinks send what they have once it is this many bytes.
    pub flush_bytes: usize,
    /// Whether what sinks have may be sent on before that: see [`Plan::held`].
    pub sends_early: bool,
}

/// Links a plan.
///
/// # Errors
/// A function that the registry lacks or that fails to set up, or types that do not fit together. A panic in user code
/// is an error, too.
pub fn link(spec: Arc<PlanSpec>, registry: &Registry, services: &LinkServices) -> Result<Plan> {
    link_watched(spec, registry, services, Activity::default())
}

/// As [`link`]; `activity`, which becomes the plan's, says meanwhile which function is being set up.
///
/// # Errors
/// As [`link`].
pub fn link_watched(
    spec: Arc<PlanSpec>,
    registry: &Registry,
    services: &LinkServices,
    activity: Activity,
) -> Result<Plan> {
    let linker = Linker {
        spec: &spec,
        registry,
        services,
        activity: activity.clone(),
        meters: spec.collections.iter().map(|_| Meter::default()).collect(),
        metrics: MetricSet::default(),
        shared: HashMap::new(),
        kinds: HashMap::new(),
        sinks: spec.sinks().map(|(index, ..)| index).collect(),
        fed: HashSet::new(),
        timers: HashMap::new(),
        held: Vec::new(),
        hands: Vec::new(),
        pages: Arc::new(TailPages(services.functions.state.clone())),
    };
    let linked = catch_unwind(AssertUnwindSafe(|| linker.link()));
    let linked = linked.unwrap_or_else(|payload| Err(from_panic(payload)));
    linked.map_err(|error| match activity.now() {
        Some((node, _)) => spec.nodes[node].blame(error),
        None => error,
    })
}

/// A kind of item.
type Kind = &'static dyn FlowOps;

struct Linker<'a> {
    spec: &'a Arc<PlanSpec>,
    registry: &'a Registry,
    services: &'a LinkServices,
    activity: Activity,
    /// By collection.
    meters: Vec<Meter>,
    metrics: MetricSet,
    /// By flatten: how to get one more link to it, and what it takes.
    shared: HashMap<usize, (Box<dyn SharedMaker>, Form)>,
    /// By collection: what its readers prefer.
    kinds: HashMap<CollectionIndex, Option<Kind>>,
    /// Node indices.
    sinks: Vec<usize>,
    /// Indices of the sinks that something feeds.
    fed: HashSet<usize>,
    /// By node.
    timers: HashMap<usize, TimerStreams>,
    /// What sinks collect, by their indices, where it may be sent on early.
    held: Vec<(usize, HeldBuffer)>,
    /// The elements in hand of splittable functions.
    hands: Vec<Arc<dyn InHand>>,
    pages: Arc<dyn Pages>,
}

impl Linker<'_> {
    fn link(mut self) -> Result<Plan> {
        let roots: Vec<_> = self
            .spec
            .sources()
            .map(|(node, _, port)| (node, port.clone()))
            .collect();
        let mut linked = Vec::new();
        for (node, port) in roots {
            let spec = &self.spec.nodes[node];
            linked.push(self.source(node, &port).at("transform", &spec.id)?);
        }
        let (sources, progress) = linked.into_iter().unzip();
        let times = self
            .spec
            .nodes
            .iter()
            .map(|_| PhaseTimes::default())
            .collect();
        let hand_of = self.spec.sources().map(|(_, node, _)| self.hand_of(node));
        let metrics = PlanMetrics {
            hand_of: hand_of.collect(),
            hands: self.hands,
            user: self.metrics,
            collections: self.meters,
            times,
            sources: progress,
            gate: BundleGate::default(),
        };
        let unfed = (0..self.sinks.len()).filter(|sink| !self.fed.contains(sink));
        let timers = PlanTimers::new(self.spec, self.timers)?;
        let idle = IdleSinks {
            sinks: unfed.collect(),
            outbox: self.services.outbox.clone(),
        };
        Ok(Plan::new(
            self.spec.clone(),
            sources,
            timers,
            idle,
            HeldOutput::new(self.services.outbox.clone(), self.held),
            self.activity,
            metrics,
        ))
    }

    fn source(
        &mut self,
        node: usize,
        port: &PortSpec,
    ) -> Result<(Box<dyn Source>, SourceProgress)> {
        let (_, collection) = only(&self.spec.nodes[node].outputs)?;
        let form = match self.preferred(collection)? {
            Some(kind) => kind.form(&port.value)?,
            None => ops::<Opaque>().form(&port.value)?,
        };
        let link = self.readers(collection, &form)?;
        let progress = SourceProgress::default();
        let spec = SourceSpec {
            here: self.activity.here(node),
            value: port.value.clone(),
            headers: match &port.header {
                HeaderSpec::Encoded(coding) => Headers::Encoded(coding.clone()),
                HeaderSpec::Constant(header) => Headers::Constant(header.clone()),
            },
            meter: self.meters[collection].clone(),
            progress: progress.clone(),
            pages: self.pages.clone(),
        };
        Ok((form.ops.source(spec, link)?, progress))
    }

    /// The kind of item that the functions which read a collection want, if any does.
    fn preferred(&mut self, collection: CollectionIndex) -> Result<Option<Kind>> {
        // Kept, since flattens can make many ways to one collection.
        if let Some(kind) = self.kinds.get(&collection) {
            return Ok(*kind);
        }
        let mut kind = None;
        for (node, _) in &self.spec.collections[collection].readers {
            let reader = &self.spec.nodes[*node];
            kind = match &reader.kind {
                NodeKind::ParDo { function, .. } => {
                    let function = self.registry.function(&function.name);
                    let function = function.at("transform", &reader.id)?;
                    let keyed = function.keyed.and_then(|form| form(any_key()));
                    Some(keyed.unwrap_or_else(|| function.input.clone()).ops)
                }
                NodeKind::Splittable {
                    stage, function, ..
                } => {
                    let maker = self.registry.splittable(&function.name);
                    Some(maker.at("transform", &reader.id)?.takes(*stage).ops)
                }
                NodeKind::Combine { stage, function } => {
                    let combiner = self.registry.combiner(&function.name);
                    let forms = combiner.at("transform", &reader.id)?.forms;
                    Some(forms(*stage, any_key()).0.ops)
                }
                NodeKind::WindowInto(WindowFnSpec::Custom(function)) => {
                    let function = self.registry.window_function(&function.name);
                    Some(function.at("transform", &reader.id)?.input.ops)
                }
                NodeKind::Flatten | NodeKind::WindowInto(_) => match reader.outputs.first() {
                    Some((_, output)) => self.preferred(*output)?,
                    None => None,
                },
                _ => None,
            };
            if kind.is_some() {
                break;
            }
        }
        self.kinds.insert(collection, kind);
        Ok(kind)
    }

    /// A link that takes items of `form` and gives them to all readers of a collection.
    fn readers(&mut self, collection: CollectionIndex, form: &Form) -> Result<AnyLink> {
        let readers = self.spec.collections[collection].readers.clone();
        let mut links = readers
            .into_iter()
            .map(|(node, _)| {
                let id = &self.spec.nodes[node].id;
                self.reader(node, form).at("transform", id)
            })
            .collect::<Result<Vec<_>>>()?;
        let link = match links.len() {
            0 => form.ops.discard(),
            1 => links.swap_remove(0),
            _ => form.ops.fanout(links)?,
        };
        let spec = &self.spec.collections[collection];
        match (&self.services.samples, &spec.coder) {
            (Some(tasting), Some(wire)) => {
                let taste = TasteSpec {
                    tasting,
                    collection: &spec.id,
                    wire,
                    clock: self.services.functions.clock.clone(),
                    pages: &self.pages,
                };
                form.ops.taste(&form.coder, taste, link)
            }
            _ => Ok(link),
        }
    }

    /// A link that takes items of `form` and gives them to one node.
    fn reader(&mut self, node: usize, form: &Form) -> Result<AnyLink> {
        let spec = &self.spec.nodes[node];
        match &spec.kind {
            NodeKind::Source(_) => Err(Error::descriptor("a source cannot have an input")),
            NodeKind::Sink(port) => {
                let index = self
                    .sinks
                    .iter()
                    .position(|sink| *sink == node)
                    .unwrap_or_default();
                self.fed.insert(index);
                let held = self.services.sends_early.then(HeldBuffer::default);
                self.held.extend(held.clone().map(|held| (index, held)));
                let sink = SinkSpec {
                    index,
                    value: port.value.clone(),
                    headers: matches!(port.header, HeaderSpec::Encoded(_)),
                    outbox: self.services.outbox.clone(),
                    flush_bytes: self.services.flush_bytes,
                    held,
                    pages: self.pages.clone(),
                };
                form.ops.sink(&form.coder, sink)
            }
            NodeKind::ParDo { .. } => {
                let edge = self.par_do(node, spec, form)?;
                adapt(form, edge, &self.pages)
            }
            NodeKind::Splittable { .. } => {
                let edge = self.splittable(node, spec)?;
                adapt(form, edge, &self.pages)
            }
            NodeKind::Flatten => self.flatten(node, spec, form),
            NodeKind::WindowInto(WindowFnSpec::Custom(payload)) => {
                let (_, output) = only(&spec.outputs)?;
                let function = self.registry.window_function(&payload.name)?;
                let place = WindowPlace {
                    here: self.activity.here(node),
                    meter: self.meters[output].clone(),
                };
                let link = self.readers_of(output, &function.input)?;
                let edge = Edge {
                    form: function.input.clone(),
                    link: (function.assign)(payload, place, link)?,
                };
                adapt(form, edge, &self.pages)
            }
            NodeKind::WindowInto(WindowFnSpec::Standard(window_fn)) => {
                let (_, output) = only(&spec.outputs)?;
                let link = self.readers(output, form)?;
                form.ops
                    .assign(*window_fn, self.meters[output].clone(), link)
            }
            NodeKind::MapWindows(window_fn, pair) => {
                let (_, output) = only(&spec.outputs)?;
                let nonce = Layout::of(pair.component(0)?)?;
                let end_of = end_of_windows(pair.component(1)?);
                let window = self.window_coder(window_fn)?;
                let out = Coder::kv(pair.component(0)?.clone(), window);
                let link = unbox::<Opaque>(self.readers(output, &opaque(out))?)?;
                let windows = side_windows(window_fn, end_of, self.registry)?;
                let node = MapWindows::new(windows, nonce, link);
                adapt(
                    form,
                    Edge {
                        form: opaque(pair.clone()),
                        link: erase::<Opaque>(Box::new(node)),
                    },
                    &self.pages,
                )
            }
            NodeKind::MergeWindows(window_fn, pair) => {
                let (_, output) = only(&spec.outputs)?;
                let window = self.window_coder(window_fn)?;
                let merged = Coder::kv(window.clone(), Coder::iterable(window.clone()));
                let result = Coder::kv(Coder::iterable(window), Coder::iterable(merged));
                let out = Coder::kv(pair.component(0)?.clone(), result);
                let nonce = Layout::of(pair.component(0)?)?;
                let link = unbox::<Opaque>(self.readers(output, &opaque(out))?)?;
                let node = MergeWindows::new(self.merger(window_fn)?, nonce, link);
                adapt(
                    form,
                    Edge {
                        form: opaque(pair.clone()),
                        link: erase::<Opaque>(Box::new(node)),
                    },
                    &self.pages,
                )
            }
            NodeKind::Combine { stage, function } => {
                let combiner = self.registry.combiner(&function.name)?;
                if !form.coder.is(urn::KV) {
                    return Err(Error::descriptor(format!(
                        "combining needs pairs, but gets {}",
                        form.coder
                    )));
                }
                let (takes, gives) = (combiner.forms)(*stage, form.coder.component(0)?.clone());
                let (_, output) = only(&spec.outputs)?;
                let (_, input) = only(&spec.inputs)?;
                let windowing = &self.spec.collections[input].windowing;
                let place = CombinePlace {
                    here: self.activity.here(node),
                    meter: self.meters[output].clone(),
                    windows: windowing.coding()?,
                    end_of: windowing.end_of(),
                    output_time: windowing.output_time,
                };
                let out = self.readers(output, &gives)?;
                let link = (combiner.make)(function, *stage, place, out)?;
                adapt(form, Edge { form: takes, link }, &self.pages)
            }
        }
    }

    /// Several producers share what comes after a flatten. It takes what its readers prefer, else what came first.
    fn flatten(&mut self, node: usize, spec: &NodeSpec, form: &Form) -> Result<AnyLink> {
        if !self.shared.contains_key(&node) {
            let (_, output) = only(&spec.outputs)?;
            let taken = match self.preferred(output)? {
                Some(kind) => kind.form(&form.coder)?,
                None => form.clone(),
            };
            let link = self.readers(output, &taken)?;
            let maker = taken.ops.share(link, self.meters[output].clone())?;
            self.shared.insert(node, (maker, taken));
        }
        let (maker, taken) = &self.shared[&node];
        adapt(
            form,
            Edge {
                form: taken.clone(),
                link: maker.link(),
            },
            &self.pages,
        )
    }

    /// The coder of a window function's windows.
    fn window_coder(&self, window_fn: &WindowFnSpec) -> Result<Coder> {
        match window_fn {
            WindowFnSpec::Standard(window_fn) => Ok(window_fn.coder()),
            WindowFnSpec::Custom(function) => {
                let function = self.registry.window_function(&function.name)?;
                Ok(function.windows.clone())
            }
        }
    }

    fn merger(&self, window_fn: &WindowFnSpec) -> Result<Merger> {
        match window_fn {
            WindowFnSpec::Standard(window_fn) => merge_standard(*window_fn),
            WindowFnSpec::Custom(payload) => {
                let function = self.registry.window_function(&payload.name)?;
                let Some(merge) = function.merge else {
                    return Err(Error::descriptor(format!(
                        "windows of {:?} do not merge",
                        payload.name
                    )));
                };
                merge(payload)
            }
        }
    }

    /// A link that takes items of a function's form and gives them to all readers of a collection. Of raw values the
    /// collection's coder alone says what they are.
    fn readers_of(&mut self, collection: CollectionIndex, raw: &Form) -> Result<AnyLink> {
        if !raw.coder.is(RAW_CODER) {
            return self.readers(collection, raw);
        }
        let spec = &self.spec.collections[collection];
        let Some(coder) = &spec.coder else {
            return Err(Error::descriptor("the coder of a collection is missing")
                .at("collection", &spec.id));
        };
        let form = opaque(plain(coder));
        let link = self.readers(collection, &form)?;
        adapt(raw, Edge { form, link }, &self.pages)
    }

    fn par_do(&mut self, node: usize, spec: &NodeSpec, given: &Form) -> Result<Edge> {
        let NodeKind::ParDo {
            function: payload,
            sides,
            states,
            timers,
            finalizes,
        } = &spec.kind
        else {
            return Err(Error::descriptor("not a function"));
        };
        let function = self.registry.function(&payload.name)?;
        let outs = self.outs(spec, &payload.name, &function.outputs)?;
        let (_, input) = only(&spec.inputs)?;
        // Keys go into state and timers as the runner knows them: in the coder of the collection.
        let wire = self.spec.collections[input].coder.as_ref();
        let takes = function.takes(wire.unwrap_or(&given.coder))?;
        let windowing = &self.spec.collections[input].windowing;
        let place = ParDoPlace {
            here: self.activity.here(node),
            windows: windowing.coding()?,
        };
        let functions = &self.services.functions;
        let mut wiring = Wiring::new(
            &spec.id,
            namespace(&payload.name),
            &mut self.metrics,
            functions,
        );
        for (tag, slot) in outs {
            wiring.add_out(tag, slot);
        }
        let side_place = SidePlace {
            state: &functions.state,
            registry: self.registry,
            windowing,
        };
        side_place.add(&mut wiring, sides, &function.sides)?;
        if *finalizes {
            wiring.add_after_commit();
        }
        for state in states {
            wiring.add_state(&state.tag, state.protocol);
        }
        let domains = timers.iter().map(|timer| timer.domain).collect();
        let local = Arc::new(Mutex::new(LocalTimers::new(domains)));
        let rules = TimerRules {
            end_of: windowing.end_of(),
            allowed_lateness: windowing.allowed_lateness,
        };
        if !timers.is_empty() {
            let families = timers.iter();
            let families = families.map(|timer| (timer.family.clone(), timer.domain));
            wiring.add_timers(TimerWiring::new(families, local.clone(), rules));
        }
        let Linked { link, timers: fire } =
            function.link(payload, &mut wiring, place, &takes.coder)?;
        if let Some(fire) = fire
            && !timers.is_empty()
        {
            let place = TimerPlace {
                here: self.activity.here(node),
                outbox: self.services.outbox.clone(),
                clock: functions.clock.clone(),
                first_output: self.sinks.len() + first_family(self.spec, node),
                rules,
            };
            let key = takes.coder.component(0)?;
            let streams = TimerStreams::new(timers, key, local, fire, place)?;
            self.timers.insert(node, streams);
        }
        Ok(Edge { form: takes, link })
    }
}

fn opaque(coder: Coder) -> Form {
    Form {
        ops: ops::<Opaque>(),
        coder,
    }
}

/// A stand-in where only the kind of a form matters.
fn any_key() -> Coder {
    Coder::standard(urn::BYTES, [])
}

fn only(collections: &[(String, CollectionIndex)]) -> Result<(&str, CollectionIndex)> {
    match collections {
        [(tag, collection)] => Ok((tag, *collection)),
        _ => Err(Error::descriptor(format!(
            "one collection is wanted here, but there are {}",
            collections.len()
        ))),
    }
}

/// The tails of state-backed iterables.
struct TailPages(Arc<dyn StatePort>);

impl Pages for TailPages {
    fn page(&self, token: &Bytes, continuation: &Bytes) -> Result<Page> {
        self.0.get(&StateKey::Runner(token.clone()), continuation)
    }

    fn prefetch(&self, token: &Bytes, continuation: &Bytes) {
        self.0
            .prefetch(&StateKey::Runner(token.clone()), continuation);
    }
}
