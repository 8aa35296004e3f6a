//! The services, each of which hands what it gets to the session.

use std::pin::Pin;
use std::sync::Arc;

use beam_proto::fnexec::beam_fn_control_server::BeamFnControl;
use beam_proto::fnexec::beam_fn_data_server::BeamFnData;
use beam_proto::fnexec::beam_fn_logging_server::BeamFnLogging;
use beam_proto::fnexec::beam_fn_state_server::BeamFnState;
use beam_proto::fnexec::provision_service_server::ProvisionService;
use beam_proto::fnexec::{
    Elements, GetProcessBundleDescriptorRequest, GetProvisionInfoRequest, GetProvisionInfoResponse,
    InstructionRequest, InstructionResponse, LogControl, ProcessBundleDescriptor, StateRequest,
    StateResponse, log_entry,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::session::Session;

type Outbound<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// All services of a session.
pub(super) struct Services(Arc<Session>);

impl Services {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Services(session)
    }
}

#[tonic::async_trait]
impl BeamFnControl for Services {
    type ControlStream = Outbound<InstructionRequest>;

    async fn control(
        &self,
        request: Request<Streaming<InstructionResponse>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        let receiver = self.0.instructions.receiver();
        let receiver =
            receiver.ok_or_else(|| Status::already_exists("there is a control stream already"))?;
        let session = self.0.clone();
        let mut responses = request.into_inner();
        tokio::spawn(async move {
            let why = loop {
                match responses.message().await {
                    Ok(Some(response)) => session.response(response),
                    Ok(None) => break "the worker closed the control stream".to_owned(),
                    Err(status) => break format!("the control stream broke: {status}"),
                }
            };
            session.fail_all(&why);
        });
        self.0.connected();
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_process_bundle_descriptor(
        &self,
        request: Request<GetProcessBundleDescriptorRequest>,
    ) -> Result<Response<ProcessBundleDescriptor>, Status> {
        self.0.descriptor_requested();
        let id = request.into_inner().process_bundle_descriptor_id;
        if id == self.0.descriptor.id {
            Ok(Response::new(self.0.descriptor.clone()))
        } else {
            Err(Status::not_found(format!("there is no descriptor {id:?}")))
        }
    }
}

#[tonic::async_trait]
impl BeamFnData for Services {
    type DataStream = Outbound<Elements>;

    async fn data(
        &self,
        request: Request<Streaming<Elements>>,
    ) -> Result<Response<Self::DataStream>, Status> {
        let session = self.0.clone();
        let mut output = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(elements)) = output.message().await {
                session.elements(elements);
            }
        });
        Ok(Response::new(match self.0.input.receiver() {
            Some(receiver) => Box::pin(ReceiverStream::new(receiver)),
            None => {
                eprintln!("fnbench: a second data stream may send, but gets no input");
                Box::pin(tokio_stream::pending())
            }
        }))
    }
}

#[tonic::async_trait]
impl BeamFnState for Services {
    type StateStream = Outbound<StateResponse>;

    async fn state(
        &self,
        request: Request<Streaming<StateRequest>>,
    ) -> Result<Response<Self::StateStream>, Status> {
        let session = self.0.clone();
        let answers = request
            .into_inner()
            .map(move |request| request.map(|request| session.state.answer(request)));
        Ok(Response::new(Box::pin(answers)))
    }
}

#[tonic::async_trait]
impl BeamFnLogging for Services {
    type LoggingStream = Outbound<LogControl>;

    async fn logging(
        &self,
        request: Request<Streaming<log_entry::List>>,
    ) -> Result<Response<Self::LoggingStream>, Status> {
        let session = self.0.clone();
        let mut lists = request.into_inner();
        // Nothing is ever sent, but the stream to the worker ends when the worker's has.
        let (open, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Ok(Some(list)) = lists.message().await {
                session.log.take(&list.log_entries);
            }
            drop(open);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

#[tonic::async_trait]
impl ProvisionService for Services {
    async fn get_provision_info(
        &self,
        _request: Request<GetProvisionInfoRequest>,
    ) -> Result<Response<GetProvisionInfoResponse>, Status> {
        let info = Some(self.0.provision.clone());
        Ok(Response::new(GetProvisionInfoResponse { info }))
    }
}
