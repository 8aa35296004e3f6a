//! Servers on the loopback interface.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use beam_proto::fnexec::beam_fn_control_server::BeamFnControlServer;
use beam_proto::fnexec::beam_fn_data_server::BeamFnDataServer;
use beam_proto::fnexec::beam_fn_logging_server::BeamFnLoggingServer;
use beam_proto::fnexec::beam_fn_state_server::BeamFnStateServer;
use beam_proto::fnexec::provision_service_server::ProvisionServiceServer;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::transport::Server;
use tonic::transport::server::{Router, TcpIncoming};

use super::services::Services;
use super::session::Session;

/// Settings of HTTP/2.
#[derive(Clone, Copy)]
pub(crate) struct Network {
    /// Bytes that may be in flight to the driver, for a stream and for a connection.
    pub(crate) window: u32,
    /// The largest frame.
    pub(crate) frame: u32,
}

/// Addresses of the services, as `host:port`. Provision is served with control.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    pub(crate) control: String,
    pub(crate) data: String,
    pub(crate) state: String,
    pub(crate) logging: String,
}

/// Bound sockets that nobody serves yet.
pub(crate) struct Listeners {
    control: TcpListener,
    data: TcpListener,
    state: TcpListener,
    logging: TcpListener,
}

impl Listeners {
    /// Binds a free port for each service: none waits behind the messages of another.
    ///
    /// # Errors
    /// There is no free port.
    pub(crate) async fn bind() -> Result<(Self, Endpoints)> {
        let (control, control_address) = bind().await?;
        let (data, data_address) = bind().await?;
        let (state, state_address) = bind().await?;
        let (logging, logging_address) = bind().await?;
        let listeners = Listeners {
            control,
            data,
            state,
            logging,
        };
        let endpoints = Endpoints {
            control: control_address,
            data: data_address,
            state: state_address,
            logging: logging_address,
        };
        Ok((listeners, endpoints))
    }

    /// Serves a session. The services end when the result is dropped.
    pub(crate) fn serve(self, session: &Arc<Session>, network: Network) -> JoinSet<()> {
        let services = || Services::new(session.clone());
        let any = usize::MAX;
        let mut servers = JoinSet::new();
        let control = BeamFnControlServer::new(services()).max_decoding_message_size(any);
        let provision = ProvisionServiceServer::new(services());
        let router = network.server().add_service(control);
        serve(&mut servers, self.control, router.add_service(provision));
        let data = BeamFnDataServer::new(services()).max_decoding_message_size(any);
        serve(&mut servers, self.data, network.server().add_service(data));
        let state = BeamFnStateServer::new(services()).max_decoding_message_size(any);
        serve(
            &mut servers,
            self.state,
            network.server().add_service(state),
        );
        let logging = BeamFnLoggingServer::new(services()).max_decoding_message_size(any);
        serve(
            &mut servers,
            self.logging,
            network.server().add_service(logging),
        );
        servers
    }
}

impl Network {
    fn server(self) -> Server {
        Server::builder()
            .initial_stream_window_size(self.window)
            .initial_connection_window_size(self.window)
            .max_frame_size(self.frame)
            // A worker that cancels many calls at its end is not an attacker.
            .http2_max_local_error_reset_streams(None)
    }
}

async fn bind() -> Result<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .context("cannot bind a port")?;
    let address = listener.local_addr().context("a port has no number")?;
    Ok((listener, address.to_string()))
}

fn serve(servers: &mut JoinSet<()>, listener: TcpListener, router: Router) {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    servers.spawn(async move {
        if let Err(error) = router.serve_with_incoming(incoming).await {
            eprintln!("fnbench: a server failed: {error}");
        }
    });
}
