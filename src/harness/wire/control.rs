//! The control stream: the runner's requests in, our answers out, in any order.

use std::sync::Arc;

use beam_proto::fnexec::beam_fn_control_client::BeamFnControlClient;
use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::instruction_response::Response;
use beam_proto::fnexec::{
    GetProcessBundleDescriptorRequest, InstructionRequest, MonitoringInfosMetadataResponse,
    ProcessBundleDescriptor, RegisterResponse,
};
use tonic::Streaming;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;

use super::codec::RopeCodec;
use super::{Peer, Rope, SendQueue};
use crate::error::{Error, Result};
use crate::harness::bundles::Bundles;
use crate::harness::instructions::Known;
use crate::harness::process_metrics::harness_infos;
use crate::harness::questions::Question;
use crate::harness::{response, samples};

const CONTROL: &str = "/org.apache.beam.model.fn_execution.v1.BeamFnControl/Control";

/// A connection to the control service.
pub(crate) struct Control {
    peer: Peer,
    channel: Channel,
    answers: Arc<SendQueue>,
}

impl Control {
    /// Connects.
    ///
    /// # Errors
    /// Nobody answers there.
    pub(crate) async fn connect(peer: Peer, endpoint: &str) -> Result<Self> {
        let channel = peer.connect("control", endpoint).await?;
        // Each answer belongs to a request: their number is the runner's, so the queue needs no limit of its own.
        let answers = SendQueue::new(usize::MAX);
        Ok(Control {
            peer,
            channel,
            answers,
        })
    }

    /// Where answers go.
    pub(crate) fn answers(&self) -> Arc<SendQueue> {
        self.answers.clone()
    }

    /// Fetches bundle descriptors.
    pub(crate) fn descriptors(&self) -> Descriptors {
        let client =
            BeamFnControlClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        Descriptors {
            peer: self.peer.clone(),
            client,
        }
    }

    /// Opens the stream. Who drops it takes back the answers that are on their way, too.
    ///
    /// # Errors
    /// The stream broke.
    pub(crate) async fn open(&self) -> Result<Requests> {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        grpc.ready()
            .await
            .map_err(|e| broke(tonic::Status::unavailable(e.to_string())))?;
        let request = self.peer.request(self.answers.stream());
        let codec = RopeCodec::<InstructionRequest>::new();
        let inbound = grpc
            .streaming(request, PathAndQuery::from_static(CONTROL), codec)
            .await;
        Ok(Requests(inbound.map_err(broke)?.into_inner()))
    }

    /// Serves requests until the runner ends the stream.
    ///
    /// # Errors
    /// The stream broke.
    pub(crate) async fn serve(&self, requests: &mut Requests, bundles: &Bundles) -> Result<()> {
        while let Some(request) = requests.0.message().await.map_err(broke)? {
            if let Some(answer) = dispatch(request, bundles) {
                self.answers.push(answer)?;
            }
        }
        Ok(())
    }
}

/// What the runner asks.
pub(crate) struct Requests(Streaming<InstructionRequest>);

#[cold]
fn broke(status: tonic::Status) -> Error {
    Error::transport("the control stream broke").because(status)
}

/// Answers a request, or hands it to a bundle thread. Must not wait for anything.
fn dispatch(request: InstructionRequest, bundles: &Bundles) -> Option<Rope> {
    let id = request.instruction_id;
    let about = |instruction: &str| match bundles.instructions().get(instruction) {
        Known::Running(running) => Ok(Some(running)),
        Known::Nothing => Ok(None),
        Known::Failed => Err(format!("bundle {instruction:?} has failed")),
    };
    Some(match request.request {
        Some(Request::ProcessBundle(request)) => {
            bundles.take(&id, request);
            return None;
        }
        Some(Request::ProcessBundleProgress(progress)) => match about(&progress.instruction_id) {
            Ok(running) => return bundles.ask(id, running, Question::Progress),
            Err(error) => response::failed(&id, error),
        },
        Some(Request::ProcessBundleSplit(split)) => match about(&split.instruction_id) {
            Ok(running) => return bundles.ask(id, running, Question::Split(split)),
            Err(error) => response::failed(&id, error),
        },
        Some(Request::MonitoringInfos(wanted)) => {
            let known = wanted.monitoring_info_id.into_iter();
            let known = known.filter_map(|id| bundles.short_ids().info(&id).map(|info| (id, info)));
            let infos = MonitoringInfosMetadataResponse {
                monitoring_info: known.collect(),
            };
            response::answer(&id, Response::MonitoringInfos(infos))
        }
        Some(Request::HarnessMonitoringInfos(_)) => response::answer(
            &id,
            Response::HarnessMonitoringInfos(harness_infos(bundles.short_ids())),
        ),
        Some(Request::FinalizeBundle(finalize)) => {
            return bundles.finalize(&id, finalize.instruction_id);
        }
        Some(Request::SampleData(wanted)) => {
            let samples = samples::answer(bundles.samples.as_deref(), &wanted);
            response::answer(&id, Response::SampleData(samples))
        }
        Some(Request::Register(register)) => {
            bundles.register(register.process_bundle_descriptor);
            response::answer(&id, Response::Register(RegisterResponse::default()))
        }
        None => response::failed(
            &id,
            "this worker does not know the request; it speaks Beam 2.77".into(),
        ),
    })
}

/// Fetches bundle descriptors.
#[derive(Clone)]
pub(crate) struct Descriptors {
    peer: Peer,
    client: BeamFnControlClient<Channel>,
}

impl Descriptors {
    /// The descriptor `id`.
    ///
    /// # Errors
    /// The runner does not have it.
    pub(crate) async fn fetch(&self, id: &str) -> Result<ProcessBundleDescriptor> {
        let request = GetProcessBundleDescriptorRequest {
            process_bundle_descriptor_id: id.into(),
        };
        let answer = self
            .client
            .clone()
            .get_process_bundle_descriptor(self.peer.request(request))
            .await;
        answer.map(tonic::Response::into_inner).map_err(|status| {
            Error::transport("the bundle descriptor cannot be fetched")
                .at("descriptor", id)
                .because(status)
        })
    }
}
