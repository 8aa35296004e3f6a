//! One thread that now and then looks where each bundle is, and puts the time down to that transform.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::bundles::Bundles;
use super::context::{self, LogContext};

/// Time between two looks. Execution times are estimates: whatever is shorter is seen in proportion to its length.
const PERIOD: Duration = Duration::from_millis(100);

/// Looks between two searches for idle plans.
const EVICT_EVERY: u32 = 100;

/// The sampling thread of a worker; ends when dropped.
pub(crate) struct Sampler {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts the thread.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(bundles: Arc<Bundles>) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel::<()>(0);
        let thread = std::thread::Builder::new()
            .name("sampler".into())
            .spawn(move || {
                context::enter(Some(LogContext {
                    queue: bundles.log.clone(),
                    bundle: None,
                }));
                let (mut last, mut looks) = (Instant::now(), 0u32);
                while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                    let now = Instant::now();
                    let millis = u64::try_from((now - last).as_millis()).unwrap_or(0);
                    last = now;
                    for (_, running) in bundles.instructions().running() {
                        if let Some((node, phase)) = running.activity.now()
                            && let Some(times) = running.metrics.times.get(node)
                        {
                            times.add(phase, millis);
                        }
                    }
                    looks = looks.wrapping_add(1);
                    if looks.is_multiple_of(EVICT_EVERY) {
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

impl Drop for Sampler {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
