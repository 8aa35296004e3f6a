//! Bundle threads, and the plans that they run.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use beam_proto::fnexec::{ProcessBundleDescriptor, ProcessBundleRequest};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::context::{self, BundleContext, LogContext};
use super::failures::Failures;
use super::inbox::{Inbox, InboxBudget};
use super::instructions::{Instructions, Running};
use super::jobs::{BundleRequest, Jobs, NoThread};
use super::log::queue::LogQueue;
use super::lulls::Lulls;
use super::metrics::ShortIds;
use super::options::WorkerOptions;
use super::outbox::{BundlePorts, Output};
use super::process::Thread;
use super::response::{self, PlanFacts};
use super::rim::Rim;
use super::times::Account;
use super::wire::SendQueue;
use super::wire::control::Descriptors;
use super::wire::data::DataClients;
use super::wire::state::StateClients;
use super::work::Creating;
use crate::dofn::{Clock, Services};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::exec::{
    Activity, Failure, Inbound, LinkServices, Plan, Registry, Samples, Tasting, from_panic,
    link_watched,
};
use crate::model::descriptor::{NodeKind, PlanSpec};

/// A plan that was not used for this long is dropped, and its functions are torn down.
const IDLE_PLAN: Duration = Duration::from_secs(60);

/// Descriptors that are kept; the runner can always be asked again.
const MAX_DESCRIPTORS: usize = 1000;

/// What bundle threads share.
pub(crate) struct Bundles {
    pub(crate) registry: Arc<Registry>,
    pub(crate) rim: Rim,
    pub(crate) instructions: Arc<Instructions>,
    pub(crate) data: DataClients,
    pub(crate) state: StateClients,
    pub(crate) descriptors: Descriptors,
    pub(crate) answers: Arc<SendQueue>,
    pub(crate) short_ids: ShortIds,
    /// Whether the runner knows short ids, so that full infos may be left out.
    pub(crate) short_ids_only: bool,
    pub(crate) log: Arc<LogQueue>,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) options: WorkerOptions,
    pub(crate) plans: Mutex<Plans>,
    pub(crate) budget: Arc<InboxBudget>,
    pub(crate) lulls: Mutex<Lulls>,
    pub(crate) failures: Failures,
    /// Where samples of elements go, if any are wanted.
    pub(crate) samples: Option<Arc<Samples>>,
    /// Whether a thread tears idle plans down.
    pub(crate) tearing: Arc<AtomicBool>,
}

/// Descriptors and the idle plans of each.
#[derive(Default)]
pub(crate) struct Plans {
    specs: HashMap<String, Slot>,
    idle: Vec<Idle>,
}

/// Filled by the first bundle that needs it, while others wait.
type Slot = Arc<Mutex<Option<Arc<PlanSpec>>>>;

/// A linked plan with its outside.
struct Linked {
    plan: Plan,
    ports: Arc<BundlePorts>,
    facts: Arc<PlanFacts>,
    account: Account,
    tasting: Option<Tasting>,
}

struct Idle {
    linked: Linked,
    since: Instant,
}

impl Bundles {
    pub(crate) fn instructions(&self) -> &Instructions {
        &self.instructions
    }

    pub(crate) fn short_ids(&self) -> &ShortIds {
        &self.short_ids
    }

    pub(crate) fn short_ids_only(&self) -> bool {
        self.short_ids_only
    }

    /// Where bundles were seen last.
    pub(crate) fn lulls(&self) -> MutexGuard<'_, Lulls> {
        self.lulls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many descriptors are known, and how many idle plans of each there are.
    pub(crate) fn pooled(&self) -> (usize, BTreeMap<String, usize>) {
        let plans = self.plans();
        let mut idle = BTreeMap::new();
        for plan in &plans.idle {
            *idle.entry(plan.linked.facts.spec.id.clone()).or_default() += 1;
        }
        (plans.specs.len(), idle)
    }

