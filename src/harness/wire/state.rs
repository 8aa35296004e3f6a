//! The runner's state, as bundle threads read it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use beam_proto::fnexec::state_key::{
    self, BagUserState, IterableSideInput, MultimapKeysSideInput, MultimapKeysUserState,
    MultimapSideInput, MultimapUserState, OrderedListUserState, Runner,
};
use beam_proto::fnexec::{
    OrderedListRange, StateAppendRequest, StateClearRequest, StateGetRequest, StateRequest,
    StateResponse, state_request, state_response,
};
use bytes::Bytes;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;

use super::clients::{Client, Clients};
use super::codec::RopeCodec;
use super::{Peer, Rope, SendQueue};
use crate::dofn::{SideKey, StateKey};
use crate::element::Page;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::harness::page::StreamState;
use crate::harness::rim::Rim;

const STATE: &str = "/org.apache.beam.model.fn_execution.v1.BeamFnState/State";

/// Requests on their way. They are small, and each has a bundle thread that waits for it.
const QUEUE_BYTES: usize = 16 << 20;

/// The connections to all state services that descriptors have named.
pub(crate) struct StateClients {
    peer: Peer,
    clients: Clients<StateClient>,
}

/// One connection to one state service.
pub(crate) struct StateClient {
    queue: Arc<SendQueue>,
    waiting: Waiting,
    next: AtomicU64,
}

/// Requests without an answer, by id.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<HashMap<String, Arc<Answer>>>>);

#[derive(Default)]
struct Answer {
    response: Mutex<Option<Result<StateResponse, String>>>,
    arrived: Condvar,
}

impl Answer {
    fn set(&self, response: Result<StateResponse, String>) {
        *self.response.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
        self.arrived.notify_one();
    }

    fn wait(&self) -> Result<StateResponse, String> {
        let mut response = self.response.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match response.take() {
                Some(response) => return response,
                None => {
                    response = self
                        .arrived
                        .wait(response)
                        .unwrap_or_else(PoisonError::into_inner)
                }
            }
        }
    }
}

impl Waiting {
    fn answer(&self, response: StateResponse) {
        let waiting = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&response.id);
        if let Some(answer) = waiting {
            answer.set(Ok(response));
        }
    }

    fn fail(&self, why: &str) {
        for (_, answer) in self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain()
        {
            answer.set(Err(why.to_owned()));
        }
    }
}

/// Fails the requests that wait when their stream goes, for whatever reason: nobody else will answer them.
struct Abandoned(Waiting);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.fail("the state stream was given up");
    }
}

impl StateClients {
    pub(crate) fn new(peer: Peer) -> Self {
        StateClients {
            peer,
            clients: Clients::new(),
        }
    }

    /// The connection to a service; opened on first use, and again after it broke. Blocks while it opens.
    ///
    /// # Errors
    /// Nobody answers there.
    pub(crate) fn get(&self, endpoint: &str, rim: &Rim) -> Result<Arc<StateClient>> {
        self.clients.get(endpoint, "", || self.open(endpoint, rim))
    }

    fn open(&self, endpoint: &str, rim: &Rim) -> Result<Arc<StateClient>> {
        let channel = rim
            .wait(self.peer.connect("state", endpoint))
            .at("endpoint", endpoint)?;
        let queue = SendQueue::new(QUEUE_BYTES);
        let request = self.peer.request(queue.stream());
        let (waiting, broken) = (Waiting::default(), queue.clone());
        let answers = Abandoned(waiting.clone());
        rim.handle().spawn(async move {
            let mut grpc = Grpc::new(channel).max_decoding_message_size(usize::MAX);
            let outcome = async {
                grpc.ready()
                    .await
                    .map_err(|e| tonic::Status::unavailable(e.to_string()))?;
                let path = PathAndQuery::from_static(STATE);
                let codec = RopeCodec::<StateResponse>::new();
                let mut inbound = grpc.streaming(request, path, codec).await?.into_inner();
                while let Some(response) = inbound.message().await? {
                    answers.0.answer(response);
                }
                Ok::<(), tonic::Status>(())
            };
            let why = match outcome.await {
                Ok(()) => "the runner closed the state stream".to_owned(),
                Err(status) => status.to_string(),
            };
            broken.break_off(&why);
            answers.0.fail(&why);
        });
        Ok(Arc::new(StateClient {
            queue,
            waiting,
            next: AtomicU64::new(1),
        }))
    }

    /// How the streams are, by endpoint.
    pub(crate) fn streams(&self) -> Vec<(String, StreamState)> {
        self.clients.states()
    }

    /// How many requests wait for answers.
    pub(crate) fn waiting(&self) -> usize {
        let waiting = |client: Arc<StateClient>| {
            let waiting = client.waiting.0.lock();
            waiting.unwrap_or_else(PoisonError::into_inner).len()
        };
        self.clients.open().into_iter().map(waiting).sum()
    }

    /// Ends all streams.
    pub(crate) fn finish(&self) {
        for client in self.clients.open() {
            client.queue.finish();
        }
    }
}

impl Client for StateClient {
    fn is_ended(&self) -> bool {
        self.queue.is_ended()
    }

    fn state(&self) -> StreamState {
        self.queue.state_of_stream()
    }
}

