//! Bundles on their way to a thread.
//!
//! Every bundle gets a thread at once or soon: a runner may have made bundles wait for each other. But waking a thread
//! costs more than a small bundle does, so a bundle first goes to a thread that is awake anyway. If none takes it within
//! a moment, because all are busy with longer work, another one is woken. Only if the pipeline's options limit how many
//! bundles run at once, others are held back meanwhile.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use beam_proto::fnexec::ProcessBundleRequest;
use tokio::sync::Notify;

use super::finalize::FinalizeRequest;
use super::inbox::Inbox;
use super::questions::QuestionRequest;

/// A thread that found no work for this long ends.
const IDLE_THREAD: Duration = Duration::from_secs(60);

/// How long a bundle may wait for a thread that is awake.
const MOMENT: Duration = Duration::from_millis(1);

/// Looks for work before a thread goes to sleep: about as long as waking it again takes.
const SPINS: u32 = 300;

/// One bundle to run.
pub(crate) struct BundleRequest {
    pub(crate) instruction: Arc<str>,
    pub(crate) request: ProcessBundleRequest,
    pub(crate) inbox: Arc<Inbox>,
}

/// What needs a thread, because it runs user code.
pub(crate) enum Job {
    /// Run a bundle.
    Bundle(BundleRequest),
    /// Call what bundles wanted done after their commit.
    Finalize(FinalizeRequest),
    /// Answer a question about a bundle with splittable functions.
    Answer(QuestionRequest),
}

/// A job that cannot have a thread, and why.
pub(crate) struct NoThread {
    pub(crate) job: Box<Job>,
    pub(crate) error: String,
}

/// What a thread does: take jobs until there are none.
type Run = Box<dyn Fn(&Jobs) + Send + Sync>;

/// The jobs that wait for a thread, and the threads that wait for a job. The number of jobs is the runner's: each has a
/// request that waits for its answer.
pub(crate) struct Jobs {
    state: Mutex<State>,
    arrived: Condvar,
    /// How many wait, for threads that look without the lock.
    waiting: AtomicUsize,
    /// Threads that wait for something in the middle of a bundle, and so will not come for another soon.
    blocked: Arc<AtomicUsize>,
    /// How many bundles may run at once, if there is a limit.
    most_bundles: Option<usize>,
    nudge: Notify,
    run: OnceLock<Run>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Bundles beyond the limit, and how many are within it. Counted only if there is a limit.
    held_back: VecDeque<Job>,
    bundles: usize,
    /// Threads that sleep, and how many of them were told to wake.
    asleep: usize,
    told: usize,
    threads: usize,
    /// Threads that were started and have not begun.
    starting: usize,
    closed: bool,
}

struct Waiting {
    job: Job,
    since: Instant,
}

impl Jobs {
    /// `blocked` counts the threads that wait in the middle of a bundle. `most_bundles` may run at once.
    pub(crate) fn new(blocked: Arc<AtomicUsize>, most_bundles: Option<usize>) -> Arc<Self> {
        Arc::new(Jobs {
            state: Mutex::default(),
            arrived: Condvar::new(),
            waiting: AtomicUsize::new(0),
            blocked,
            most_bundles,
            nudge: Notify::new(),
            run: OnceLock::new(),
        })
    }

