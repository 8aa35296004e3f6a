//! The control stream.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use beam_proto::fnexec::beam_fn_control_client::BeamFnControlClient;
use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::instruction_response::Response;
use beam_proto::fnexec::{
    Elements, GetProcessBundleDescriptorRequest, InstructionResponse, ProcessBundleDescriptor,
    ProcessBundleResponse, RemoteGrpcPort,
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::{Mode, Peer, data};
use crate::descriptor::{SINK, SOURCE, is};

/// Messages that wait between two tasks. The runner has far fewer bundles in flight.
const AHEAD: usize = 1024;

/// What this worker must know of a descriptor.
pub(super) struct Graph {
    pub(super) sinks: Vec<Arc<str>>,
    pub(super) data_address: String,
    pub(super) state_address: Option<String>,
    /// The transform that state belongs to: the only one that is neither source nor sink.
    pub(super) function: Arc<str>,
}

impl Graph {
    fn new(descriptor: &ProcessBundleDescriptor) -> Result<Self> {
        let mut sinks = Vec::new();
        let mut data_address = None;
        let mut function = Arc::from("");
        for (id, transform) in &descriptor.transforms {
            if !is(transform, SOURCE) && !is(transform, SINK) {
                function = Arc::from(id.as_str());
                continue;
            }
            let payload = transform.spec.as_ref().map(|spec| &spec.payload[..]);
            let port = RemoteGrpcPort::decode(payload.unwrap_or_default())
                .with_context(|| format!("the payload of {id} is not a port"))?;
            data_address = port.api_service_descriptor.map(|service| service.url);
            if is(transform, SINK) {
                sinks.push(Arc::from(id.as_str()));
            }
        }
        let state = descriptor.state_api_service_descriptor.as_ref();
        Ok(Graph {
            sinks,
            data_address: data_address.context("the descriptor names no data service")?,
            state_address: state.map(|service| service.url.clone()),
            function,
        })
    }

    /// The sink that gets all output.
    pub(super) fn sink(&self) -> Result<&Arc<str>> {
        self.sinks.first().context("the descriptor has no sink")
    }
}

/// The bundles' side of a worker, once a descriptor is known.
struct Plan {
    graph: Arc<Graph>,
    bundles: mpsc::Sender<String>,
    data: JoinHandle<Result<()>>,
}

/// Serves instructions until the runner ends the stream.
pub(super) async fn serve(peer: Peer, address: &str, mode: Mode) -> Result<()> {
    let channel = peer.connect(address).await?;
    let mut client = BeamFnControlClient::new(channel).max_decoding_message_size(usize::MAX);
    let (answers, outbound) = mpsc::channel(AHEAD);
    let outbound = peer.request(ReceiverStream::new(outbound));
    let mut inbound = client.control(outbound).await?.into_inner();
    let mut plan: Option<Plan> = None;
    loop {
        let instruction = match &mut plan {
            None => inbound.message().await?,
            Some(plan) => tokio::select! {
                instruction = inbound.message() => instruction?,
                ended = &mut plan.data => return ended.context("a task failed")?,
            },
        };
        let Some(instruction) = instruction else {
            return Ok(());
        };
        let id = instruction.instruction_id;
        let Some(Request::ProcessBundle(request)) = instruction.request else {
            let answer = InstructionResponse {
                instruction_id: id,
                error: "this worker only processes bundles".to_owned(),
                ..InstructionResponse::default()
            };
            answers.send(answer).await?;
            continue;
        };
        let descriptor = &request.process_bundle_descriptor_id;
        let plan = match &mut plan {
            Some(plan) => plan,
            none => none.insert(Plan::new(&peer, &mut client, descriptor, mode, &answers).await?),
        };
        match request.elements {
            Some(elements) => {
                let elements = echo(elements, plan.graph.sink()?);
                answers.send(processed(id, Some(elements))).await?;
            }
            None => plan.bundles.send(id).await?,
        }
    }
}

impl Plan {
    async fn new(
        peer: &Peer,
        client: &mut BeamFnControlClient<Channel>,
        descriptor: &str,
        mode: Mode,
        answers: &mpsc::Sender<InstructionResponse>,
    ) -> Result<Self> {
        let request = GetProcessBundleDescriptorRequest {
            process_bundle_descriptor_id: descriptor.to_owned(),
        };
        let descriptor = client
            .get_process_bundle_descriptor(peer.request(request))
            .await
            .map_err(|status| anyhow!(status).context("cannot get the descriptor"))?
            .into_inner();
        let graph = Arc::new(Graph::new(&descriptor)?);
        let (bundles, receiver) = mpsc::channel(AHEAD);
        let work = data::serve(peer.clone(), graph.clone(), mode, receiver, answers.clone());
        Ok(Plan {
            graph,
            bundles,
            data: tokio::spawn(work),
        })
    }
}

/// The answer to a bundle.
pub(super) fn processed(id: String, elements: Option<Elements>) -> InstructionResponse {
    InstructionResponse {
        instruction_id: id,
        response: Some(Response::ProcessBundle(ProcessBundleResponse {
            elements,
            ..ProcessBundleResponse::default()
        })),
        ..InstructionResponse::default()
    }
}

/// Input as output.
fn echo(mut elements: Elements, sink: &str) -> Elements {
    for data in &mut elements.data {
        sink.clone_into(&mut data.transform_id);
    }
    elements
}
