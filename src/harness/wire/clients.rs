//! Connections to services of one kind, one for each endpoint and each name of a stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::error::Result;
use crate::harness::page::StreamState;

/// A connection that may break.
pub(super) trait Client {
    /// Whether it takes no more messages.
    fn is_ended(&self) -> bool;
    /// How it is.
    fn state(&self) -> StreamState;
}

/// The connections to all services of one kind that descriptors have named.
pub(super) struct Clients<C> {
    /// By endpoint and stream.
    slots: Mutex<Slots<C>>,
}

type Slots<C> = HashMap<(String, String), Slot<C>>;

/// Held while the connection is opened: two streams to one service would confuse the runner.
type Slot<C> = Arc<Mutex<Option<Arc<C>>>>;

impl<C: Client> Clients<C> {
    pub(super) fn new() -> Self {
        Clients {
            slots: Mutex::default(),
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots<C>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to a service whose stream has a name, or none; opened on first use, and again after it broke.
    /// Others that need the same one wait meanwhile, so never call it on the rim, which opens connections.
    ///
    /// # Errors
    /// Those of `open`.
    pub(super) fn get(
        &self,
        endpoint: &str,
        stream: &str,
        open: impl FnOnce() -> Result<Arc<C>>,
    ) -> Result<Arc<C>> {
        let key = (endpoint.to_owned(), stream.to_owned());
        let slot = self.slots().entry(key).or_default().clone();
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*slot
            && !client.is_ended()
        {
            return Ok(client.clone());
        }
        let client = open()?;
        *slot = Some(client.clone());
        Ok(client)
    }

    /// How all connections are, by endpoint. Does not wait for those that are being opened.
    pub(super) fn states(&self) -> Vec<(String, StreamState)> {
        let slots = self.slots();
        let states = slots.iter().map(|((endpoint, stream), slot)| {
            let state = match slot.try_lock() {
                Ok(slot) => slot.as_ref().map(|client| client.state()),
                Err(_) => None,
            };
            let name = match stream.as_str() {
                "" => endpoint.clone(),
                stream => format!("{endpoint} ({stream})"),
            };
            (name, state.unwrap_or(StreamState::Opening))
        });
        let mut states: Vec<_> = states.collect();
        states.sort_by(|(a, _), (b, _)| a.cmp(b));
        states
    }

    /// All connections that stand. Does not wait for those that are being opened.
    pub(super) fn open(&self) -> Vec<Arc<C>> {
        let slots = self.slots();
        let clients = slots.values().filter_map(|slot| match slot.try_lock() {
            Ok(slot) => slot.clone(),
            Err(TryLockError::Poisoned(slot)) => slot.into_inner().clone(),
            Err(TryLockError::WouldBlock) => None,
        });
        clients.collect()
    }
}
