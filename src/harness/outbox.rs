//! What a plan sees of the runner while it runs a bundle: state to read, sinks to write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use beam_proto::fnexec::ProcessBundleRequest;
use beam_proto::fnexec::process_bundle_request::CacheToken;
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
    /// Sinks by index: id and connection.
    sinks: Vec<(String, Arc<DataClient>)>,
    state: Option<Arc<StateClient>>,
    bundle: Mutex<Bundle>,
}

/// What the runner promises about state for one bundle.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct BundleTerms {
    /// What may be kept of earlier state reads.
    pub(crate) cache_tokens: Vec<CacheToken>,
    /// No key of the bundle has user state yet.
    pub(crate) has_no_state: bool,
    /// No other bundle in flight has one of its keys.
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

#[derive(Default)]
struct Bundle {
    instruction: Arc<str>,
    terms: BundleTerms,
    /// The last bytes of each sink, which are sent when the bundle has succeeded.
    closed: Vec<(usize, Bytes)>,
}

impl BundlePorts {
    pub(crate) fn new(
        sources: Vec<Arc<DataClient>>,
        sinks: Vec<(String, Arc<DataClient>)>,
        state: Option<Arc<StateClient>>,
    ) -> Self {
        BundlePorts {
            sources,
            sinks,
            state,
            bundle: Mutex::default(),
        }
    }

    fn bundle(&self) -> MutexGuard<'_, Bundle> {
        self.bundle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all connections stand. Those that broke are not mended: a new plan gets new ones.
    pub(crate) fn are_connected(&self) -> bool {
        let sinks = self.sinks.iter().map(|(_, client)| client);
        let mut data = self.sources.iter().chain(sinks);
        let state = self.state.as_ref();
        data.all(|client| client.lost().is_none()) && !state.is_some_and(|state| state.is_lost())
    }

    /// The error of a bundle that waits for input, if a connection that it comes from is gone.
    pub(crate) fn lost_input(&self) -> Option<Error> {
        self.sources.iter().find_map(|client| client.lost())
    }

    /// Begins a bundle.
    pub(crate) fn begin(&self, instruction: &Arc<str>, terms: BundleTerms) {
        let mut bundle = self.bundle();
        bundle.instruction = instruction.clone();
        bundle.terms = terms;
        bundle.closed.clear();
    }

    /// Sends what the sinks have left, and their ends: one message for each connection.
    pub(crate) fn finish(&self) -> Result<()> {
        let (instruction, mut closed) = {
            let mut bundle = self.bundle();
            (
                bundle.instruction.clone(),
                std::mem::take(&mut bundle.closed),
            )
        };
        while let Some((first, _)) = closed.first() {
            let client = &self.sinks[*first].1;
            let mut message = ElementsMessage::default();
            closed.retain(|(sink, data)| {
                let (id, target) = &self.sinks[*sink];
                let same = Arc::ptr_eq(client, target);
                if same {
                    if !data.is_empty() {
                        message.put(&instruction, id, data.clone(), false);
                    }
                    // An end of its own: there are readers that ignore data next to it.
                    message.put(&instruction, id, Bytes::new(), true);
                }
                !same
            });
            client.send(message.into_rope())?;
        }
        Ok(())
    }
}

impl Outbox for BundlePorts {
    fn send(&self, sink: usize, data: Bytes) -> Result<()> {
        let instruction = self.bundle().instruction.clone();
        let (id, client) = &self.sinks[sink];
        let mut message = ElementsMessage::default();
        message.put(&instruction, id, data, false);
        client.send(message.into_rope())
    }

    fn close(&self, sink: usize, data: Bytes) -> Result<()> {
        self.bundle().closed.push((sink, data));
        Ok(())
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
}