    fn plans(&self) -> MutexGuard<'_, Plans> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes descriptors that the runner sends unasked.
    pub(crate) fn register(&self, descriptors: Vec<ProcessBundleDescriptor>) {
        for descriptor in descriptors {
            let id = descriptor.id.clone();
            if let Ok(spec) = PlanSpec::try_from(descriptor) {
                self.plans()
                    .specs
                    .insert(id, Arc::new(Mutex::new(Some(Arc::new(spec)))));
            }
        }
    }

    /// Takes a bundle that the runner wants. Must not wait for anything.
    pub(crate) fn take(&self, instruction: &str, request: ProcessBundleRequest) {
        // Without a connection no input can come: then a thread must open one.
        let ready = {
            let plans = self.plans();
            let index = plans.idle_of(&request.process_bundle_descriptor_id);
            index.map(|index| plans.idle[index].linked.facts.clone())
        };
        let refused = match self.instructions.announce(instruction, request, ready) {
            Ok(None) => return,
            Ok(Some(bundle)) => match self.jobs.submit(bundle) {
                Ok(()) => return,
                Err(NoThread { error, .. }) => {
                    self.instructions.end(instruction, true);
                    format!("the worker cannot start a thread: {error}")
                }
            },
            Err(error) => error.to_string(),
        };
        let _ = self.answers.push(response::failed(instruction, refused));
    }

    /// Ends all threads once they have nothing to do, and drops all idle plans on a thread of their own. Yields when
    /// that is done.
    pub(crate) fn close(&self) -> oneshot::Receiver<()> {
        self.jobs.close();
        let idle = std::mem::take(&mut self.plans().idle);
        let (done, waiting) = oneshot::channel();
        self.tear_down(idle, move || {
            let _ = done.send(());
        });
        waiting
    }

    /// Drops the plans that were idle for long, on a thread of their own: user code may take its time. Waits for nothing.
    pub(crate) fn evict(&self) {
        // While functions do not end, those of other plans wait, rather than one thread more in each round.
        if self.tearing.load(Ordering::SeqCst) {
            return;
        }
        let mut plans = self.plans();
        let (keep, drop_now) = std::mem::take(&mut plans.idle)
            .into_iter()
            .partition::<Vec<_>, _>(|idle| idle.since.elapsed() < IDLE_PLAN);
        plans.idle = keep;
        drop(plans);
        if !drop_now.is_empty() {
            self.tearing.store(true, Ordering::SeqCst);
            let tearing = self.tearing.clone();
            self.tear_down(drop_now, move || tearing.store(false, Ordering::SeqCst));
        }
    }

    fn tear_down(&self, plans: Vec<Idle>, done: impl FnOnce() + Send + 'static) {
        let log = self.log.clone();
        let thread = std::thread::Builder::new().name("teardown".into());
        let thread = thread.spawn(move || {
            context::enter(Some(LogContext {
                queue: log,
                bundle: None,
            }));
            plans.into_iter().for_each(drop_quietly);
            done();
        });
        if let Err(error) = thread {
            tracing::warn!("functions are not torn down, as no thread can be started: {error}");
        }
    }

    /// The life of a bundle thread.
    pub(crate) fn work(&self, jobs: &Jobs) {
        context::enter(Some(LogContext {
            queue: self.log.clone(),
            bundle: None,
        }));
        while let Some(request) = jobs.next() {
            self.run(request);
        }
        context::enter(None);
    }

