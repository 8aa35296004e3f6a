//! What a plan sees of the runner while it runs a bundle: state to read, sinks and timers to write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use beam_proto::fnexec::ProcessBundleRequest;
use beam_proto::fnexec::process_bundle_request::CacheToken;
use bytes::Bytes;

use super::response::ElementsMessage;
use super::state::BundleState;
use super::wire::data::DataClient;
use crate::error::{Error, Result};
use crate::exec::Outbox;

/// The outside of one plan. It belongs to one bundle at a time.
pub(crate) struct BundlePorts {
    /// Sinks by index, and behind them the families of timers.
    outputs: Vec<Output>,
    state: Arc<BundleState>,
    bundle: Mutex<Bundle>,
}

/// The data streams of a plan: all of one name, which each bundle chooses.
pub(crate) struct Streams {
    pub(crate) name: String,
    /// Those that input comes from.
    pub(crate) inputs: Vec<Arc<DataClient>>,
    /// By output.
    pub(crate) outputs: Vec<Arc<DataClient>>,
}

/// What the runner promises about state for one bundle.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct BundleTerms {
    /// What may be kept of earlier state reads.
    pub(crate) cache_tokens: Vec<CacheToken>,
    /// No key of the bundle has user state yet.
    pub(crate) has_no_state: bool,
    /// No other bundle in flight has one of its keys: where they had no state, what is in them is what this bundle has
    /// written. A later bundle may want that, so it is sent all the same.
    pub(crate) only_bundle_for_keys: bool,
}

impl BundleTerms {
    /// Takes the terms out of a request.
    pub(crate) fn take(request: &mut ProcessBundleRequest) -> Self {
        BundleTerms {
            cache_tokens: std::mem::take(&mut request.cache_tokens),
            has_no_state: request.has_no_state,
            only_bundle_for_keys: request.only_bundle_for_keys,
        }
    }
}

/// Where a sink's bytes go, or those of a family of timers.
pub(crate) struct Output {
    /// The id of the sink, or of the function that the timers belong to.
    pub(crate) transform: String,
    /// The family, if these are timers.
    pub(crate) family: Option<String>,
    /// `host:port` of the data service.
    pub(crate) endpoint: String,
}

/// A bundle whose output is larger is not embedded in its answer: the data plane is made for that.
const MAX_EMBEDDED: usize = 1 << 20;

struct Bundle {
    instruction: Arc<str>,
    streams: Arc<Streams>,
    /// Whether output was sent already.
    has_sent: bool,
    /// The last bytes of each output, which are sent when the bundle has succeeded.
    closed: Vec<(usize, Bytes)>,
}

impl BundlePorts {
    pub(crate) fn new(outputs: Vec<Output>, streams: Streams, state: Arc<BundleState>) -> Self {
        BundlePorts {
            outputs,
            state,
            bundle: Mutex::new(Bundle {
                instruction: Arc::default(),
                streams: Arc::new(streams),
                has_sent: false,
                closed: Vec::new(),
            }),
        }
    }

    fn bundle(&self) -> MutexGuard<'_, Bundle> {
        self.bundle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All outputs, by index.
    pub(crate) fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    fn streams(&self) -> Arc<Streams> {
        self.bundle().streams.clone()
    }

    /// Whether the data streams have this name.
    pub(crate) fn are_named(&self, name: &str) -> bool {
        self.streams().name == name
    }

    /// Goes to data streams of another name.
    pub(crate) fn change_streams(&self, streams: Streams) {
        self.bundle().streams = Arc::new(streams);
    }

    /// Whether all connections stand. Those that broke are not mended: a new plan gets new ones.
    pub(crate) fn are_connected(&self) -> bool {
        let streams = self.streams();
        let mut data = streams.inputs.iter().chain(&streams.outputs);
        data.all(|client| client.lost().is_none()) && !self.state.is_lost()
    }

