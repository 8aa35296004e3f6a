//! A runner for tests: it plays the other side of the protocol against a real worker, over real sockets.

mod bundle;
mod delivery;
mod drive;
mod embedding;
mod hub;
mod ledger;
mod listen;
mod logs;
mod metrics;
mod outcome;
mod random;
mod servers;
mod services;
mod settings;
mod splits;
mod stage;
mod state;
mod status;
mod terms;
mod timers;
mod transcript;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use beam_proto::fnexec::elements::Data;
use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::{
    Elements, InstructionRequest, InstructionResponse, ProcessBundleDescriptor, ProvisionInfo,
};
use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tonic::Status;

pub use bundle::{Bundle, Progress, RunningBundle};
pub use drive::Chaos;
pub use metrics::Metrics;
pub use outcome::BundleOutcome;
pub use random::Random;
pub use settings::Settings;
pub use splits::{Root, Split};
pub use state::{
    Write, bag_key, iterable_key, map_key, map_keys_key, multimap_key, multimap_keys_key, tail_key,
    whole_multimap_key,
};
pub use terms::StateTerms;
pub use timers::HeldTimer;

use self::hub::Hub;
use self::ledger::Ledger;
use self::servers::Servers;
use super::{Descriptor, Endpoints};
use crate::exec::Registry;
use crate::harness::options::values::to_struct;
use crate::harness::worker::{self, Options, Remains};

/// A runner for tests, with one worker in this process.
///
/// It speaks the protocol with the worker as real runners do, over sockets of the loopback interface, and checks
/// everything that the worker says against the rules: an answer to each instruction, an end to each sink of a bundle
/// that succeeded and to none of one that failed, whole elements in each message, splits that lose and double nothing,
/// and so on. A broken rule, or anything that takes longer than [`Settings::time_limit`], fails the test; the message
/// holds the seed and what was said.
///
/// All random choices, such as where messages are cut, come from [`Settings::seed`].
///
/// ```
/// use ferrobeam::exec::Registry;
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window};
///
/// fn doubled() -> Steps<i64, impl Step<i64, Out = i64>> {
///     steps("test.double/v1").map(|n: i64| n * 2)
/// }
///
/// let mut registry = Registry::new();
/// registry.add_steps(doubled);
/// let runner = FakeRunner::start(registry);
///
/// let mut stage = Descriptor::new("doubling");
/// let numbers = stage.source("numbers", i64::coder());
/// let doubled = stage.steps("double", &doubled(), &numbers);
/// stage.sink("sink", &doubled);
///
/// let outcome = runner.bundle(&stage).input("numbers", in_global_window([1, 2, 3])).run();
/// assert_eq!(outcome.values::<i64>("sink"), [2, 4, 6]);
/// assert_eq!(outcome.metrics.element_count("double.output"), Some(3));
/// runner.close();
/// ```
pub struct FakeRunner {
    hub: Arc<Hub>,
    servers: Servers,
    worker: Option<JoinHandle<()>>,
    remains: Arc<Mutex<Option<Remains>>>,
    stop_worker: watch::Sender<bool>,
    next_id: AtomicUsize,
    /// What the next bundles are told of state.
    terms: Mutex<StateTerms>,
    provisions: bool,
    is_closed: bool,
}

impl FakeRunner {
    /// Starts a runner, and a worker that knows the functions of `registry`.
    ///
    /// # Panics
    /// As [`Settings::start`].
    pub fn start(registry: Registry) -> Self {
        Self::of(registry).start()
    }

    /// A runner that is to be started.
    pub fn of(registry: Registry) -> Settings {
        Settings::new(registry)
    }

