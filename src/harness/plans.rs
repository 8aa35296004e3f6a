//! The plans of a worker: made from descriptors, used again, and dropped when nobody uses them.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use prost::Message;

use super::bundles::{Bundles, SystemClock, drop_quietly};
use super::context::{self, BundleContext};
use super::descriptors::SpecCache;
use super::idle::IdlePool;
use super::outbox::{BundlePorts, Output, Streams};
use super::process::Thread;
use super::response::PlanFacts;
use super::state::BundleState;
use super::times::Account;
use super::work::Creating;
use crate::dofn::{Commits, Services};
use crate::element::Schema;
use crate::error::{Context, Result};
use crate::exec::{Activity, LinkServices, Plan, Tasting, link_watched};
use crate::model::descriptor::{NodeKind, PlanSpec};

/// A plan that was not used for this long is dropped, and its functions are torn down.
const IDLE_PLAN: Duration = Duration::from_secs(60);

/// Descriptors and idle plans.
pub(crate) struct Plans {
    pub(super) specs: SpecCache,
    pub(super) idle: IdlePool<Linked>,
    /// The log says which rule null bits of rows are read by.
    has_told_null_bits: bool,
}

impl Default for Plans {
    fn default() -> Self {
        Plans {
            specs: SpecCache::default(),
            idle: IdlePool::new(IDLE_PLAN),
            has_told_null_bits: false,
        }
    }
}

/// A linked plan with its outside.
pub(super) struct Linked {
    pub(super) plan: Plan,
    pub(super) ports: Arc<BundlePorts>,
    pub(super) facts: Arc<PlanFacts>,
    pub(super) account: Account,
    pub(super) tasting: Option<Tasting>,
    /// What functions want done after the commit of the bundle in hand.
    pub(super) commits: Commits,
}

impl Linked {
    pub(super) fn is_of(&self, descriptor: &str) -> bool {
        self.facts.spec.id == descriptor
    }
}

impl Bundles {
    /// An idle plan of a descriptor, on data streams of this name if there is one.
    fn idle_plan(&self, descriptor: &str, stream: &str) -> Option<Linked> {
        let mut plans = self.plans();
        let is_ready = |linked: &Linked| linked.is_of(descriptor) && linked.ports.are_named(stream);
        let ready = plans.idle.take(is_ready);
        ready.or_else(|| plans.idle.take(|linked| linked.is_of(descriptor)))
    }

    /// An idle plan of a descriptor, or a new one.
    pub(super) fn plan(
        &self,
        instruction: &Arc<str>,
        descriptor: &str,
        stream: &str,
    ) -> Result<Linked> {
        while let Some(linked) = self.idle_plan(descriptor, stream) {
            if !linked.ports.are_named(stream) {
                let outputs = linked.ports.outputs();
                let streams = self.streams(&linked.facts.spec, outputs, stream);
                match streams {
                    Ok(streams) => linked.ports.change_streams(streams),
                    Err(error) => {
                        drop_quietly(linked);
                        return Err(error);
                    }
                }
            }
            if linked.ports.are_connected() {
                return Ok(linked);
            }
            drop_quietly(linked);
        }
        let mut creating = Creating {
            descriptor: descriptor.into(),
            thread: Thread::current(),
            plan: None,
        };
        self.instructions.create(instruction, creating.clone());
        let spec = self.spec(descriptor)?;
        let outputs = outputs(&spec);
        let streams = self.streams(&spec, &outputs, stream)?;
        let state = spec
            .state_endpoint
            .as_ref()
            .filter(|_| spec.may_read_state());
        let state = state
            .map(|endpoint| self.state.get(endpoint, &self.rim))
            .transpose()?;
        let state = BundleState::new(state, self.cache.clone(), self.whole_multimaps);
        let state = Arc::new(state);
        let ports = Arc::new(BundlePorts::new(outputs, streams, state.clone()));
        let commits = Commits::default();
        let functions = Services {
            state,
            clock: Arc::new(SystemClock),
            options: self.options.submitted.clone(),
            commits: commits.clone(),
        };
        let services = LinkServices {
            functions,
            outbox: ports.clone(),
            samples: self.samples.clone().map(Tasting::new),
            flush_bytes: self.options.flush_bytes,
            sends_early: self.options.flush_every.is_some(),
        };
        let activity = Activity::default();
        let setting_up = Some((spec.clone(), activity.clone()));
        creating.plan.clone_from(&setting_up);
        self.instructions.create(instruction, creating);
        context::enter_bundle(Some(BundleContext {
            instruction: instruction.clone(),
            plan: setting_up,
        }));
        self.tell_of_null_bits(&spec);
        let plan = link_watched(spec.clone(), &self.registry, &services, activity)?;
        let account = Account::new(spec.nodes.len(), function_nodes(&spec));
        let facts = Arc::new(PlanFacts::new(spec, plan.metrics(), &self.short_ids));
        Ok(Linked {
            plan,
            ports,
            facts,
            account,
            tasting: services.samples,
            commits,
        })
    }

