//! The data plane: input of all bundles in, output of all bundles out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use beam_proto::fnexec::Elements;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;

use super::codec::RopeCodec;
use super::{Peer, Rope, SendQueue, connect};
use crate::error::{Context, Error, Result};
use crate::harness::inbox::Stretch;
use crate::harness::instructions::Instructions;
use crate::harness::jobs::{BundleRequest, Jobs};
use crate::harness::rim::Rim;

const DATA: &str = "/org.apache.beam.model.fn_execution.v1.BeamFnData/Data";

/// The connections to all data services that descriptors have named.
pub(crate) struct DataClients {
    peer: Peer,
    instructions: Arc<Instructions>,
    jobs: Arc<Jobs>,
    outbound_budget: usize,
    /// Opened one at a time: two streams to one service would confuse the runner.
    clients: Mutex<HashMap<String, Arc<DataClient>>>,
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
            clients: Mutex::default(),
        }
    }

    /// The connection to a service; opened on first use, and again after it broke. Blocks while it opens.
    ///
    /// # Errors
    /// Nobody answers there.
    pub(crate) fn get(&self, endpoint: &str, rim: &Rim) -> Result<Arc<DataClient>> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(endpoint)
            && !client.queue.is_ended()
        {
            return Ok(client.clone());
        }
        let channel = rim
            .wait(connect("data", endpoint))
            .at("endpoint", endpoint)?;
        let queue = SendQueue::new(self.outbound_budget);
        let request = self.peer.request(queue.stream());
        let (instructions, broken) = (self.instructions.clone(), queue.clone());
        let jobs = self.jobs.clone();
        let name = endpoint.to_owned();
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
                    deliver(elements, &instructions, &jobs).await;
                }
                Ok::<(), tonic::Status>(())
            };
            let why = match outcome.await {
                Ok(()) => "the runner closed the data stream".to_owned(),
                Err(status) => format!("the data stream broke: {status}"),
            };
            broken.break_off(&why);
            for bundle in instructions.cut_off(&name, &why) {
                submit(bundle, &jobs);
            }
        });
        let client = Arc::new(DataClient { queue });
        clients.insert(endpoint.to_owned(), client.clone());
        Ok(client)
    }

    /// Ends all streams after what they still hold.
    pub(crate) fn finish(&self) {
        for client in self
            .clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
        {
            client.queue.finish();
        }
    }
}

async fn deliver(elements: Elements, instructions: &Instructions, jobs: &Arc<Jobs>) {
    for data in elements.data {
        if let Some((inbox, deferred)) = instructions.arrival(&data.instruction_id) {
            let stretch = Stretch {
                transform: data.transform_id,
                data: data.data,
                last: data.is_last,
            };
            inbox.push(stretch).await;
            if let Some(bundle) = deferred {
                submit(bundle, jobs);
            }
        }
    }
    if let Some(timers) = elements.timers.first() {
        // No function of this worker has timers: plans that declare them are refused.
        tracing::debug!(instruction = timers.instruction_id, "timers are ignored");
    }
}

/// A bundle that cannot have a thread fails when it asks for its input.
fn submit(bundle: BundleRequest, jobs: &Arc<Jobs>) {
    if let Err((bundle, error)) = jobs.submit(bundle) {
        tracing::error!(
            instruction = &*bundle.instruction,
            "no thread can be started: {error}"
        );
    }
}

impl DataClient {
    /// Whether messages can still be sent.
    pub(crate) fn is_open(&self) -> bool {
        !self.queue.is_ended()
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