    /// The error of a bundle that waits for input, if a connection that it comes from is gone.
    pub(crate) fn lost_input(&self) -> Option<Error> {
        let streams = self.streams();
        streams.inputs.iter().find_map(|client| client.lost())
    }

    /// Begins a bundle.
    pub(crate) fn begin(&self, instruction: &Arc<str>, terms: BundleTerms) {
        self.state.begin(instruction, terms);
        let mut bundle = self.bundle();
        bundle.instruction = instruction.clone();
        bundle.has_sent = false;
        bundle.closed.clear();
    }

    /// Gives the bundle up: it has failed.
    pub(crate) fn give_up(&self) {
        // Whatever the runner says now, the bundle has failed already.
        let _ = self.state.settle();
    }

    /// Ends the outputs, with what they have left: yields it if it `may_embed`, is the whole output of the bundle, and
    /// not large; else sends one message on each stream.
    pub(crate) fn finish(&self, may_embed: bool) -> Result<Option<ElementsMessage>> {
        self.state.settle()?;
        let (instruction, streams, mut closed, has_sent) = {
            let mut bundle = self.bundle();
            (
                bundle.instruction.clone(),
                bundle.streams.clone(),
                std::mem::take(&mut bundle.closed),
                bundle.has_sent,
            )
        };
        let bytes: usize = closed.iter().map(|(_, data)| data.len()).sum();
        // Java's runners have nobody who takes elements of a bundle without outputs, not even none of them.
        let may_embed = may_embed && !closed.is_empty();
        if may_embed && !has_sent && bytes <= MAX_EMBEDDED {
            let mut message = ElementsMessage::default();
            for (index, data) in closed {
                self.put_end(&mut message, &instruction, index, data);
            }
            self.state.commit();
            return Ok(Some(message));
        }
        while let Some((first, _)) = closed.first() {
            let client = &streams.outputs[*first];
            let mut message = ElementsMessage::default();
            closed.retain(|(index, data)| {
                let same = Arc::ptr_eq(client, &streams.outputs[*index]);
                if same {
                    self.put_end(&mut message, &instruction, *index, data.clone());
                }
                !same
            });
            client.send(message.into_rope())?;
        }
        self.state.commit();
        Ok(None)
    }

    fn put_end(&self, message: &mut ElementsMessage, instruction: &str, index: usize, data: Bytes) {
        let output = &self.outputs[index];
        let (id, family) = (&output.transform, output.family.as_deref());
        if !data.is_empty() {
            message.put(instruction, id, family, data, false);
        }
        // An end of its own: there are readers that ignore data next to it.
        message.put(instruction, id, family, Bytes::new(), true);
    }
}

impl Outbox for BundlePorts {
    fn send(&self, index: usize, data: Bytes) -> Result<()> {
        let (instruction, streams) = {
            let mut bundle = self.bundle();
            bundle.has_sent = true;
            (bundle.instruction.clone(), bundle.streams.clone())
        };
        let output = &self.outputs[index];
        let (id, family) = (&output.transform, output.family.as_deref());
        let mut message = ElementsMessage::default();
        message.put(&instruction, id, family, data, false);
        streams.outputs[index].send(message.into_rope())
    }

    fn close(&self, index: usize, data: Bytes) -> Result<()> {
        self.bundle().closed.push((index, data));
        Ok(())
    }

    fn offer(&self, index: usize, data: &mut Vec<u8>) {
        let output = &self.outputs[index];
        let (id, family) = (&output.transform, output.family.as_deref());
        let streams = self.streams();
        let client = &streams.outputs[index];
        if client.has_room() {
            let instruction = {
                let mut bundle = self.bundle();
                bundle.has_sent = true;
                bundle.instruction.clone()
            };
            let mut message = ElementsMessage::default();
            message.put(&instruction, id, family, std::mem::take(data).into(), false);
            // If the stream is gone, the bundle learns it when it sends the rest.
            let _ = client.send_now(message.into_rope());
        }
    }
}