    /// Says what threads do: take jobs with [`Jobs::next`] until there are none.
    pub(crate) fn set_work(&self, run: impl Fn(&Jobs) + Send + Sync + 'static) {
        let _ = self.run.set(Box::new(run));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a job to a thread. Never blocks. Gives the job back if no thread can be had.
    pub(crate) fn submit(self: &Arc<Self>, job: Job) -> Result<(), NoThread> {
        let mut state = self.state();
        if let (Some(most), Job::Bundle(_)) = (self.most_bundles, &job) {
            if state.bundles >= most {
                state.held_back.push_back(job);
                return Ok(());
            }
            state.bundles += 1;
        }
        self.enqueue(&mut state, job);
        let up = state.threads - state.asleep + state.told;
        let awake = up.saturating_sub(self.blocked.load(Ordering::SeqCst));
        if awake > 0 {
            drop(state);
            self.nudge.notify_one();
            return Ok(());
        }
        self.wake(state)
    }

    fn enqueue(&self, state: &mut State, job: Job) {
        state.waiting.push_back(Waiting {
            job,
            since: Instant::now(),
        });
        self.waiting.store(state.waiting.len(), Ordering::SeqCst);
    }

    /// A bundle has come to its end: one that was held back takes its place. For threads, before they ask for the next
    /// job.
    pub(crate) fn bundle_ended(&self) {
        if self.most_bundles.is_none() {
            return;
        }
        let mut state = self.state();
        match state.held_back.pop_front() {
            None => state.bundles -= 1,
            Some(job) => {
                self.enqueue(&mut state, job);
                drop(state);
                self.nudge.notify_one();
            }
        }
    }

    /// Wakes a thread, or starts one.
    fn wake(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> Result<(), NoThread> {
        if state.asleep > state.told {
            state.told += 1;
            drop(state);
            self.arrived.notify_one();
            return Ok(());
        }
        state.threads += 1;
        state.starting += 1;
        let name = format!("bundle-{}", state.threads);
        drop(state);
        let jobs = self.clone();
        let thread = std::thread::Builder::new().name(name).stack_size(8 << 20);
        let started = thread.spawn(move || {
            jobs.state().starting -= 1;
            if let Some(run) = jobs.run.get() {
                run(&jobs);
            }
        });
        let Err(error) = started else { return Ok(()) };
        let mut state = self.state();
        state.threads -= 1;
        state.starting -= 1;
        // Some running thread will come to it; if there is none, nobody will.
        match state.waiting.pop_back() {
            Some(last) if state.threads == 0 => {
                if let (Some(_), Job::Bundle(_)) = (self.most_bundles, &last.job) {
                    state.bundles -= 1;
                }
                Err(NoThread {
                    job: Box::new(last.job),
                    error: error.to_string(),
                })
            }
            Some(last) => {
                state.waiting.push_back(last);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The next job; `None` when this thread is to end.
    pub(crate) fn next(&self) -> Option<Job> {
        for _ in 0..SPINS {
            if self.waiting.load(Ordering::SeqCst) > 0 {
                break;
            }
            std::hint::spin_loop();
        }
        let mut state = self.state();
        let since = Instant::now();
        loop {
            if let Some(first) = state.waiting.pop_front() {
                self.waiting.store(state.waiting.len(), Ordering::SeqCst);
                return Some(first.job);
            }
            if state.closed || since.elapsed() >= IDLE_THREAD {
                state.threads -= 1;
                return None;
            }
            state.asleep += 1;
            let wait = self
                .arrived
                .wait_timeout_while(state, IDLE_THREAD, |s| s.told == 0 && !s.closed);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
            state.asleep -= 1;
            state.told = state.told.saturating_sub(1);
        }
    }

    /// Wakes threads for the jobs that wait longer than a moment. Runs on the rim, until dropped.
    pub(crate) async fn keep_moving(self: Arc<Self>) {
        loop {
            self.nudge.notified().await;
            while self.waiting.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(MOMENT).await;
                for _ in 0..self.forsaken() {
                    if self.wake(self.state()).is_err() {
                        break;
                    }
                }
            }
        }
    }

    /// How many jobs have waited longer than a moment, without a thread that is on its way to them.
    fn forsaken(&self) -> usize {
        let state = self.state();
        let late = state.waiting.iter();
        let late = late.take_while(|waiting| waiting.since.elapsed() >= MOMENT);
        late.count().saturating_sub(state.told + state.starting)
    }

    /// Whether threads are to end.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Ends all threads once they have nothing to do.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        drop(state);
        self.arrived.notify_all();
    }
}
