//! What happens to elements that need state.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, bail};
use beam_proto::fnexec::beam_fn_state_client::BeamFnStateClient;
use beam_proto::fnexec::state_key::{BagUserState, Runner, Type};
use beam_proto::fnexec::state_request::Request;
use beam_proto::fnexec::state_response::Response;
use beam_proto::fnexec::{
    StateAppendRequest, StateClearRequest, StateGetRequest, StateKey, StateRequest, StateResponse,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::Peer;
use super::wire::{Reader, put_bytes, put_varint};
use crate::lock;

/// Requests that may wait to be sent.
const AHEAD: usize = 1024;

/// Counts by key.
pub(super) type Cells = HashMap<Vec<u8>, u64>;

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<StateResponse>>>>;

/// A connection to the state service.
pub(super) struct State {
    requests: mpsc::Sender<StateRequest>,
    waiting: Waiting,
    sent: u64,
    function: Arc<str>,
}

impl State {
    pub(super) async fn connect(peer: &Peer, address: &str, function: Arc<str>) -> Result<Self> {
        let channel = peer.connect(address).await?;
        let mut client = BeamFnStateClient::new(channel).max_decoding_message_size(usize::MAX);
        let (requests, outbound) = mpsc::channel(AHEAD);
        let outbound = peer.request(ReceiverStream::new(outbound));
        let mut answers = client.state(outbound).await?.into_inner();
        let waiting = Waiting::default();
        let asked = waiting.clone();
        tokio::spawn(async move {
            while let Ok(Some(answer)) = answers.message().await {
                if let Some(asker) = lock(&asked).remove(&answer.id) {
                    let _gone = asker.send(answer);
                }
            }
            // Whoever still waits hears that the stream is gone.
            lock(&asked).clear();
        });
        Ok(State {
            requests,
            waiting,
            sent: 0,
            function,
        })
    }

    async fn ask(
        &mut self,
        bundle: &str,
        key: Type,
        request: Request,
    ) -> Result<oneshot::Receiver<StateResponse>> {
        self.sent += 1;
        let id = self.sent.to_string();
        let (asker, answer) = oneshot::channel();
        lock(&self.waiting).insert(id.clone(), asker);
        let request = StateRequest {
            id,
            instruction_id: bundle.to_owned(),
            state_key: Some(StateKey { r#type: Some(key) }),
            request: Some(request),
        };
        self.requests.send(request).await?;
        Ok(answer)
    }

    /// A page, and what to continue with.
    async fn get(&mut self, bundle: &str, key: Type, token: Bytes) -> Result<(Bytes, Bytes)> {
        let request = StateGetRequest {
            continuation_token: token,
        };
        let answer = self.ask(bundle, key, Request::Get(request)).await?;
        let answer = answer.await.context("the state stream is gone")?;
        match answer.response {
            Some(Response::Get(get)) => Ok((get.data, get.continuation_token)),
            _ => bail!("the runner refused state: {}", answer.error),
        }
    }

    /// Keys are sent in the nested encoding.
    fn cell(&self, key: &[u8]) -> Type {
        let mut encoded = BytesMut::new();
        put_bytes(&mut encoded, key);
        Type::BagUserState(BagUserState {
            transform_id: self.function.to_string(),
            user_state_id: "count".to_owned(),
            window: Bytes::new(),
            key: encoded.freeze(),
        })
    }

    /// Counts pairs by key, across bundles, and appends each new count. What changed goes into `dirty`.
    pub(super) async fn count(
        &mut self,
        bundle: &str,
        data: &[u8],
        cache: &Cells,
        dirty: &mut Cells,
        out: &mut BytesMut,
    ) -> Result<()> {
        const EARLY: &str = "a pair ends early";
        let mut reader = Reader(data);
        while !reader.is_empty() {
            let header = reader.header().context(EARLY)?;
            let key = reader.bytes().context(EARLY)?;
            let _value = reader.bytes().context(EARLY)?;
            let count = match dirty.get_mut(key) {
                Some(count) => {
                    *count += 1;
                    *count
                }
                None => {
                    let before = match cache.get(key) {
                        Some(count) => *count,
                        None => {
                            let (page, _) = self.get(bundle, self.cell(key), Bytes::new()).await?;
                            Reader(&page).varint().unwrap_or(0)
                        }
                    };
                    dirty.insert(key.to_vec(), before + 1);
                    before + 1
                }
            };
            out.put_slice(header);
            put_bytes(out, key);
            put_varint(out, count);
        }
        Ok(())
    }

    /// Writes what changed, and waits until the runner has it.
    pub(super) async fn write(&mut self, bundle: &str, dirty: &Cells) -> Result<()> {
        let mut answers = Vec::with_capacity(2 * dirty.len());
        for (key, count) in dirty {
            let clear = Request::Clear(StateClearRequest {});
            answers.push(self.ask(bundle, self.cell(key), clear).await?);
            let mut value = BytesMut::new();
            put_varint(&mut value, *count);
            let append = Request::Append(StateAppendRequest {
                data: value.freeze(),
            });
            answers.push(self.ask(bundle, self.cell(key), append).await?);
        }
        for answer in answers {
            answer.await.context("the state stream is gone")?;
        }
        Ok(())
    }

    /// Sums the lengths of each key's values, and appends each sum.
    pub(super) async fn sum(
        &mut self,
        bundle: &str,
        data: &[u8],
        out: &mut BytesMut,
    ) -> Result<()> {
        const EARLY: &str = "an iterable ends early";
        let mut reader = Reader(data);
        while !reader.is_empty() {
            let header = reader.header().context(EARLY)?;
            let key = reader.bytes().context(EARLY)?;
            let mut sum = 0;
            let tail = inline(&mut reader, &mut sum).context(EARLY)?;
            if let Some(tail) = tail {
                sum += self.sum_tail(bundle, tail).await?;
            }
            out.put_slice(header);
            put_bytes(out, key);
            put_varint(out, sum);
        }
        Ok(())
    }

    async fn sum_tail(&mut self, bundle: &str, tail: &[u8]) -> Result<u64> {
        let tail = Bytes::copy_from_slice(tail);
        let (mut sum, mut token) = (0, Bytes::new());
        loop {
            let key = Type::Runner(Runner { key: tail.clone() });
            let (page, next) = self.get(bundle, key, token).await?;
            let mut reader = Reader(&page);
            while !reader.is_empty() {
                sum += reader.bytes().context("a page ends early")?.len() as u64;
            }
            if next.is_empty() {
                return Ok(sum);
            }
            token = next;
        }
    }
}

/// Adds up the lengths of the values that stand in the element itself. Yields the token of the rest, if there is one.
fn inline<'a>(reader: &mut Reader<'a>, sum: &mut u64) -> Option<Option<&'a [u8]>> {
    let mut add = |reader: &mut Reader<'a>, count: u64| {
        for _ in 0..count {
            *sum += reader.bytes()?.len() as u64;
        }
        Some(())
    };
    if let Ok(count) = u64::try_from(reader.int32()?) {
        add(reader, count)?;
        return Some(None);
    }
    // The count was not known: pieces with counts of their own, up to an empty one, or to a token for the rest.
    loop {
        match reader.varint()? as i64 {
            0 => return Some(None),
            count @ 1.. => add(reader, count as u64)?,
            ..0 => return Some(Some(reader.bytes()?)),
        }
    }
}
