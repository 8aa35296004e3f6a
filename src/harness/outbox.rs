//! What a plan sees of the runner while it runs a bundle: state to read, sinks and timers to write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::response::ElementsMessage;
use super::wire::data::DataClient;
use super::wire::state::StateClient;
use crate::dofn::{StateKey, StatePort};
use crate::element::Page;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::Outbox;

/// The outside of one plan. It belongs to one bundle at a time.
pub(crate) struct BundlePorts {
    /// The connections that input comes from.
    sources: Vec<Arc<DataClient>>,
    /// Sinks by index, and behind them the families of timers.
    outputs: Vec<Output>,
    state: Option<Arc<StateClient>>,
    bundle: Mutex<Bundle>,
}

/// Where a sink's bytes go, or those of a family of timers.
pub(crate) struct Output {
    /// The id of the sink, or of the function that the timers belong to.
    pub(crate) transform: String,
    /// The family, if these are timers.
    pub(crate) family: Option<String>,
    pub(crate) client: Arc<DataClient>,
}

#[derive(Default)]
struct Bundle {
    instruction: Arc<str>,
    /// The last bytes of each output, which are sent when the bundle has succeeded.
    closed: Vec<(usize, Bytes)>,
}

impl BundlePorts {
    pub(crate) fn new(
        sources: Vec<Arc<DataClient>>,
        outputs: Vec<Output>,
        state: Option<Arc<StateClient>>,
    ) -> Self {
        BundlePorts {
            sources,
            outputs,
            state,
            bundle: Mutex::default(),
        }
    }

    fn bundle(&self) -> MutexGuard<'_, Bundle> {
        self.bundle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all connections stand. Those that broke are not mended: a new plan gets new ones.
    pub(crate) fn are_connected(&self) -> bool {
        let outputs = self.outputs.iter().map(|output| &output.client);
        let mut data = self.sources.iter().chain(outputs);
        let state = self.state.as_ref();
        data.all(|client| client.lost().is_none()) && !state.is_some_and(|state| state.is_lost())
    }

    /// The error of a bundle that waits for input, if a connection that it comes from is gone.
    pub(crate) fn lost_input(&self) -> Option<Error> {
        self.sources.iter().find_map(|client| client.lost())
    }

    /// Begins a bundle.
    pub(crate) fn begin(&self, instruction: &Arc<str>) {
        let mut bundle = self.bundle();
        bundle.instruction = instruction.clone();
        bundle.closed.clear();
    }

    /// Sends what the outputs have left, and their ends: one message for each connection.
    pub(crate) fn finish(&self) -> Result<()> {
        let (instruction, mut closed) = {
            let mut bundle = self.bundle();
            (
                bundle.instruction.clone(),
                std::mem::take(&mut bundle.closed),
            )
        };
        while let Some((first, _)) = closed.first() {
            let client = &self.outputs[*first].client;
            let mut message = ElementsMessage::default();
            closed.retain(|(index, data)| {
                let output = &self.outputs[*index];
                let same = Arc::ptr_eq(client, &output.client);
                if same {
                    let (id, family) = (&output.transform, output.family.as_deref());
                    if !data.is_empty() {
                        message.put(&instruction, id, family, data.clone(), false);
                    }
                    // An end of its own: there are readers that ignore data next to it.
                    message.put(&instruction, id, family, Bytes::new(), true);
                }
                !same
            });
            client.send(message.into_rope())?;
        }
        Ok(())
    }
}

impl Outbox for BundlePorts {
    fn send(&self, index: usize, data: Bytes) -> Result<()> {
        let instruction = self.bundle().instruction.clone();
        let output = &self.outputs[index];
        let (id, family) = (&output.transform, output.family.as_deref());
        let mut message = ElementsMessage::default();
        message.put(&instruction, id, family, data, false);
        output.client.send(message.into_rope())
    }

    fn close(&self, index: usize, data: Bytes) -> Result<()> {
        self.bundle().closed.push((index, data));
        Ok(())
    }

    fn offer(&self, index: usize, data: &mut Vec<u8>) {
        let output = &self.outputs[index];
        let (id, family) = (&output.transform, output.family.as_deref());
        if output.client.has_room() {
            let instruction = self.bundle().instruction.clone();
            let mut message = ElementsMessage::default();
            message.put(&instruction, id, family, std::mem::take(data).into(), false);
            // If the stream is gone, the bundle learns it when it sends the rest.
            let _ = output.client.send_now(message.into_rope());
        }
    }
}

impl StatePort for BundlePorts {
    fn get(&self, key: &StateKey, continuation: &Bytes) -> Result<Page> {
        let Some(state) = &self.state else {
            return Err(Error::new(
                ErrorKind::State,
                "the bundle reads state, but the runner serves none to it",
            ));
        };
        let instruction = self.bundle().instruction.clone();
        state.get(&instruction, key, continuation)
    }

    fn append(&self, _key: &StateKey, _data: Bytes) -> Result<()> {
        Ok(())
    }

    fn clear(&self, _key: &StateKey) -> Result<()> {
        Ok(())
    }
}
