//! One thread that now and then looks where each bundle is: it puts the time down to that transform, and notices what
//! does not move. It runs no user code, so that nothing can hold it up.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::bundles::Bundles;
use super::context::{self, LogContext};
use super::stuck::Reporter;

/// Time between two searches for idle plans.
const EVICT_EVERY: Duration = Duration::from_secs(10);

/// The sampling thread of a worker; ends when dropped.
pub(crate) struct Sampler {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts the thread, which looks once in each `period`.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(
        bundles: Arc<Bundles>,
        period: Duration,
        reporter: Reporter,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel::<()>(0);
        let thread = std::thread::Builder::new()
            .name("sampler".into())
            .spawn(move || {
                context::enter(Some(LogContext {
                    queue: bundles.log.clone(),
                    bundle: None,
                }));
                let mut last = Instant::now();
                let mut evicted = last;
                while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                    let now = Instant::now();
                    look(&bundles, last, now, &reporter);
                    last = now;
                    if now - evicted >= EVICT_EVERY {
                        evicted = now;
                        bundles.evict();
                    }
                }
            })?;
        Ok(Sampler {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

fn look(bundles: &Bundles, last: Instant, now: Instant, reporter: &Reporter) {
    let works = bundles.instructions().works();
    works.iter().for_each(|work| work.count(last, now));
    let seen = works
        .iter()
        .map(|work| (work.instruction.clone(), work.place()));
    let found = bundles.lulls().look(now, seen);
    reporter.report(&found, &works);
}

impl Drop for Sampler {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
