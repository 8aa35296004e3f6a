//! Bundle threads, and the plans that they run.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use beam_proto::fnexec::{ProcessBundleDescriptor, ProcessBundleRequest};
use prost::Message;
use tokio::sync::oneshot;

use super::cache::StateCache;
use super::context::{self, BundleContext, LogContext};
use super::failures::Failures;
use super::finalize::{FinalizeRequest, Finalizers};
use super::inbox::InboxBudget;
use super::input::Input;
use super::instructions::{Instructions, Running};
use super::jobs::{BundleRequest, Job, Jobs, NoThread};
use super::log::queue::LogQueue;
use super::lulls::Lulls;
use super::metrics::ShortIds;
use super::options::WorkerOptions;
use super::outbox::BundleTerms;
use super::plans::{Linked, Plans};
use super::process::Thread;
use super::response::{self, Success};
use super::rim::Rim;
use super::wire::control::Descriptors;
use super::wire::data::DataClients;
use super::wire::state::StateClients;
use super::wire::{Rope, SendQueue};
use crate::dofn::{Clock, Commit};
use crate::error::{Error, ErrorKind, Result, contained};
use crate::exec::{Failure, Registry, Samples, Tasting, from_panic};
use crate::model::descriptor::PlanSpec;

/// Answers with embedded output may wait for the runner up to so many bytes; beyond, output goes to the data plane, where
/// a runner that does not read makes bundles wait.
const EMBEDDED_WAITING: usize = 8 << 20;

/// What bundle threads share.
pub(crate) struct Bundles {
    pub(crate) registry: Arc<Registry>,
    pub(crate) rim: Rim,
    pub(crate) instructions: Arc<Instructions>,
    pub(crate) data: DataClients,
    pub(crate) state: StateClients,
    pub(crate) cache: Arc<StateCache>,
    pub(crate) descriptors: Descriptors,
    pub(crate) answers: Arc<SendQueue>,
    pub(crate) short_ids: ShortIds,
    /// Whether the runner knows short ids, so that full infos may be left out.
    pub(crate) short_ids_only: bool,
    /// Whether the runner takes output that stands in answers.
    pub(crate) embeds_output: bool,
    /// The runner hands out multimap side inputs as a whole.
    pub(crate) whole_multimaps: bool,
    pub(crate) finalizers: Finalizers,
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
    /// Bundles whose answer is not in the queue yet, though the runner's questions may find them ended.
    pub(crate) answering: AtomicUsize,
}

impl Bundles {
    pub(crate) fn instructions(&self) -> &Instructions {
        &self.instructions
    }

    pub(crate) fn short_ids(&self) -> &ShortIds {
        &self.short_ids
    }

    /// Where bundles were seen last.
    pub(crate) fn lulls(&self) -> MutexGuard<'_, Lulls> {
        self.lulls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many descriptors are known, and how many idle plans of each there are.
    pub(crate) fn pooled(&self) -> (usize, BTreeMap<String, usize>) {
        let plans = self.plans();
        let mut idle = BTreeMap::new();
        for linked in plans.idle.iter() {
            *idle.entry(linked.facts.spec.id.clone()).or_default() += 1;
        }
        (plans.specs.len(), idle)
    }

    pub(super) fn plans(&self) -> MutexGuard<'_, Plans> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes descriptors that the runner sends unasked.
    pub(crate) fn register(&self, descriptors: Vec<ProcessBundleDescriptor>) {
        for descriptor in descriptors {
            let (id, bytes) = (descriptor.id.clone(), descriptor.encoded_len());
            if let Ok(spec) = PlanSpec::try_from(descriptor) {
                let mut plans = self.plans();
                let slot = plans.specs.slot(&id);
                // A slot that somebody fills needs nothing, and this thread must not wait.
                if let Ok(mut slot) = slot.try_lock() {
                    *slot = Some(Arc::new(spec));
                    plans.specs.filled(&id, bytes);
                }
            }
        }
    }