    fn with(settings: Settings) -> Self {
        crate::harness::install_logging();
        let capabilities = settings.capabilities();
        let Settings {
            registry,
            seed,
            worker_id,
            short_ids,
            provisions,
            options,
            budgets,
            watch,
            sampling,
            time_limit,
            data_services,
            embedded_output,
            whole_multimaps: _,
            starts_worker,
        } = settings;
        let ledger = Ledger::new(seed, short_ids, embedded_output);
        let hub = Hub::new(seed, worker_id, time_limit, data_services, ledger);
        let told = ProvisionInfo {
            pipeline_options: Some(to_struct(options)),
            runner_capabilities: capabilities,
            ..ProvisionInfo::default()
        };
        let servers = Servers::start(&hub, told);
        let (stop, stopped) = watch::channel(false);
        let mut runner = FakeRunner {
            hub,
            servers,
            worker: None,
            remains: Arc::default(),
            stop_worker: stop,
            next_id: AtomicUsize::new(1),
            terms: Mutex::default(),
            provisions,
            is_closed: false,
        };
        if starts_worker {
            let options = Options {
                budgets,
                watch,
                sampling,
                ..runner.options()
            };
            runner.start_worker(options, Arc::new(registry), stopped);
        }
        runner
    }

    fn start_worker(
        &mut self,
        options: Options,
        registry: Arc<Registry>,
        stopped: watch::Receiver<bool>,
    ) {
        let (hub, remains) = (self.hub.clone(), self.remains.clone());
        let work = move || {
            let end = worker::End {
                stopped,
                on_signal: None,
            };
            let outcome = worker::run_until(options, registry, end, |outcome| {
                if let Ok(worker) = outcome {
                    *remains.lock().unwrap_or_else(PoisonError::into_inner) = Some(worker);
                }
            });
            outcome.map_err(|error| error.to_string())
        };
        let thread = std::thread::Builder::new().name("worker".into());
        let thread = thread.spawn(move || {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let outcome = outcome.unwrap_or_else(|_| Err("the worker panicked".into()));
            hub.with(|ledger| {
                ledger
                    .transcript
                    .add(format!("← the worker has ended: {outcome:?}"));
                ledger.worker_end = Some(outcome);
            });
        });
        self.worker = Some(thread.expect("a thread can be started"));
    }

    /// The options of a worker that finds this runner.
    pub fn options(&self) -> Options {
        let address = |port: &listen::Port, given: bool| given.then(|| port.address());
        Options {
            id: self.hub.worker_id.clone(),
            provision_endpoint: address(&self.servers.provision, self.provisions),
            control_endpoint: address(&self.servers.control, !self.provisions),
            logging_endpoint: address(&self.servers.logging, !self.provisions),
            status_endpoint: address(&self.servers.status, !self.provisions),
            ..Options::default()
        }
    }

