//! Several workers in one process, because the runner wants them.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use beam_proto::fnexec::beam_fn_control_server::{BeamFnControl, BeamFnControlServer};
use beam_proto::fnexec::provision_service_server::{ProvisionService, ProvisionServiceServer};
use beam_proto::fnexec::{
    GetProcessBundleDescriptorRequest, GetProvisionInfoRequest, GetProvisionInfoResponse,
    InstructionRequest, InstructionResponse, ProcessBundleDescriptor, ProvisionInfo,
};
use beam_proto::pipeline::ApiServiceDescriptor;
use ferrobeam::harness::{Options, worker};
use tokio::sync::{Barrier, mpsc};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::support::registry;

/// A runner that wants three workers, and lets them go once they are all there.
#[derive(Clone)]
struct Runner {
    address: String,
    all_there: Arc<Barrier>,
    asked: Arc<Mutex<Vec<String>>>,
    came: Arc<Mutex<Vec<String>>>,
}

fn caller<T>(request: &Request<T>) -> String {
    let id = request.metadata().get("worker_id").unwrap();
    id.to_str().unwrap().to_owned()
}

#[tonic::async_trait]
impl ProvisionService for Runner {
    async fn get_provision_info(
        &self,
        request: Request<GetProvisionInfoRequest>,
    ) -> Result<Response<GetProvisionInfoResponse>, Status> {
        self.asked.lock().unwrap().push(caller(&request));
        let info = ProvisionInfo {
            control_endpoint: Some(ApiServiceDescriptor {
                url: self.address.clone(),
                ..ApiServiceDescriptor::default()
            }),
            sibling_worker_ids: vec!["one".into(), "two".into(), "three".into()],
            ..ProvisionInfo::default()
        };
        Ok(Response::new(GetProvisionInfoResponse { info: Some(info) }))
    }
}

#[tonic::async_trait]
impl BeamFnControl for Runner {
    type ControlStream = Pin<Box<dyn Stream<Item = Result<InstructionRequest, Status>> + Send>>;

    async fn control(
        &self,
        request: Request<Streaming<InstructionResponse>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        self.came.lock().unwrap().push(caller(&request));
        let all_there = self.all_there.clone();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            all_there.wait().await;
            drop(sender);
        });
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get_process_bundle_descriptor(
        &self,
        _request: Request<GetProcessBundleDescriptorRequest>,
    ) -> Result<Response<ProcessBundleDescriptor>, Status> {
        Err(Status::not_found("there is none"))
    }
}

#[test]
fn a_process_runs_all_the_workers_that_the_runner_names() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap();
    let runner = Runner {
        address: listener.local_addr().unwrap().to_string(),
        all_there: Arc::new(Barrier::new(3)),
        asked: Arc::default(),
        came: Arc::default(),
    };
    let server = tonic::transport::Server::builder()
        .add_service(ProvisionServiceServer::new(runner.clone()))
        .add_service(BeamFnControlServer::new(runner.clone()));
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    runtime.spawn(server.serve_with_incoming(incoming));

    let options = Options {
        id: "two".into(),
        provision_endpoint: Some(runner.address.clone()),
        ..Options::default()
    };
    let (ended, outcome) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || ended.send(worker::run(options, Arc::new(registry()))));
    let outcome = outcome.recv_timeout(Duration::from_secs(30));
    outcome.expect("all workers come and are let go").unwrap();

    assert_eq!(*runner.asked.lock().unwrap(), ["two"]);
    let mut came = runner.came.lock().unwrap().clone();
    came.sort_unstable();
    assert_eq!(came, ["one", "three", "two"]);
}
