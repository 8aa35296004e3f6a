//! One worker: connects to a runner, serves it, and ends in good order.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use beam_proto::fnexec::ProvisionInfo;
use tokio::sync::{oneshot, watch};

use super::bundles::{Bundles, SystemClock};
use super::cache::StateCache;
use super::context::{self, LogContext};
use super::failures::Failures;
use super::finalize::Finalizers;
use super::flusher;
use super::inbox::InboxBudget;
use super::instructions::Instructions;
use super::jobs::Jobs;
use super::log::process_level;
use super::log::queue::LogQueue;
use super::lulls::Lulls;
use super::metrics::ShortIds;
use super::options::{LogLevels, WorkerOptions};
use super::plans::Plans;
use super::process;
use super::rim::Rim;
use super::sampler::Sampler;
use super::samples::Sampling;
use super::status;
use super::stuck::Reporter;
use super::watch::Watch;
use super::wire::control::Control;
use super::wire::data::DataClients;
use super::wire::logging;
use super::wire::state::StateClients;
use super::wire::status::StatusStream;
use super::wire::{Peer, provision};
use crate::error::{Context, Error, Result};
use crate::exec::Registry;

/// How long the runner may take to answer the first call.
const PROVISION_TIMEOUT: Duration = Duration::from_secs(60);

/// How long bundles that run may take to end when the worker is asked to.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// How long functions may take to be torn down at the end.
const TEARDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the runner may take to read the last answers and output.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// The runner's promise that it knows short ids.
const SHORT_IDS: &str = "beam:protocol:monitoring_info_short_ids:v1";

/// The runner's promise that it reads output which stands in the answer to a bundle.
const EMBEDDED_OUTPUT: &str = "beam:protocol:control_response_elements_embedding:v1";

/// The runner hands out multimap side inputs as a whole.
const WHOLE_MULTIMAPS: &str = "beam:protocol:multimap_keys_values_side_input:v1";

/// Where a worker finds its runner, and what it may use.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The id that the runner knows the worker by.
    pub id: String,
    /// `host:port` of the provision service, which names the others. Some runners have none.
    pub provision_endpoint: Option<String>,
    /// `host:port` of the control service, unless the provision service names it.
    pub control_endpoint: Option<String>,
    /// `host:port` of the logging service, unless the provision service names it.
    pub logging_endpoint: Option<String>,
    /// `host:port` of the status service, unless the provision service names it. Many runners have none.
    pub status_endpoint: Option<String>,
    /// What may wait in memory.
    pub budgets: Budgets,
    /// How closely bundles are watched.
    pub watch: Watch,
    /// Which elements are kept for people who look into a running pipeline.
    pub sampling: Sampling,
}

/// What may wait in memory, in bytes.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// Input of one bundle before it is processed.
    pub inbound: usize,
    /// Output for one data service before it is sent.
    pub outbound: usize,
}

impl Budgets {
    /// Budgets that fit the memory which this process may use.
    pub fn of_this_machine() -> Self {
        process::memory().map_or_else(Budgets::default, Budgets::within)
    }

    /// Budgets for a process that may use so many bytes of memory: a small part of it for each bundle and each service,
    /// as many run at once and functions need room, too.
    pub fn within(memory: u64) -> Self {
        let most = Budgets::default();
        let share = usize::try_from(memory / 32).unwrap_or(usize::MAX);
        let share = share.max(1 << 20);
        Budgets {
            inbound: share.min(most.inbound),
            outbound: share.min(most.outbound),
        }
    }
}

impl Budgets {
    /// What the pipeline's options make of them.
    fn told(self, options: &WorkerOptions) -> Self {
        let Budgets { inbound, outbound } = options.memory_limit.map_or(self, Budgets::within);
        Budgets {
            inbound: options.inbound_budget.unwrap_or(inbound),
            outbound: options.outbound_budget.unwrap_or(outbound),
        }
    }
}

impl Default for Budgets {
    fn default() -> Self {
        // Two of the largest messages that a runner usually sends for a bundle's input; a few flushes of output.
        Budgets {
            inbound: 32 << 20,
            outbound: 32 << 20,
        }
    }
}

/// Runs a worker until its runner lets it go, or until the process gets SIGTERM or SIGINT: then bundles that run come
/// to their end first. Blocks this thread, which becomes the rim.
///
/// A runner that provisions the worker may name siblings: workers that it counts on in the same process. They run on
/// threads of their own, and share nothing with this one but the functions.
///
/// # Errors
/// The runner cannot be reached, or a control stream breaks. A stream that ends in good order is not an error.
pub fn run(options: Options, registry: Arc<Registry>) -> Result<()> {
    let (stop, stopped) = watch::channel(false);
    let end = End {
        stopped,
        on_signal: Some(stop),
    };
    run_until(options, registry, end, |_| {})
}