    /// Where SDKs disagree about the null bits of a collection's rows, says once which of them is believed.
    fn tell_of_null_bits(&self, spec: &PlanSpec) {
        let mut coders = spec.collections.iter().filter_map(|c| c.coder.as_ref());
        let found = coders.find_map(|coder| Schema::find_in(coder, Schema::null_bits_matter));
        if let Some(schema) = found
            && !std::mem::replace(&mut self.plans().has_told_null_bits, true)
        {
            tracing::warn!("{}", schema.null_bits_in_words());
        }
    }

    /// The data streams of this name that a plan needs; opens those that are not open.
    fn streams(&self, spec: &PlanSpec, outputs: &[Output], name: &str) -> Result<Streams> {
        let get = |endpoint: &String| self.data.get(endpoint, name, &self.rim);
        let sources = spec.sources().map(|(_, _, port)| &port.endpoint);
        let inputs = sources.chain(&spec.timer_endpoint).map(get);
        let outputs = outputs.iter().map(|output| get(&output.endpoint));
        Ok(Streams {
            name: name.into(),
            inputs: inputs.collect::<Result<_>>()?,
            outputs: outputs.collect::<Result<_>>()?,
        })
    }

    fn spec(&self, id: &str) -> Result<Arc<PlanSpec>> {
        let slot = self.plans().specs.slot(id);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spec) = &*slot {
            return Ok(spec.clone());
        }
        let mut descriptor = self.rim.wait(self.descriptors.fetch(id))?;
        descriptor.id = id.to_owned();
        let bytes = descriptor.encoded_len();
        let spec = Arc::new(PlanSpec::try_from(descriptor).at("descriptor", id)?);
        *slot = Some(spec.clone());
        drop(slot);
        self.plans().specs.filled(id, bytes);
        Ok(spec)
    }
}

/// The nodes that run functions.
fn function_nodes(spec: &PlanSpec) -> Vec<usize> {
    let nodes = spec.nodes.iter().enumerate();
    let functions = nodes.filter(|(_, node)| {
        matches!(
            node.kind,
            NodeKind::ParDo { .. } | NodeKind::Splittable { .. } | NodeKind::Combine { .. }
        )
    });
    functions.map(|(index, _)| index).collect()
}

/// Where the outputs of a plan go, by index.
fn outputs(spec: &PlanSpec) -> Vec<Output> {
    let sinks = spec
        .sinks()
        .map(|(_, node, port)| (node, None, &port.endpoint));
    let timers = spec.timer_endpoint.iter().flat_map(|endpoint| {
        let families = spec.timer_families();
        families.map(move |(_, node, timer)| (node, Some(timer.family.clone()), endpoint))
    });
    let outputs = sinks.chain(timers).map(|(node, family, endpoint)| Output {
        transform: node.id.clone(),
        family,
        endpoint: endpoint.clone(),
    });
    outputs.collect()
}
