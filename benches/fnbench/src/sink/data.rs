//! The data stream: all bundles share it, on one task.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use beam_proto::fnexec::beam_fn_data_client::BeamFnDataClient;
use beam_proto::fnexec::elements::Data;
use beam_proto::fnexec::{Elements, InstructionResponse};
use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::control::{Graph, processed};
use super::state::{Cells, State};
use super::values::{Counts, count_words, put_counts, recode};
use super::{Mode, Peer};

/// Output is sent once there is this much of it.
const FLUSH_BYTES: usize = 1 << 20;

/// Output messages that may wait to be sent.
const AHEAD: usize = 8;

/// A bundle whose request or input has come.
#[derive(Default)]
struct Bundle {
    requested: bool,
    /// Whether all input has come and all output is on its way.
    done: bool,
    out: BytesMut,
    counts: Counts,
    dirty: Cells,
}

impl Bundle {
    /// The output so far, if it is worth a message.
    fn full(&mut self) -> Bytes {
        if self.out.len() >= FLUSH_BYTES {
            self.out.split().freeze()
        } else {
            Bytes::new()
        }
    }
}

/// What all bundles share.
struct Work {
    mode: Mode,
    state: Option<State>,
    /// Counts that the runner has, too.
    cache: Cells,
}

/// Serves bundles until the runner ends a stream.
pub(super) async fn serve(
    peer: Peer,
    graph: Arc<Graph>,
    mode: Mode,
    mut requests: mpsc::Receiver<String>,
    answers: mpsc::Sender<InstructionResponse>,
) -> Result<()> {
    let channel = peer.connect(&graph.data_address).await?;
    let mut client = BeamFnDataClient::new(channel).max_decoding_message_size(usize::MAX);
    let (output, outbound) = mpsc::channel(AHEAD);
    let outbound = peer.request(ReceiverStream::new(outbound));
    let mut inbound = client.data(outbound).await?.into_inner();
    let mut work = Work::new(&peer, &graph, mode).await?;
    let mut bundles: HashMap<String, Bundle> = HashMap::new();
    loop {
        tokio::select! {
            request = requests.recv() => {
                let Some(id) = request else { return Ok(()) };
                let bundle = bundles.entry(id.clone()).or_default();
                bundle.requested = true;
                if bundle.done {
                    bundles.remove(&id);
                    answers.send(processed(id, None)).await?;
                }
            }
            message = inbound.message() => {
                let Some(message) = message? else { return Ok(()) };
                for data in message.data {
                    let id = data.instruction_id;
                    let bundle = bundles.entry(id.clone()).or_default();
                    let out = work.take(&id, data.data, bundle).await?;
                    if !out.is_empty() {
                        output.send(elements(&graph, &id, out, false)?).await?;
                    }
                    if data.is_last {
                        let rest = work.finish(&id, bundle).await?;
                        output.send(elements(&graph, &id, rest, true)?).await?;
                        bundle.done = true;
                    }
                    if bundle.done && bundle.requested {
                        bundles.remove(&id);
                        answers.send(processed(id, None)).await?;
                    }
                }
            }
        }
    }
}

impl Work {
    async fn new(peer: &Peer, graph: &Graph, mode: Mode) -> Result<Self> {
        let state = match (mode, &graph.state_address) {
            (Mode::State | Mode::Statenc | Mode::Iter, Some(address)) => {
                Some(State::connect(peer, address, graph.function.clone()).await?)
            }
            _ => None,
        };
        Ok(Work {
            mode,
            state,
            cache: Cells::new(),
        })
    }

    fn state(&mut self) -> Result<&mut State> {
        let state = self.state.as_mut();
        state.context("the descriptor names no state service")
    }

    /// Takes input of a bundle. Yields output that is worth a message.
    async fn take(&mut self, id: &str, data: Bytes, bundle: &mut Bundle) -> Result<Bytes> {
        const EARLY: &str = "the elements are not those of the scenario";
        match self.mode {
            Mode::Drain => {}
            Mode::Echo => return Ok(data),
            Mode::Recode => recode(&data, &mut bundle.out, |_| true).context(EARLY)?,
            Mode::Filter => {
                recode(&data, &mut bundle.out, |value| value.first() == Some(&0)).context(EARLY)?;
            }
            Mode::Wc => count_words(&data, &mut bundle.counts).context(EARLY)?,
            Mode::State | Mode::Statenc => {
                let cache = std::mem::take(&mut self.cache);
                let state = self.state()?;
                state
                    .count(id, &data, &cache, &mut bundle.dirty, &mut bundle.out)
                    .await?;
                self.cache = cache;
            }
            Mode::Iter => self.state()?.sum(id, &data, &mut bundle.out).await?,
        }
        Ok(bundle.full())
    }

    /// Ends a bundle. Yields what is left of its output.
    async fn finish(&mut self, id: &str, bundle: &mut Bundle) -> Result<Bytes> {
        put_counts(&mut bundle.counts, &mut bundle.out);
        let dirty = std::mem::take(&mut bundle.dirty);
        if !dirty.is_empty() {
            self.state()?.write(id, &dirty).await?;
            if self.mode == Mode::State {
                self.cache.extend(dirty);
            }
        }
        Ok(bundle.out.split().freeze())
    }
}

/// A message with output, and the ends of all sinks if it is the last.
fn elements(graph: &Graph, id: &str, data: Bytes, is_last: bool) -> Result<Elements> {
    let entry = |sink: &Arc<str>, data, is_last| Data {
        instruction_id: id.to_owned(),
        transform_id: sink.to_string(),
        data,
        is_last,
    };
    let mut elements = Elements::default();
    if !data.is_empty() {
        elements.data.push(entry(graph.sink()?, data, false));
    }
    if is_last {
        let ends = graph.sinks.iter();
        let ends = ends.map(|sink| entry(sink, Bytes::new(), true));
        elements.data.extend(ends);
    }
    Ok(elements)
}
