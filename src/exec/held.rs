//! Output that was collected and not sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::link::Outbox;

/// What the sinks of a plan hold back, where somebody besides the bundle thread may send it on.
pub struct HeldOutput {
    outbox: Arc<dyn Outbox>,
    /// By index of the sink.
    sinks: Vec<(usize, HeldBuffer)>,
}

impl HeldOutput {
    pub(super) fn new(outbox: Arc<dyn Outbox>, sinks: Vec<(usize, HeldBuffer)>) -> Self {
        HeldOutput { outbox, sinks }
    }

    /// Sends on what can be sent without waiting, neither for the bundle thread nor for room.
    pub fn send_on(&self) {
        for (sink, buffer) in &self.sinks {
            // A bundle thread that is just at it, or that failed there, holds no output that waits for us.
            let Ok(mut buffer) = buffer.0.try_lock() else {
                continue;
            };
            if !buffer.is_empty() {
                // Sent while the lock is held: what the bundle thread sends next comes behind.
                self.outbox.offer(*sink, &mut buffer);
            }
        }
    }
}

/// The buffer of one sink. The bundle thread holds the lock while it encodes an element; hardly anybody else wants it.
#[derive(Clone, Default)]
pub(crate) struct HeldBuffer(Arc<Mutex<Vec<u8>>>);

impl HeldBuffer {
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
