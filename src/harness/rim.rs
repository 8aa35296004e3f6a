//! The way from a bundle thread to the rim.

use tokio::runtime::Handle;

/// Lets a bundle thread wait for something that the rim does.
#[derive(Clone)]
pub(crate) struct Rim(Handle);

impl Rim {
    pub(crate) fn new(handle: Handle) -> Self {
        Rim(handle)
    }

    /// Waits for `work`. Never call it on the rim.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.block_on(work)
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.0
    }
}