/// What is left of a worker. It keeps nothing alive.
pub(crate) struct Remains(Weak<Bundles>);

impl Remains {
    /// Whether all threads that work for the worker have ended, and all that they shared is free.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// How many bundles have not ended, whether they were announced or only have input.
    pub(crate) fn unfinished(&self) -> usize {
        let bundles = self.0.upgrade();
        bundles.map_or(0, |bundles| bundles.instructions().live())
    }
}

/// What ends a worker besides its runner.
pub(crate) struct End {
    pub(crate) stopped: watch::Receiver<bool>,
    /// Told when the process gets a signal to end, if the worker is to mind those.
    pub(crate) on_signal: Option<watch::Sender<bool>>,
}

/// As [`run`], but ends as told. `connected` hears once whether the runner could be reached.
pub(crate) fn run_until(
    options: Options,
    registry: Arc<Registry>,
    end: End,
    connected: impl FnOnce(Result<Remains, String>),
) -> Result<()> {
    run_told(options, None, registry, end, connected)
}

/// As [`run_until`]; asks the provision service, unless it has `told` already.
fn run_told(
    options: Options,
    told: Option<ProvisionInfo>,
    registry: Arc<Registry>,
    end: End,
    connected: impl FnOnce(Result<Remains, String>),
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::config("the worker's runtime cannot be started").because(e));
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            connected(Err(error.to_string()));
            return Err(error);
        }
    };
    let rim = Rim::new(runtime.handle().clone());
    let outcome = runtime.block_on(serve(options, told, registry, rim, end, connected));
    context::enter(None);
    // Bundles that do not end keep their threads; they must not keep the runtime.
    runtime.shutdown_background();
    outcome
}

async fn serve(
    options: Options,
    told: Option<ProvisionInfo>,
    registry: Arc<Registry>,
    rim: Rim,
    end: End,
    connected: impl FnOnce(Result<Remains, String>),
) -> Result<()> {
    if let Some(stop) = end.on_signal {
        tokio::spawn(tell_at_signal(stop));
    }
    let mut worker = match Worker::connect(options, told, registry.clone(), rim).await {
        Ok(worker) => {
            connected(Ok(Remains(Arc::downgrade(&worker.bundles))));
            worker
        }
        Err(error) => {
            connected(Err(error.to_string()));
            return Err(error);
        }
    };
    let siblings = std::mem::take(&mut worker.siblings).into_iter();
    let siblings: Vec<_> = siblings
        .map(|sibling| sibling.start(registry.clone(), end.stopped.clone()))
        .collect();
    worker.serve(end.stopped).await?;
    for outcome in siblings {
        outcome
            .await
            .unwrap_or_else(|_| Err(Error::config("a sibling of the worker came to no end")))?;
    }
    Ok(())
}

/// Another worker that the runner wants in this process.
struct Sibling {
    options: Options,
    told: ProvisionInfo,
}

impl Sibling {
    /// All siblings that the runner names to a worker. It tells them what it told the worker.
    fn all_of(options: &Options, told: &ProvisionInfo) -> Vec<Self> {
        let others = told
            .sibling_worker_ids
            .iter()
            .filter(|id| **id != options.id);
        let siblings = others.map(|id| Sibling {
            options: Options {
                id: id.clone(),
                ..options.clone()
            },
            told: ProvisionInfo {
                sibling_worker_ids: Vec::new(),
                ..told.clone()
            },
        });
        siblings.collect()
    }

    /// Runs it on a thread of its own. Yields how it ended.
    fn start(
        self,
        registry: Arc<Registry>,
        stopped: watch::Receiver<bool>,
    ) -> oneshot::Receiver<Result<()>> {
        let (ended, outcome) = oneshot::channel();
        let id = self.options.id.clone();
        let end = End {
            stopped,
            on_signal: None,
        };
        let thread = std::thread::Builder::new().name(format!("worker {id}"));
        let thread = thread.spawn(move || {
            let outcome = run_told(self.options, Some(self.told), registry, end, |_| {});
            if let Err(error) = &outcome {
                tracing::error!("the sibling {id:?} of the worker has ended: {error}");
            }
            let _ = ended.send(outcome);
        });
        if let Err(error) = thread {
            tracing::error!("no thread can be started for a sibling of the worker: {error}");
        }
        outcome
    }
}