    /// Where this runner's data and state services are.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints {
            data: self
                .servers
                .data
                .iter()
                .map(listen::Port::address)
                .collect(),
            state: Some(self.servers.state.address()),
        }
    }

    /// Makes a descriptor known, so that the worker can fetch it.
    pub fn define(&self, descriptor: &Descriptor) {
        self.define_proto(descriptor.build(&self.endpoints()));
    }

    /// Makes a descriptor known as it is.
    pub fn define_proto(&self, descriptor: ProcessBundleDescriptor) {
        self.hub.with(|ledger| ledger.define(descriptor));
    }

    /// A bundle of a stage, to be filled and run.
    pub fn bundle(&self, descriptor: &Descriptor) -> Bundle<'_> {
        self.define(descriptor);
        Bundle::new(self, descriptor)
    }

    /// An instruction id that was not used before.
    pub fn fresh_id(&self) -> String {
        format!("i{}", self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends an instruction, of no kind where there is no request.
    ///
    /// # Panics
    /// The worker does not come, or has broken a rule.
    #[track_caller]
    pub fn instruction(&self, id: &str, request: impl Into<Option<Request>>) {
        let request = InstructionRequest {
            instruction_id: id.into(),
            request: request.into(),
        };
        let sender = self
            .hub
            .wait("the control stream", |_| self.hub.control.sender());
        self.hub.with(|ledger| ledger.asks(&request));
        self.push("control", &sender, request);
    }

    /// The answer to an instruction.
    ///
    /// # Panics
    /// It does not come in time, or the worker has broken a rule.
    #[track_caller]
    pub fn expect_response(&self, id: &str) -> InstructionResponse {
        let what = format!("the answer to {id:?}");
        self.hub.wait(&what, |ledger| ledger.answer(id).cloned())
    }

    /// Sends an instruction and waits for the answer.
    ///
    /// # Panics
    /// As [`FakeRunner::expect_response`].
    #[track_caller]
    pub fn ask(&self, request: impl Into<Option<Request>>) -> InstructionResponse {
        let id = self.fresh_id();
        self.instruction(&id, request);
        self.expect_response(&id)
    }

    /// Sends input through a data service, as soon as the worker has opened a stream to it.
    ///
    /// # Panics
    /// The worker does not open a stream, or does not take the message in time.
    #[track_caller]
    pub fn send_elements(&self, service: usize, elements: Elements) {
        self.send_elements_on(service, "", elements);
    }

    /// Sends input through a data stream of this name, as soon as the worker has opened it.
    ///
    /// # Panics
    /// As [`FakeRunner::send_elements`].
    #[track_caller]
    pub fn send_elements_on(&self, service: usize, stream: &str, elements: Elements) {
        let line = self.hub.data.line(service, stream);
        let sender = self.hub.wait("the data stream", |_| line.sender());
        self.hub.with(|ledger| ledger.sends(&elements));
        self.push("data", &sender, elements);
    }

    /// Sends input of one source through the first data service.
    ///
    /// # Panics
    /// As [`FakeRunner::send_elements`].
    #[track_caller]
    pub fn send_data(&self, bundle: &str, source: &str, data: impl Into<Bytes>, is_last: bool) {
        let data = Data {
            instruction_id: bundle.into(),
            transform_id: source.into(),
            data: data.into(),
            is_last,
        };
        let elements = Elements {
            data: vec![data],
            ..Elements::default()
        };
        self.send_elements(0, elements);
    }

    #[track_caller]
    fn push<M>(&self, what: &str, sender: &mpsc::Sender<Result<M, Status>>, message: M) {
        let sent = self.servers.handle.block_on(async {
            tokio::time::timeout(self.hub.time_limit, sender.send(Ok(message))).await
        });
        // A stream that has ended takes nothing; what depends on it will miss it.
        if sent.is_err() {
            self.hub
                .fail(&format!("the worker does not read its {what} stream"));
        }
    }

    /// Whether the worker has a stream to a data service.
    pub fn has_data_stream(&self, service: usize) -> bool {
        self.has_named_stream(service, "")
    }

    /// Whether the worker has a stream of this name to a data service.
    pub fn has_named_stream(&self, service: usize, stream: &str) -> bool {
        self.hub.data.line(service, stream).sender().is_some()
    }

    /// Waits until the worker has a stream to a data service.
    ///
    /// # Panics
    /// It opens none in time.
    #[track_caller]
    pub fn expect_data_stream(&self, service: usize) {
        let line = self.hub.data.line(service, "");
        self.hub
            .wait("the data stream", |_| line.sender().map(drop));
    }

    /// The output that a sink has sent so far in a bundle.
    pub fn output(&self, bundle: &str, sink: &str) -> Vec<u8> {
        self.hub.with(|ledger| {
            let output = ledger.bundles.get(bundle).and_then(|b| b.outputs.get(sink));
            output.map(|output| output.data.clone()).unwrap_or_default()
        })
    }

    /// Waits until a sink has sent at least so many bytes in a bundle.
    ///
    /// # Panics
    /// They do not come in time.
    #[track_caller]
    pub fn expect_output(&self, bundle: &str, sink: &str, bytes: usize) {
        let what = format!("{bytes} bytes of {sink:?} in {bundle:?}");
        self.hub.wait(&what, |ledger| {
            let output = ledger.bundles.get(bundle)?.outputs.get(sink)?;
            (output.data.len() >= bytes).then_some(())
        });
    }

    /// Whether output is read from now on.
    pub fn read_output(&self, reads: bool) {
        self.hub.reading.send_replace(reads);
    }

    /// Cuts the connections of a data service, as a broken network does.
    pub fn cut_data(&self, service: usize) {
        self.note_cut(service);
        self.hub.data.close(service);
        self.servers.data[service].cut();
    }

    /// Cuts the connections of the state service, as a broken network does.
    pub fn cut_state_stream(&self) {
        self.hub.with(|ledger| ledger.cut("state", &[]));
        self.hub.state.close();
        self.servers.state.cut();
    }

    /// Ends the stream of a data service in good order, as a runner that shuts down does.
    pub fn end_data(&self, service: usize) {
        self.note_cut(service);
        self.hub.data.close(service);
    }

    /// Ends one stream of a data service. Bundles on it may fail; their output so far counts.
    pub fn end_named_stream(&self, service: usize, stream: &str) {
        self.hub.data.line(service, stream).close();
    }

    fn note_cut(&self, service: usize) {
        let address = self.servers.data[service].address();
        self.hub
            .with(|ledger| ledger.cut(&format!("data {service}"), &[address]));
    }

    /// Cuts the control connection, as a runner that dies does. The worker ends with an error.
    pub fn cut_control(&self) {
        let all = self.endpoints().data;
        self.hub.with(|ledger| ledger.cut("control", &all));
        self.servers.control.cut();
    }

    /// Ends the control stream in good order. The worker ends when its bundles have.
    pub fn end_control(&self) {
        self.hub.with(|ledger| {
            ledger
                .transcript
                .add("→ the control stream is ended".into())
        });
        self.hub.control.close();
    }

    /// Tells the worker to end, as a signal to its process does.
    pub fn stop_worker(&self) {
        let _ = self.stop_worker.send(true);
    }

    /// Waits for the end of the worker. Yields its error, if it failed.
    ///
    /// # Panics
    /// It does not end in time.
    #[track_caller]
    pub fn expect_end(&self) -> Result<(), String> {
        let ended = self.hub.try_wait(false, |ledger| ledger.worker_end.clone());
        ended.unwrap_or_else(|why| {
            self.hub
                .fail(&format!("waiting for the worker's end: {why}"))
        })
    }

    /// How many bundles the worker knows of that have not ended, whether they were announced or only had input.
    pub fn unfinished(&self) -> usize {
        let remains = self.remains.lock().unwrap_or_else(PoisonError::into_inner);
        remains.as_ref().map_or(0, Remains::unfinished)
    }

    /// Forgets bundles that have ended, their output and log entries, so that many may follow.
    pub fn forget(&self) {
        self.hub.with(Ledger::forget);
    }

    /// Ends the worker in good order, and checks that it leaves nothing behind: no thread, no bundle, no rule broken.
    ///
    /// # Panics
    /// It leaves something, or fails.
    #[track_caller]
    pub fn close(mut self) {
        self.close_now();
    }

    #[track_caller]
    fn close_now(&mut self) {
        self.is_closed = true;
        self.read_output(true);
        self.read_logs(true);
        self.end_control();
        if self.worker.is_none() {
            return self.settle();
        }
        if let Err(error) = self.expect_end() {
            self.hub.fail(&format!("the worker failed: {error}"));
        }
        self.expect_gone();
        self.settle();
    }

    /// Checks what can only be checked when all is said.
    ///
    /// # Panics
    /// The worker has broken a rule.
    #[track_caller]
    pub fn settle(&self) {
        let violations = self.hub.with(|ledger| {
            ledger.settle();
            ledger.violations.len()
        });
        if violations > 0 {
            self.hub.fail("the worker broke the protocol");
        }
    }

    /// Waits until an ended worker has left nothing behind: all its threads have ended, and all its memory is free.
    ///
    /// # Panics
    /// Something is left when the time is up.
    #[track_caller]
    pub fn expect_gone(&mut self) {
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
        let remains = self.remains.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = std::time::Instant::now() + self.hub.time_limit;
        while remains.as_ref().is_some_and(|worker| !worker.is_gone()) {
            if std::time::Instant::now() > deadline {
                self.hub
                    .fail("the worker has ended, but some of its threads have not");
            }
            // Nothing tells when a thread has let go of what it held.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for FakeRunner {
    /// Closes the runner as [`FakeRunner::close`] does, unless the test has failed or the worker has ended already.
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The worker ends by itself when its streams do.
            self.hub.reading.send_replace(true);
            self.hub.reading_logs.send_replace(true);
            self.hub.control.close();
            return;
        }
        let has_ended = self.hub.with(|ledger| ledger.worker_end.is_some());
        if !self.is_closed && !has_ended {
            self.close_now();
        }
    }
}
