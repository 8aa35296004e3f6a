//! The data plane: input of all bundles in, output of all bundles out.

use std::sync::Arc;

use beam_proto::fnexec::Elements;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;

use super::clients::{Client, Clients};
use super::codec::RopeCodec;
use super::{Peer, Rope, SendQueue};
use crate::error::{Context, Error, Result};
use crate::harness::inbox::stretches;
use crate::harness::instructions::{Instructions, StreamId};
use crate::harness::jobs::{BundleRequest, Job, Jobs, NoThread};
use crate::harness::page::StreamState;
use crate::harness::rim::Rim;

/// Says which data stream a call opens, where it has a name.
const STREAM_NAME: &str = "data_stream_id";

const DATA: &str = "/org.apache.beam.model.fn_execution.v1.BeamFnData/Data";

/// The connections to all data services that descriptors have named.
pub(crate) struct DataClients {
    peer: Peer,
    instructions: Arc<Instructions>,
    jobs: Arc<Jobs>,
    outbound_budget: usize,
    clients: Clients<DataClient>,
}

/// One connection to one data service.
pub(crate) struct DataClient {
    queue: Arc<SendQueue>,
}

impl DataClients {
    pub(crate) fn new(
        peer: Peer,
        instructions: Arc<Instructions>,
        jobs: Arc<Jobs>,
        outbound_budget: usize,
    ) -> Self {
        DataClients {
            peer,
            instructions,
            jobs,
            outbound_budget,
            clients: Clients::new(),
        }
    }

    /// The stream of this name to a service; opened on first use, and again after it broke. Blocks while it opens.
    ///
    /// # Errors
    /// Nobody answers there, or the name cannot be sent.
    pub(crate) fn get(&self, endpoint: &str, stream: &str, rim: &Rim) -> Result<Arc<DataClient>> {
        let open = || self.open(endpoint, stream, rim);
        self.clients.get(endpoint, stream, open)
    }

    fn open(&self, endpoint: &str, stream: &str, rim: &Rim) -> Result<Arc<DataClient>> {
        // Each has a connection of its own, too, so that none waits behind another's data.
        let channel = rim
            .wait(self.peer.connect("data", endpoint))
            .at("endpoint", endpoint)?;
        let queue = SendQueue::new(self.outbound_budget);
        let mut request = self.peer.request(queue.stream());
        if !stream.is_empty() {
            let name = MetadataValue::try_from(stream).map_err(|e| {
                Error::transport(format!(
                    "the data stream name {stream:?} cannot be sent as a header"
                ))
                .because(e)
            })?;
            request.metadata_mut().insert(STREAM_NAME, name);
        }
        let (instructions, broken) = (self.instructions.clone(), queue.clone());
        let jobs = self.jobs.clone();
        let id = StreamId {
            endpoint: endpoint.into(),
            name: stream.into(),
        };
        rim.handle().spawn(async move {
            let mut grpc = Grpc::new(channel).max_decoding_message_size(usize::MAX);
            let outcome = async {
                grpc.ready()
                    .await
                    .map_err(|e| tonic::Status::unavailable(e.to_string()))?;
                let path = PathAndQuery::from_static(DATA);
                let codec = RopeCodec::<Elements>::new();
                let mut inbound = grpc.streaming(request, path, codec).await?.into_inner();
                while let Some(elements) = inbound.message().await? {
                    deliver(elements, &id, &instructions, &jobs).await;
                }
                Ok::<(), tonic::Status>(())
            };
            let why = match outcome.await {
                Ok(()) => {
                    tracing::info!("{id} was closed by the runner");
                    "the runner closed it".to_owned()
                }
                Err(status) => {
                    tracing::warn!("{id} broke: {status}");
                    status.to_string()
                }
            };
            broken.break_off(&why);
            for bundle in instructions.cut_off(&id, || lost(&why)) {
                submit(bundle, &jobs);
            }
        });
        Ok(Arc::new(DataClient { queue }))
    }

    /// How the streams are, by endpoint.
    pub(crate) fn streams(&self) -> Vec<(String, StreamState)> {
        self.clients.states()
    }

    /// Whether a stream that has been ended has yet to send something.
    pub(crate) fn is_sending(&self) -> bool {
        self.clients
            .open()
            .iter()
            .any(|client| client.queue.is_read())
    }

    /// Ends all streams after what they still hold.
    pub(crate) fn finish(&self) {
        for client in self.clients.open() {
            client.queue.finish();
        }
    }
}

/// What a bundle is told that wants more input from a stream that is gone.
#[cold]
fn lost(why: &str) -> Error {
    Error::transport(format!("the data stream broke: {why}"))
}

async fn deliver(
    elements: Elements,
    stream: &StreamId,
    instructions: &Instructions,
    jobs: &Arc<Jobs>,
) {
    for (instruction, stretch) in stretches(elements) {
        let arrival = instructions.arrival(&instruction, stream);
        if let Some((inbox, deferred)) = arrival {
            inbox.push(stretch).await;
            if let Some(bundle) = deferred {
                submit(bundle, jobs);
            }
        }
    }
}

/// A bundle that cannot have a thread fails when it asks for its input.
fn submit(bundle: BundleRequest, jobs: &Arc<Jobs>) {
    let instruction = bundle.instruction.clone();
    if let Err(NoThread { error, .. }) = jobs.submit(Job::Bundle(bundle)) {
        tracing::error!(
            instruction = &*instruction,
            "no thread can be started: {error}"
        );
    }
}

impl Client for DataClient {
    fn is_ended(&self) -> bool {
        self.queue.is_ended()
    }

    fn state(&self) -> StreamState {
        self.queue.state_of_stream()
    }
}

impl DataClient {
    /// The error of whoever waits for input from here; `None` as long as the stream stands.
    pub(crate) fn lost(&self) -> Option<Error> {
        self.queue.why_ended().map(|why| lost(&why))
    }

    /// Whether the outbound budget is not used up.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Sends a message whatever the outbound budget holds.
    ///
    /// # Errors
    /// The stream broke.
    pub(crate) fn send_now(&self, rope: Rope) -> Result<()> {
        self.queue.push(rope).at("service", "data")
    }

    /// Sends a message; blocks while the outbound budget is used up.
    ///
    /// # Errors
    /// The stream broke.
    pub(crate) fn send(&self, rope: Rope) -> Result<()> {
        self.queue
            .push_blocking(rope)
            .map_err(|e: Error| e.at("service", "data"))
    }
}