/// Tells of the first signal to end. A second one ends the process as it would without us.
async fn tell_at_signal(stop: watch::Sender<bool>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (terminate, interrupt) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
        tracing::warn!(
            "signals cannot be caught; the worker will not drain when it is told to end"
        );
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("told to end by a signal; bundles that run come to their end first");
    let _ = stop.send(true);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    std::process::exit(143);
}

/// A worker that has reached its runner.
struct Worker {
    control: Control,
    bundles: Arc<Bundles>,
    log: Arc<LogQueue>,
    logging: Option<tokio::task::JoinHandle<()>>,
    moving: tokio::task::JoinHandle<()>,
    /// Sends on what slow bundles hold back.
    flowing: Option<tokio::task::JoinHandle<()>>,
    siblings: Vec<Sibling>,
    _sampler: Sampler,
    _status: Option<StatusStream>,
}

impl Worker {
    async fn connect(
        options: Options,
        told: Option<ProvisionInfo>,
        registry: Arc<Registry>,
        rim: Rim,
    ) -> Result<Self> {
        registry.check()?;
        let started = Instant::now();
        let mut peer = Peer::new(&options.id)?;
        let mut info = match (told, &options.provision_endpoint) {
            (Some(told), _) => told,
            (None, Some(endpoint)) => provision::fetch(&peer, endpoint, PROVISION_TIMEOUT).await?,
            (None, None) => Default::default(),
        };
        let siblings = Sibling::all_of(&options, &info);
        let (worker_options, doubts) = WorkerOptions::of(info.pipeline_options.take());
        peer.keep_alive(worker_options.keepalive);
        let levels = worker_options.log_levels.clone();
        let levels = levels.unwrap_or_else(|| LogLevels::all(process_level()));
        let log = Arc::new(LogQueue::new(levels));
        let named = |descriptor: Option<beam_proto::pipeline::ApiServiceDescriptor>,
                     option: Option<String>| {
            descriptor
                .map(|d| d.url)
                .filter(|url| !url.is_empty())
                .or(option)
                .filter(|url| !url.is_empty())
        };
        // Held by the stream for as long as it lives.
        let (alive, logged) = sync_channel::<()>(0);
        let logging = named(info.logging_endpoint, options.logging_endpoint).map(|endpoint| {
            let stream = logging::run(peer.clone(), endpoint, log.clone());
            tokio::spawn(async move {
                let _alive = alive;
                stream.await;
            })
        });
        if logging.is_some() {
            context::enter(Some(LogContext {
                queue: log.clone(),
                bundle: None,
            }));
        }
        let control = named(info.control_endpoint, options.control_endpoint).ok_or_else(|| {
            Error::config(
                "no control endpoint is known; pass --control_endpoint or --provision_endpoint",
            )
        })?;
        let control = Control::connect(peer.clone(), &control)
            .await
            .at("worker", &options.id)?;
        for doubt in doubts {
            tracing::warn!("{doubt}");
        }
        let functions = registry.names().count();
        tracing::info!(
            "ferrobeam {} knows {functions} functions",
            env!("CARGO_PKG_VERSION")
        );
        let watch = options.watch.told(&worker_options);
        let sampling = options.sampling.told(&worker_options);
        let Budgets { inbound, outbound } = options.budgets.told(&worker_options);
        let budget = InboxBudget::new(inbound);
        let runner_can = |what: &str| info.runner_capabilities.iter().any(|c| c == what);
        let jobs = Jobs::new(budget.starving(), worker_options.harness_threads);
        let instructions = Arc::new(Instructions::new(budget.clone()));
        let bundles = Arc::new(Bundles {
            registry,
            rim,
            data: DataClients::new(peer.clone(), instructions.clone(), jobs.clone(), outbound),
            instructions,
            state: StateClients::new(peer.clone()),
            cache: Arc::new(StateCache::new(worker_options.state_cache_bytes)),
            descriptors: control.descriptors(),
            answers: control.answers(),
            short_ids: ShortIds::new(&options.id),
            short_ids_only: runner_can(SHORT_IDS),
            embeds_output: runner_can(EMBEDDED_OUTPUT),
            whole_multimaps: runner_can(WHOLE_MULTIMAPS),
            finalizers: Finalizers::new(Arc::new(SystemClock)),
            log: log.clone(),
            jobs: jobs.clone(),
            options: worker_options,
            plans: Mutex::new(Plans::default()),
            budget,
            lulls: Mutex::new(Lulls::new(watch)),
            failures: Failures::default(),
            samples: sampling.samples(),
            tearing: Arc::new(AtomicBool::new(false)),
            answering: AtomicUsize::new(0),
        });
        let worker = Arc::downgrade(&bundles);
        jobs.set_work(move |jobs| {
            if let Some(bundles) = worker.upgrade() {
                bundles.work(jobs);
            }
        });
        let moving = tokio::spawn(jobs.keep_moving());
        let reporter = Reporter {
            log: log.clone(),
            logged: logging.is_some().then_some(logged),
            timeout: watch.timeout,
        };
        let flowing = bundles
            .options
            .flush_every
            .map(|every| tokio::spawn(flusher::keep_flowing(bundles.instructions.clone(), every)));
        let sampler = Sampler::start(bundles.clone(), watch.sane_period(), reporter)
            .map_err(|e| Error::config("the sampling thread cannot be started").because(e))?;
        let status = named(info.status_endpoint, options.status_endpoint).map(|endpoint| {
            let (about, id) = (bundles.clone(), options.id);
            let log = LogContext {
                queue: log.clone(),
                bundle: None,
            };
            StatusStream::start(peer, endpoint, log, move || {
                status::page(&id, started, &about)
            })
        });
        let status = status
            .transpose()
            .map_err(|e| Error::config("the status thread cannot be started").because(e))?;
        Ok(Worker {
            control,
            bundles,
            log,
            logging,
            moving,
            flowing,
            siblings,
            _sampler: sampler,
            _status: status,
        })
    }