impl StateClient {
    /// Whether the stream is gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.queue.is_ended()
    }

    /// One page of a state key. Blocks until it is there.
    ///
    /// # Errors
    /// The runner refused, or the stream broke.
    pub(crate) fn get(
        &self,
        instruction: &str,
        key: &StateKey,
        continuation: &Bytes,
    ) -> Result<Page> {
        let get = StateGetRequest {
            continuation_token: continuation.clone(),
        };
        let response = self.call(instruction, key, state_request::Request::Get(get))?;
        match response.response {
            Some(state_response::Response::Get(page)) => Ok(Page {
                data: page.data,
                continuation: page.continuation_token,
            }),
            _ => Err(Error::new(
                ErrorKind::State,
                format!("the runner's answer about {} is not a page", name(key)),
            )),
        }
    }

    /// Adds values to a state key. Does not wait for the runner.
    ///
    /// # Errors
    /// The stream broke.
    pub(crate) fn append(&self, instruction: &str, key: &StateKey, data: Bytes) -> Result<Pending> {
        let append = StateAppendRequest { data };
        self.send(instruction, key, state_request::Request::Append(append))
    }

    /// Clears a state key. Does not wait for the runner.
    ///
    /// # Errors
    /// The stream broke.
    pub(crate) fn clear(&self, instruction: &str, key: &StateKey) -> Result<Pending> {
        let clear = state_request::Request::Clear(StateClearRequest {});
        self.send(instruction, key, clear)
    }

    fn call(
        &self,
        instruction: &str,
        key: &StateKey,
        request: state_request::Request,
    ) -> Result<StateResponse> {
        self.send(instruction, key, request)?.wait()
    }

    fn send(
        &self,
        instruction: &str,
        key: &StateKey,
        request: state_request::Request,
    ) -> Result<Pending> {
        let id = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let answer = Arc::new(Answer::default());
        let waiting = &self.waiting.0;
        waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), answer.clone());
        let message = StateRequest {
            id: id.clone(),
            instruction_id: instruction.into(),
            state_key: Some(to_proto(key)),
            request: Some(request),
        };
        if let Err(error) = self.queue.push_blocking(Rope::of(&message)) {
            waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id);
            return Err(error.at("state", name(key)));
        }
        // A stream that broke just now may have failed those that waited before this request joined them.
        if self.queue.is_ended() {
            self.waiting.fail("the state stream ended");
        }
        Ok(Pending {
            answer,
            about: name(key),
        })
    }
}

/// A request whose answer is on its way.
pub(crate) struct Pending {
    answer: Arc<Answer>,
    about: String,
}

impl Pending {
    /// The answer. Blocks until it is there.
    ///
    /// # Errors
    /// The runner refused, or the stream broke.
    pub(crate) fn wait(self) -> Result<StateResponse> {
        let failed = |message: String| Error::new(ErrorKind::State, message);
        let response = self.answer.wait();
        let outcome = match response {
            Ok(response) if response.error.is_empty() => return Ok(response),
            Ok(response) => failed(format!(
                "the runner refused a state request: {}",
                response.error
            )),
            Err(why) => failed(format!("the runner's state is out of reach: {why}")),
        };
        Err(outcome.at("state", self.about))
    }
}

/// What a key is about, for errors: never the user's data.
fn name(key: &StateKey) -> String {
    match key {
        StateKey::Runner(_) => "values of a grouped key".into(),
        StateKey::IterableSide(side)
        | StateKey::MultimapSide(side, _)
        | StateKey::MultimapKeysSide(side) => {
            format!("side input {} of {}", side.side, side.transform)
        }
        StateKey::BagUser(cell)
        | StateKey::MultimapUser(cell, _)
        | StateKey::MultimapKeysUser(cell)
        | StateKey::OrderedListUser(cell, ..) => {
            format!("{} of {}", cell.state, cell.transform)
        }
    }
}

fn to_proto(key: &StateKey) -> beam_proto::fnexec::StateKey {
    let ids = |side: &SideKey| {
        (
            side.transform.to_string(),
            side.side.to_string(),
            side.window.clone(),
        )
    };
    let key = match key {
        StateKey::Runner(token) => state_key::Type::Runner(Runner { key: token.clone() }),
        StateKey::IterableSide(side) => {
            let (transform_id, side_input_id, window) = ids(side);
            state_key::Type::IterableSideInput(IterableSideInput {
                transform_id,
                side_input_id,
                window,
            })
        }
        StateKey::MultimapSide(side, key) => {
            let (transform_id, side_input_id, window) = ids(side);
            let key = key.clone();
            state_key::Type::MultimapSideInput(MultimapSideInput {
                transform_id,
                side_input_id,
                window,
                key,
            })
        }
        StateKey::MultimapKeysSide(side) => {
            let (transform_id, side_input_id, window) = ids(side);
            state_key::Type::MultimapKeysSideInput(MultimapKeysSideInput {
                transform_id,
                side_input_id,
                window,
            })
        }
        StateKey::BagUser(cell) => state_key::Type::BagUserState(BagUserState {
            transform_id: cell.transform.to_string(),
            user_state_id: cell.state.to_string(),
            window: cell.window.clone(),
            key: cell.key.clone(),
        }),
        StateKey::MultimapUser(cell, map_key) => {
            state_key::Type::MultimapUserState(MultimapUserState {
                transform_id: cell.transform.to_string(),
                user_state_id: cell.state.to_string(),
                window: cell.window.clone(),
                key: cell.key.clone(),
                map_key: map_key.clone(),
            })
        }
        StateKey::MultimapKeysUser(cell) => {
            state_key::Type::MultimapKeysUserState(MultimapKeysUserState {
                transform_id: cell.transform.to_string(),
                user_state_id: cell.state.to_string(),
                window: cell.window.clone(),
                key: cell.key.clone(),
            })
        }
        StateKey::OrderedListUser(cell, from, to) => {
            state_key::Type::OrderedListUserState(OrderedListUserState {
                transform_id: cell.transform.to_string(),
                user_state_id: cell.state.to_string(),
                window: cell.window.clone(),
                key: cell.key.clone(),
                range: Some(OrderedListRange {
                    start: *from,
                    end: *to,
                }),
            })
        }
    };
    beam_proto::fnexec::StateKey { r#type: Some(key) }
}