    /// Takes a bundle that the runner wants. Must not wait for anything.
    pub(crate) fn take(&self, instruction: &str, request: ProcessBundleRequest) {
        // Without a connection no input can come: then a thread must open one.
        let ready = {
            let plans = self.plans();
            let idle = plans.idle.find(|linked| {
                linked.is_of(&request.process_bundle_descriptor_id)
                    && linked.ports.are_named(&request.data_stream_id)
                    && linked.ports.are_connected()
            });
            idle.map(|linked| linked.facts.clone())
        };
        let refused = match self.instructions.announce(instruction, request, ready) {
            Ok(None) => return,
            Ok(Some(bundle)) => match self.jobs.submit(Job::Bundle(bundle)) {
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

    /// Takes a request to call what a bundle wanted done after its commit. Yields the answer where nothing is to be called:
    /// late and repeated requests succeed. Must not wait for anything.
    pub(crate) fn finalize(&self, instruction: &str, bundle: String) -> Option<Rope> {
        let commits = self.finalizers.take(&bundle);
        if commits.is_empty() {
            return Some(response::finalized(instruction));
        }
        self.finalizers.begin();
        let request = FinalizeRequest {
            instruction: instruction.into(),
            bundle,
            commits,
        };
        let Err(NoThread { job, error }) = self.jobs.submit(Job::Finalize(request)) else {
            return None;
        };
        self.finalizers.end();
        // The runner may ask again.
        if let Job::Finalize(request) = *job {
            let bundle = request.bundle.into();
            let _ = self.finalizers.keep(&bundle, request.commits);
            self.finalizers.answered(&bundle);
        }
        let error = format!("the worker cannot start a thread: {error}");
        Some(response::failed(instruction, error))
    }

    /// Ends all threads once they have nothing to do, and drops all idle plans and callbacks on a thread of their own.
    /// Yields when that is done.
    pub(crate) fn close(&self) -> oneshot::Receiver<()> {
        self.jobs.close();
        let (done, waiting) = oneshot::channel();
        let idle = self.plans().idle.take_all();
        self.tear_down(idle, self.finalizers.take_all(), move || {
            let _ = done.send(());
        });
        waiting
    }

    /// Drops input that no bundle wants; and, on a thread of their own, as user code may take its time, the plans that were
    /// idle for long and the callbacks that have expired. Waits for nothing.
    pub(crate) fn evict(&self) {
        let now = Instant::now();
        let orphans = self.instructions.drop_orphans(now);
        if orphans > 0 {
            tracing::warn!(
                "input of {orphans} bundles is dropped, which the runner never asked for"
            );
        }
        // While functions do not end, those of other plans wait, rather than one thread more in each round.
        if self.tearing.load(Ordering::SeqCst) {
            return;
        }
        let old = self.plans().idle.take_old(now);
        let expired = self.finalizers.take_expired();
        if !old.is_empty() || !expired.is_empty() {
            self.tearing.store(true, Ordering::SeqCst);
            let tearing = self.tearing.clone();
            self.tear_down(old, expired, move || tearing.store(false, Ordering::SeqCst));
        }
    }

    /// Drops what holds user code, on a thread of its own: nobody knows how long that takes.
    fn tear_down(
        &self,
        plans: Vec<Linked>,
        commits: Vec<Commit>,
        done: impl FnOnce() + Send + 'static,
    ) {
        let log = self.log.clone();
        let thread = std::thread::Builder::new().name("teardown".into());
        let thread = thread.spawn(move || {
            context::enter(Some(LogContext {
                queue: log,
                bundle: None,
            }));
            plans.into_iter().for_each(drop_quietly);
            commits.into_iter().for_each(drop_quietly);
            context::enter(None);
            done();
        });
        if let Err(error) = thread {
            self.tearing.store(false, Ordering::SeqCst);
            tracing::warn!("functions are not torn down, as no thread can be started: {error}");
        }
    }

    /// The life of a bundle thread.
    pub(crate) fn work(&self, jobs: &Jobs) {
        context::enter(Some(LogContext {
            queue: self.log.clone(),
            bundle: None,
        }));
        while let Some(job) = jobs.next() {
            match job {
                Job::Bundle(bundle) => {
                    self.run(bundle);
                    jobs.bundle_ended();
                }
                Job::Finalize(request) => self.call_back(request),
                Job::Answer(request) => self.answer_from_job(&request),
            }
        }
        context::enter(None);
    }

    /// Runs one bundle and answers.
    fn run(&self, bundle: BundleRequest) {
        self.answering.fetch_add(1, Ordering::SeqCst);
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
        self.answering.fetch_sub(1, Ordering::SeqCst);
        self.finalizers.answered(&instruction);
    }

    /// How many bundles and callbacks have yet to end or to be answered.
    pub(crate) fn unfinished(&self) -> usize {
        // In this order: a bundle is counted as one to be answered before it stops to be one that has not ended.
        let unended = self.instructions.unfinished();
        unended + self.answering.load(Ordering::SeqCst) + self.finalizers.working()
    }

    /// Calls what a bundle wanted done after its commit, and answers.
    fn call_back(&self, request: FinalizeRequest) {
        context::enter_bundle(Some(BundleContext {
            instruction: request.bundle.as_str().into(),
            plan: None,
        }));
        let answer = match self.finalizers.call(request.commits) {
            Ok(()) => response::finalized(&request.instruction),
            Err(error) => {
                context::log_failure(&Error::user(error.as_str()), context::take_panic());
                response::failed(&request.instruction, error)
            }
        };
        context::enter_bundle(None);
        let _ = self.answers.push(answer);
        self.finalizers.end();
    }

    fn process(&self, bundle: BundleRequest) -> Result<Rope> {
        let BundleRequest {
            instruction,
            mut request,
            inbox,
        } = bundle;
        let descriptor = &request.process_bundle_descriptor_id;
        let mut linked = self.plan(&instruction, descriptor, &request.data_stream_id)?;
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
        let terms = BundleTerms::take(&mut request);
        linked.ports.begin(&instruction, terms);
        linked.plan.reset();
        let began = Instant::now();
        let running = Running {
            facts: linked.facts.clone(),
            ticket: metrics.ticket(),
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
        linked.plan.metrics().close();
        let may_embed = self.embeds_output && self.answers.bytes() < EMBEDDED_WAITING;
        let elements = match outcome.and_then(|()| linked.ports.finish(may_embed)) {
            Ok(elements) => elements,
            Err(error) => {
                if let Some(tasting) = &linked.tasting {
                    keep_sample(tasting, &instruction, &error);
                }
                linked.ports.give_up();
                drop_quietly(linked);
                return Err(error);
            }
        };
        let metrics = linked.plan.metrics();
        let active = began.elapsed().saturating_sub(inbox.waited());
        linked.account.settle(&metrics.times, active);
        let commits = linked.commits.take();
        let success = Success {
            left: linked.plan.metrics().take_left(),
            requires_finalization: !commits.is_empty(),
            elements,
        };
        let surplus = self.finalizers.keep(&instruction, commits);
        if !surplus.is_empty() {
            tracing::warn!(
                "{} callbacks are dropped before the runner has committed their bundles; there are too many",
                surplus.len()
            );
            surplus.into_iter().for_each(drop_quietly);
        }
        let answer = response::processed(
            &instruction,
            &linked.facts,
            linked.plan.metrics(),
            self.short_ids_only,
            success,
        );
        self.instructions.end(&instruction, false);
        if self.jobs.is_closed() {
            drop_quietly(linked);
        } else {
            self.plans().idle.put(linked, Instant::now());
        }
        Ok(answer)
    }
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
pub(super) fn drop_quietly<T>(value: T) {
    // A panic that was noted before is the bundle's, which has yet to tell of it.
    let before = context::take_panic();
    contained(|| drop(value));
    if let Some(panic) = context::replace_panic(before) {
        let at = panic.at.unwrap_or_default();
        tracing::warn!("a function panicked when it was torn down or dropped, at {at}");
    }
}

/// The clock on the wall.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now_millis(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
    }
}
