//! What the runner's services and the test share.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use beam_proto::fnexec::{Elements, InstructionRequest, StateResponse, WorkerStatusRequest};
use tokio::sync::{mpsc, watch};
use tonic::Status;

use super::ledger::Ledger;

/// Messages that wait in a line to the worker.
const LINE: usize = 4;

/// Shared by all services of one runner.
pub(super) struct Hub {
    pub(super) seed: u64,
    pub(super) worker_id: String,
    pub(super) time_limit: Duration,
    ledger: Mutex<Ledger>,
    changed: Condvar,
    pub(super) control: Line<InstructionRequest>,
    pub(super) data: DataLines,
    pub(super) state: Line<StateResponse>,
    pub(super) status: Line<WorkerStatusRequest>,
    /// Whether output is read.
    pub(super) reading: watch::Sender<bool>,
    /// Whether answers to state requests are held back.
    pub(super) holding_state: watch::Sender<bool>,
    /// Whether log entries are read.
    pub(super) reading_logs: watch::Sender<bool>,
    /// How often the logging stream was cut.
    pub(super) log_cuts: watch::Sender<usize>,
}

impl Hub {
    pub(super) fn new(
        seed: u64,
        worker_id: String,
        time_limit: Duration,
        data_services: usize,
        ledger: Ledger,
    ) -> Arc<Self> {
        Arc::new(Hub {
            seed,
            worker_id,
            time_limit,
            ledger: Mutex::new(ledger),
            changed: Condvar::new(),
            control: Line::default(),
            data: DataLines::new(data_services),
            state: Line::default(),
            status: Line::default(),
            reading: watch::Sender::new(true),
            holding_state: watch::Sender::new(false),
            reading_logs: watch::Sender::new(true),
            log_cuts: watch::Sender::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes into the ledger, or reads it.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledger = self.lock();
        let outcome = work(&mut ledger);
        drop(ledger);
        self.changed.notify_all();
        outcome
    }

    /// Waits until `done` yields something.
    ///
    /// # Panics
    /// The time limit passes, the worker breaks a rule of the protocol, or it ends too early.
    #[track_caller]
    pub(super) fn wait<T>(&self, what: &str, done: impl FnMut(&mut Ledger) -> Option<T>) -> T {
        match self.try_wait(true, done) {
            Ok(value) => value,
            Err(why) => self.fail(&format!("waiting for {what}: {why}")),
        }
    }

    /// As [`Hub::wait`], but reports what would panic. `early` says whether the worker must live meanwhile.
    pub(super) fn try_wait<T>(
        &self,
        early: bool,
        mut done: impl FnMut(&mut Ledger) -> Option<T>,
    ) -> Result<T, String> {
        let deadline = Instant::now() + self.time_limit;
        let mut ledger = self.lock();
        loop {
            if !ledger.violations.is_empty() {
                return Err("the worker broke the protocol".into());
            }
            if let Some(value) = done(&mut ledger) {
                return Ok(value);
            }
            if let Some(end) = &ledger.worker_end
                && early
            {
                return Err(format!("the worker has ended: {end:?}"));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("nothing came within {:?}", self.time_limit));
            }
            ledger = self
                .changed
                .wait_timeout(ledger, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Fails the test, with all that helps to find the fault.
    #[track_caller]
    pub(super) fn fail(&self, why: &str) -> ! {
        panic!("{why}\n{}", self.report());
    }

    /// Seed, violations and transcript.
    pub(super) fn report(&self) -> String {
        let ledger = self.lock();
        let violations: String = ledger
            .violations
            .iter()
            .map(|v| format!("  {v}\n"))
            .collect();
        format!(
            "seed {}\nbroken rules:\n{violations}transcript:\n{}",
            self.seed, ledger.transcript
        )
    }

    /// Checks that a call says which worker it comes from.
    pub(super) fn check_caller(&self, service: &str, metadata: &tonic::metadata::MetadataMap) {
        let ids: Vec<_> = metadata.get_all("worker_id").iter().collect();
        if ids.len() != 1 || ids[0].as_bytes() != self.worker_id.as_bytes() {
            self.with(|ledger| {
                let id = &self.worker_id;
                ledger.violation(format!("{service} is called by {ids:?} instead of {id:?}"));
            });
        }
    }
}

/// The ways of all data streams.
pub(super) struct DataLines {
    services: usize,
    /// By service and name of the stream.
    lines: Mutex<BTreeMap<(usize, String), Arc<Line<Elements>>>>,
}

impl DataLines {
    fn new(services: usize) -> Self {
        DataLines {
            services,
            lines: Mutex::default(),
        }
    }

    /// How many data services there are.
    pub(super) fn services(&self) -> usize {
        self.services
    }

    /// The way of a stream of this name.
    pub(super) fn line(&self, service: usize, stream: &str) -> Arc<Line<Elements>> {
        assert!(
            service < self.services,
            "there is no data service {service}"
        );
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.entry((service, stream.into())).or_default().clone()
    }

    /// Ends all streams of a service in good order.
    pub(super) fn close(&self, service: usize) {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let of_service = lines.iter().filter(|((of, _), _)| *of == service);
        of_service.for_each(|(_, line)| line.close());
    }
}

/// The way of one stream from the runner to the worker.
pub(super) struct Line<M>(Mutex<Current<M>>);

struct Current<M> {
    sender: Option<mpsc::Sender<Result<M, Status>>>,
    /// How many streams were opened.
    opened: usize,
}

impl<M> Default for Line<M> {
    fn default() -> Self {
        Line(Mutex::new(Current {
            sender: None,
            opened: 0,
        }))
    }
}

impl<M> Line<M> {
    fn lock(&self) -> MutexGuard<'_, Current<M>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream was opened. Yields its number and its reading end.
    pub(super) fn open(&self) -> (usize, mpsc::Receiver<Result<M, Status>>) {
        let (sender, receiver) = mpsc::channel(LINE);
        let mut line = self.lock();
        line.sender = Some(sender);
        line.opened += 1;
        (line.opened, receiver)
    }

    /// The writing end, if the stream stands.
    pub(super) fn sender(&self) -> Option<mpsc::Sender<Result<M, Status>>> {
        let sender = self.lock().sender.clone();
        sender.filter(|sender| !sender.is_closed())
    }

    /// Ends the stream in good order.
    pub(super) fn close(&self) {
        self.lock().sender = None;
    }

    /// Ends the stream of this number, unless another was opened meanwhile.
    pub(super) fn close_number(&self, number: usize) {
        let mut line = self.lock();
        if line.opened == number {
            line.sender = None;
        }
    }
}