    /// Runs one bundle and answers.
    fn run(&self, bundle: BundleRequest) {
        let instruction = bundle.instruction.clone();
        context::enter_bundle(Some(BundleContext {
            instruction: instruction.clone(),
            plan: None,
        }));
        let outcome = catch_unwind(AssertUnwindSafe(|| self.process(bundle)));
        let outcome = outcome.unwrap_or_else(|payload| Err(from_panic(payload)));
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => {
                let mut error = error.at("instruction", &*instruction);
                let panic = context::take_panic().filter(|_| error.kind() == ErrorKind::Panic);
                if let Some(place) = panic.as_ref().and_then(|panic| panic.at.clone()) {
                    error = error.at("at", place);
                }
                let text = error.to_string();
                self.failures.add(Instant::now(), &instruction, &text);
                context::log_failure(&error, panic);
                self.instructions.end(&instruction, true);
                response::failed(&instruction, text)
            }
        };
        context::enter_bundle(None);
        // If the stream is gone, the worker is about to end, and nobody wants the answer.
        let _ = self.answers.push(answer);
    }

    fn process(&self, bundle: BundleRequest) -> Result<super::wire::Rope> {
        let BundleRequest {
            instruction,
            request,
            inbox,
        } = bundle;
        let mut linked = self.plan(&instruction, &request.process_bundle_descriptor_id)?;
        let (metrics, activity) = (
            linked.plan.metrics().clone(),
            linked.plan.activity().clone(),
        );
        let spec = linked.facts.spec.clone();
        let plan = Some((spec, activity.clone()));
        context::enter_bundle(Some(BundleContext {
            instruction: instruction.clone(),
            plan,
        }));
        linked.ports.begin(&instruction);
        linked.plan.reset();
        let began = Instant::now();
        let running = Running {
            facts: linked.facts.clone(),
            metrics,
            activity,
            inbox: inbox.clone(),
            thread: Thread::current(),
            began,
            held: linked.plan.held().clone(),
        };
        self.instructions.run(&instruction, running);
        // Bundles that run are told when a stream breaks. This one may have missed it while it was set up.
        if let Some(error) = linked.ports.lost_input() {
            inbox.cut_off(error);
        }
        let mut input = Input {
            inbox: &inbox,
            spec: &linked.facts.spec,
        };
        let outcome = linked.plan.run(&mut input);
        if let Err(error) = outcome.and_then(|()| linked.ports.finish()) {
            if let Some(tasting) = &linked.tasting {
                keep_sample(tasting, &instruction, &error);
            }
            drop_quietly(linked);
            return Err(error);
        }
        let metrics = linked.plan.metrics();
        let active = began.elapsed().saturating_sub(inbox.waited());
        linked.account.settle(&metrics.times, active);
        let answer = response::processed(&instruction, &linked.facts, metrics, self.short_ids_only);
        self.instructions.end(&instruction, false);
        if self.jobs.is_closed() {
            drop_quietly(linked);
        } else {
            self.plans().idle.push(Idle {
                linked,
                since: Instant::now(),
            });
        }
        Ok(answer)
    }

    fn idle_plan(&self, descriptor: &str) -> Option<Linked> {
        let mut plans = self.plans();
        // The latest first: it is the warmest, and the others may grow old enough to be dropped.
        let is_of = |idle: &Idle| idle.linked.facts.spec.id == descriptor;
        let index = plans.idle.iter().rposition(is_of)?;
        Some(plans.idle.remove(index).linked)
    }

    /// An idle plan of a descriptor, or a new one.
    fn plan(&self, instruction: &Arc<str>, descriptor: &str) -> Result<Linked> {
        while let Some(linked) = self.idle_plan(descriptor) {
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
        let outputs = self.outputs(&spec)?;
        let sources = spec.sources().map(|(_, _, port)| &port.endpoint);
        let sources = sources
            .chain(&spec.timer_endpoint)
            .map(|endpoint| self.data.get(endpoint, &self.rim))
            .collect::<Result<Vec<_>>>()?;
        let state = spec
            .state_endpoint
            .as_ref()
            .filter(|_| spec.may_read_state());
        let state = state
            .map(|endpoint| self.state.get(endpoint, &self.rim))
            .transpose()?;
        let ports = Arc::new(BundlePorts::new(sources, outputs, state));
        let functions = Services {
            state: ports.clone(),
            clock: Arc::new(SystemClock),
            options: self.options.submitted.clone(),
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
        let plan = link_watched(spec.clone(), &self.registry, &services, activity)?;
        let account = Account::new(spec.nodes.len(), function_nodes(&spec));
        let facts = Arc::new(PlanFacts::new(spec, plan.metrics(), &self.short_ids));
        Ok(Linked {
            plan,
            ports,
            facts,
            account,
            tasting: services.samples,
        })
    }

    /// Where the outputs of a plan go, by index.
    fn outputs(&self, spec: &PlanSpec) -> Result<Vec<Output>> {
        let sinks = spec
            .sinks()
            .map(|(_, node, port)| (node, None, &port.endpoint));
        let timers = spec.timer_endpoint.iter().flat_map(|endpoint| {
            let families = spec.timer_families();
            families.map(move |(_, node, timer)| (node, Some(timer.family.clone()), endpoint))
        });
        let outputs = sinks.chain(timers).map(|(node, family, endpoint)| {
            Ok(Output {
                transform: node.id.clone(),
                family,
                client: self.data.get(endpoint, &self.rim)?,
            })
        });
        outputs.collect()
    }

    fn spec(&self, id: &str) -> Result<Arc<PlanSpec>> {
        let slot = {
            let mut plans = self.plans();
            if plans.specs.len() >= MAX_DESCRIPTORS && !plans.specs.contains_key(id) {
                plans.specs.clear();
            }
            plans.specs.entry(id.to_owned()).or_default().clone()
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spec) = &*slot {
            return Ok(spec.clone());
        }
        let mut descriptor = self.rim.wait(self.descriptors.fetch(id))?;
        descriptor.id = id.to_owned();
        let spec = Arc::new(PlanSpec::try_from(descriptor).at("descriptor", id)?);
        *slot = Some(spec.clone());
        Ok(spec)
    }
}

/// The nodes that run functions.
fn function_nodes(spec: &PlanSpec) -> Vec<usize> {
    let nodes = spec.nodes.iter().enumerate();
    let functions = nodes
        .filter(|(_, node)| matches!(node.kind, NodeKind::ParDo { .. } | NodeKind::Combine { .. }));
    functions.map(|(index, _)| index).collect()
}

/// Keeps the element that a bundle failed at, unless the failure is the runner's.
#[cold]
fn keep_sample(tasting: &Tasting, instruction: &str, error: &Error) {
    let is_the_runners = matches!(
        error.kind(),
        ErrorKind::Transport | ErrorKind::Cancelled | ErrorKind::State
    );
    if !is_the_runners {
        let failure = Failure {
            instruction: instruction.into(),
            transform: error.place("transform").unwrap_or_default().into(),
            error: error.to_string(),
        };
        tasting.failed(SystemClock.now_millis(), failure);
    }
}

/// Drops what holds user code, whose panics harm nobody here.
fn drop_quietly<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

impl Plans {
    /// The latest idle plan of a descriptor that can still send: it is the warmest, and the others may grow old enough to
    /// be dropped.
    fn idle_of(&self, descriptor: &str) -> Option<usize> {
        self.idle.iter().rposition(|idle| {
            idle.linked.facts.spec.id == descriptor && idle.linked.ports.are_connected()
        })
    }
}

/// The input of a bundle, with sources by index, and families of timers behind them.
struct Input<'a> {
    inbox: &'a Inbox,
    spec: &'a PlanSpec,
}

impl Inbound for Input<'_> {
    fn next(&mut self) -> Result<(usize, Bytes, bool)> {
        let stretch = self.inbox.pop()?;
        let mut sources = self.spec.sources();
        let input = match &stretch.family {
            None => sources.position(|(_, node, _)| node.id == stretch.transform),
            Some(family) => {
                let mut families = self.spec.timer_families();
                let family = families.position(|(_, node, timer)| {
                    node.id == stretch.transform && timer.family == *family
                });
                family.map(|family| sources.count() + family)
            }
        };
        match (input, stretch.family) {
            (Some(input), _) => Ok((input, stretch.data, stretch.last)),
            (None, None) => Err(Error::transport(
                "the runner sent input for a transform that is not a source of the bundle",
            )
            .at("transform", stretch.transform)),
            (None, Some(family)) => Err(Error::transport(
                "the runner sent timers of a family that no function of the bundle has",
            )
            .at("transform", stretch.transform)
            .at("timer", family)),
        }
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn now_millis(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
    }
}
