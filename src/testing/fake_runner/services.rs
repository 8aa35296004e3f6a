//! The runner's services. Each notes in the ledger what it hears.

use std::sync::Arc;

use beam_proto::fnexec::beam_fn_control_server::BeamFnControl;
use beam_proto::fnexec::beam_fn_data_server::BeamFnData;
use beam_proto::fnexec::beam_fn_logging_server::BeamFnLogging;
use beam_proto::fnexec::beam_fn_state_server::BeamFnState;
use beam_proto::fnexec::provision_service_server::ProvisionService;
use beam_proto::fnexec::{
    Elements, GetProcessBundleDescriptorRequest, GetProvisionInfoRequest, GetProvisionInfoResponse,
    InstructionRequest, InstructionResponse, LogControl, ProcessBundleDescriptor, ProvisionInfo,
    StateRequest, StateResponse, log_entry,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::hub::Hub;
use super::ledger::Ledger;

/// Counts a stream of a service as long as it stands.
pub(super) struct Standing {
    hub: Arc<Hub>,
    service: String,
    /// How often connections had been cut when it was opened.
    cuts: usize,
}

impl Standing {
    pub(super) fn new(hub: &Arc<Hub>, service: &str) -> Self {
        let cuts = hub.with(|ledger| {
            ledger.opened(service);
            ledger.cuts
        });
        Standing {
            hub: hub.clone(),
            service: service.into(),
            cuts,
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.hub
            .with(|ledger| ledger.ended(&self.service, self.cuts));
    }
}

/// The control service.
pub(super) struct ControlService(pub(super) Arc<Hub>);

#[tonic::async_trait]
impl BeamFnControl for ControlService {
    type ControlStream = ReceiverStream<Result<InstructionRequest, Status>>;

    async fn control(
        &self,
        request: Request<Streaming<InstructionResponse>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        self.0.check_caller("control", request.metadata());
        let standing = Standing::new(&self.0, "control");
        let (_, receiver) = self.0.control.open();
        self.0.with(|_| ());
        let mut inbound = request.into_inner();
        let hub = self.0.clone();
        tokio::spawn(async move {
            while let Ok(Some(response)) = inbound.message().await {
                hub.with(|ledger| ledger.answers(response));
            }
            drop(standing);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn get_process_bundle_descriptor(
        &self,
        request: Request<GetProcessBundleDescriptorRequest>,
    ) -> Result<Response<ProcessBundleDescriptor>, Status> {
        self.0.check_caller("descriptors", request.metadata());
        let id = request.into_inner().process_bundle_descriptor_id;
        match self.0.with(|ledger| ledger.fetch(&id)) {
            Some(descriptor) => Ok(Response::new(descriptor)),
            None => Err(Status::not_found(format!("there is no descriptor {id:?}"))),
        }
    }
}

/// One data service.
pub(super) struct DataService(pub(super) Arc<Hub>, pub(super) usize);

#[tonic::async_trait]
impl BeamFnData for DataService {
    type DataStream = ReceiverStream<Result<Elements, Status>>;

    async fn data(
        &self,
        request: Request<Streaming<Elements>>,
    ) -> Result<Response<Self::DataStream>, Status> {
        let DataService(hub, number) = self;
        let (hub, number) = (hub.clone(), *number);
        hub.check_caller("data", request.metadata());
        let name = request.metadata().get("data_stream_id");
        let name = name.and_then(|name| name.to_str().ok());
        let name = name.unwrap_or_default().to_owned();
        let standing = Standing::new(&hub, &format!("data {number} {name}"));
        let line = hub.data.line(number, &name);
        let (stream, receiver) = line.open();
        hub.with(|_| ());
        let mut inbound = request.into_inner();
        let mut reading = hub.reading.subscribe();
        tokio::spawn(async move {
            // A reader that stalls leaves messages in the connection.
            while reading.wait_for(|reading| *reading).await.is_ok()
                && let Ok(Some(elements)) = inbound.message().await
            {
                hub.with(|ledger| ledger.takes(elements, &name));
            }
            line.close_number(stream);
            drop(standing);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// The state service.
pub(super) struct StateService(pub(super) Arc<Hub>);

#[tonic::async_trait]
impl BeamFnState for StateService {
    type StateStream = ReceiverStream<Result<StateResponse, Status>>;

    async fn state(
        &self,
        request: Request<Streaming<StateRequest>>,
    ) -> Result<Response<Self::StateStream>, Status> {
        self.0.check_caller("state", request.metadata());
        let standing = Standing::new(&self.0, "state");
        let (stream, receiver) = self.0.state.open();
        self.0.with(Ledger::state_opened);
        let mut inbound = request.into_inner();
        let hub = self.0.clone();
        let mut holds = hub.holding_state.subscribe();
        tokio::spawn(async move {
            while let Ok(Some(request)) = inbound.message().await {
                let answer = hub.with(|ledger| ledger.reads(request));
                if let (Some(answer), Some(sender)) = (answer, hub.state.sender()) {
                    let _ = sender.send(Ok(answer)).await;
                }
            }
            // A runner that holds answers back does not notice that nobody waits for them any more.
            let _ = holds.wait_for(|holds| !*holds).await;
            hub.state.close_number(stream);
            drop(standing);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// The logging service.
pub(super) struct LoggingService(pub(super) Arc<Hub>);

#[tonic::async_trait]
impl BeamFnLogging for LoggingService {
    type LoggingStream = ReceiverStream<Result<LogControl, Status>>;

    async fn logging(
        &self,
        request: Request<Streaming<log_entry::List>>,
    ) -> Result<Response<Self::LoggingStream>, Status> {
        self.0.check_caller("logging", request.metadata());
        let hub = self.0.clone();
        let (sender, receiver) = mpsc::channel(1);
        let mut inbound = request.into_inner();
        let (mut reading, mut cuts) = (hub.reading_logs.subscribe(), hub.log_cuts.subscribe());
        tokio::spawn(async move {
            let read = async {
                while reading.wait_for(|reading| *reading).await.is_ok()
                    && let Ok(Some(list)) = inbound.message().await
                {
                    hub.with(|ledger| ledger.logs(list.log_entries));
                }
            };
            tokio::select! {
                () = read => {}
                _ = cuts.changed() => {}
            }
            drop(sender);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// The provision service.
pub(super) struct Provisioning {
    pub(super) hub: Arc<Hub>,
    pub(super) info: ProvisionInfo,
}

#[tonic::async_trait]
impl ProvisionService for Provisioning {
    async fn get_provision_info(
        &self,
        request: Request<GetProvisionInfoRequest>,
    ) -> Result<Response<GetProvisionInfoResponse>, Status> {
        self.hub.check_caller("provision", request.metadata());
        Ok(Response::new(GetProvisionInfoResponse {
            info: Some(self.info.clone()),
        }))
    }
}
