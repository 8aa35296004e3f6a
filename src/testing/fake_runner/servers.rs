//! The thread that the runner's services live on.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use beam_proto::fnexec::ProvisionInfo;
use beam_proto::fnexec::beam_fn_control_server::BeamFnControlServer;
use beam_proto::fnexec::beam_fn_data_server::BeamFnDataServer;
use beam_proto::fnexec::beam_fn_logging_server::BeamFnLoggingServer;
use beam_proto::fnexec::beam_fn_state_server::BeamFnStateServer;
use beam_proto::fnexec::beam_fn_worker_status_server::BeamFnWorkerStatusServer;
use beam_proto::fnexec::provision_service_server::ProvisionServiceServer;
use beam_proto::pipeline::ApiServiceDescriptor;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::transport::server::Router;

use super::hub::Hub;
use super::listen::Port;
use super::services::{ControlService, DataService, LoggingService, Provisioning, StateService};
use super::status::StatusService;

/// Windows that let a worker send without waiting for acknowledgements.
const WINDOW: u32 = 4 << 20;

/// All services of one runner, each on a port of its own.
pub(super) struct Servers {
    pub(super) control: Port,
    pub(super) data: Vec<Port>,
    pub(super) state: Port,
    pub(super) logging: Port,
    pub(super) status: Port,
    pub(super) provision: Port,
    pub(super) handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Servers {
    /// Starts all services.
    ///
    /// # Panics
    /// There is no free port, or no thread can be started.
    pub(super) fn start(hub: &Arc<Hub>, told: ProvisionInfo) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (started, servers) = sync_channel(1);
        let hub = hub.clone();
        let thread = std::thread::Builder::new()
            .name("fake runner".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime can be started");
                let servers = runtime.block_on(serve(&hub, told, stop));
                started
                    .send(servers.expect("there are free ports"))
                    .expect("the starter waits");
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })
            .expect("a thread can be started");
        let mut servers: Servers = servers.recv().expect("the services start");
        servers.thread = Some(thread);
        servers
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    hub: &Arc<Hub>,
    told: ProvisionInfo,
    stop: oneshot::Sender<()>,
) -> std::io::Result<Servers> {
    let server = || {
        Server::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
    };
    let service = BeamFnControlServer::new(ControlService(hub.clone()))
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    let control = listen(server().add_service(service)).await?;

    let mut data = Vec::new();
    for number in 0..hub.data.services() {
        let service = BeamFnDataServer::new(DataService(hub.clone(), number))
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        data.push(listen(server().add_service(service)).await?);
    }

    let service = BeamFnStateServer::new(StateService(hub.clone()))
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    let state = listen(server().add_service(service)).await?;

    // Windows of the usual size, so that a reader that stalls is felt.
    let service =
        BeamFnLoggingServer::new(LoggingService(hub.clone())).max_decoding_message_size(usize::MAX);
    let logging = listen(Server::builder().add_service(service)).await?;

    let service = BeamFnWorkerStatusServer::new(StatusService(hub.clone()));
    let status = listen(server().add_service(service)).await?;

    let address = |port: &Port| {
        Some(ApiServiceDescriptor {
            url: port.address(),
            ..ApiServiceDescriptor::default()
        })
    };
    let info = ProvisionInfo {
        control_endpoint: address(&control),
        logging_endpoint: address(&logging),
        status_endpoint: address(&status),
        ..told
    };
    let service = ProvisionServiceServer::new(Provisioning {
        hub: hub.clone(),
        info,
    });
    let provision = listen(server().add_service(service)).await?;

    Ok(Servers {
        control,
        data,
        state,
        logging,
        status,
        provision,
        handle: Handle::current(),
        stop: Some(stop),
        thread: None,
    })
}

/// Serves on a free port.
async fn listen(router: Router) -> std::io::Result<Port> {
    let (port, incoming) = Port::open().await?;
    tokio::spawn(router.serve_with_incoming(incoming));
    Ok(port)
}