    /// Serves the runner until it ends the control stream, or until the worker is told to stop.
    async fn serve(self, mut stopped: watch::Receiver<bool>) -> Result<()> {
        // Kept until all answers are out: without it the whole stream is gone.
        let mut requests = None;
        let serve = async {
            let requests = requests.insert(self.control.open().await?);
            self.control.serve(requests, &self.bundles).await
        };
        let outcome = tokio::select! {
            outcome = serve => outcome,
            // A stop that can no longer be told is none.
            Ok(_) = stopped.wait_for(|stop| *stop) => Ok(()),
        };
        match &outcome {
            Ok(()) => self.drain().await,
            // Nobody will hear the answers.
            Err(_) => self
                .bundles
                .instructions()
                .close("the control stream broke"),
        }
        self.moving.abort();
        if let Some(flowing) = &self.flowing {
            flowing.abort();
        }
        let torn_down = self.bundles.close();
        self.bundles.answers.finish();
        self.bundles.data.finish();
        self.bundles.state.finish();
        let torn_down = tokio::time::timeout(TEARDOWN_TIMEOUT, torn_down);
        let sent = async {
            if outcome.is_ok() {
                self.send_out().await;
            }
        };
        let (torn_down, ()) = tokio::join!(torn_down, sent);
        drop(requests);
        if torn_down.is_err() {
            tracing::warn!("functions take long to be torn down and are left behind");
        }
        match self.logging {
            Some(stream) => logging::finish(stream, &self.log).await,
            None => self.log.finish(),
        }
        outcome
    }

    /// Lets answers and output go out whose streams have been ended, but does not wait for ever for a runner that does not
    /// take them.
    async fn send_out(&self) {
        let sent = async {
            while self.bundles.answers.is_read() || self.bundles.data.is_sending() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // The connections' own tasks write what they were given.
            tokio::task::yield_now().await;
        };
        if tokio::time::timeout(SEND_TIMEOUT, sent).await.is_err() {
            tracing::warn!("the runner does not take all answers and output");
        }
    }

    /// Lets the bundles that run come to their end.
    async fn drain(&self) {
        let instructions = self.bundles.instructions();
        let drained = async {
            while self.bundles.unfinished() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::warn!(
                "{} bundles did not end in time and are given up",
                instructions.unfinished()
            );
            instructions.close("the worker ends");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_follow_the_memory() {
        let within = |memory: u64| {
            let Budgets { inbound, outbound } = Budgets::within(memory);
            assert_eq!(inbound, outbound);
            inbound
        };
        assert_eq!(within(64 << 30), 32 << 20);
        assert_eq!(within(256 << 20), 8 << 20);
        assert_eq!(within(0), 1 << 20);
    }

    #[test]
    fn options_come_before_what_the_worker_was_started_with() {
        let told = |options: &WorkerOptions| {
            let started = Budgets {
                inbound: 3 << 20,
                outbound: 5 << 20,
            };
            let Budgets { inbound, outbound } = started.told(options);
            (inbound >> 20, outbound >> 20)
        };
        let mut options = WorkerOptions::default();
        assert_eq!(told(&options), (3, 5));
        options.memory_limit = Some(256 << 20);
        assert_eq!(told(&options), (8, 8));
        options.outbound_budget = Some(1 << 20);
        assert_eq!(told(&options), (8, 1));
    }
}
