//! Connections.

use std::sync::Arc;
use std::time::Duration;

use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use crate::error::{Error, Result};

/// How much a data stream may have in flight before the worker has read it. Large enough that the sender does not wait
/// for acknowledgements; what is read beyond it is bounded by the inbound budget.
const STREAM_WINDOW: u32 = 16 << 20;

/// All streams of one connection together.
const CONNECTION_WINDOW: u32 = 32 << 20;

/// Large frames cost less for each byte.
const MAX_FRAME: u32 = 1 << 20;

/// How long a single attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the runner may take to answer a ping before its connection counts as broken.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Who this worker is to the runner: sent with every call, as runners route by it. Opens its connections.
#[derive(Clone)]
pub(crate) struct Peer {
    id: Arc<str>,
    header: MetadataValue<Ascii>,
    keepalive: Option<Duration>,
}

impl Peer {
    /// # Errors
    /// An id that cannot stand in a header.
    pub(crate) fn new(id: &str) -> Result<Self> {
        let header = MetadataValue::try_from(id).map_err(|e| {
            Error::config(format!("the worker id {id:?} cannot be sent as a header")).because(e)
        })?;
        Ok(Peer {
            id: id.into(),
            header,
            keepalive: None,
        })
    }

    /// Sends a ping over each new connection after so much time, also while nothing else goes over it.
    pub(crate) fn keep_alive(&mut self, every: Option<Duration>) {
        self.keepalive = every;
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("worker_id", self.header.clone());
        request
    }

    /// Connects to `host:port`. Each service has a connection of its own, so that none waits behind another's data.
    ///
    /// # Errors
    /// Nobody answers there.
    pub(crate) async fn connect(&self, service: &str, endpoint: &str) -> Result<Channel> {
        let mut errors = Vec::new();
        for target in targets(endpoint) {
            match self.try_connect(&target).await {
                Ok(channel) => return Ok(channel),
                Err(error) => errors.push(format!("{target}: {error}")),
            }
        }
        Err(Error::transport(format!(
            "cannot reach the runner's {service} service; tried {}",
            errors.join("; ")
        )))
    }

    async fn try_connect(&self, target: &str) -> Result<Channel, String> {
        let endpoint =
            Endpoint::from_shared(format!("http://{target}")).map_err(|e| e.to_string())?;
        let mut endpoint = endpoint
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_max_header_list_size(1 << 20)
            .max_frame_size(MAX_FRAME)
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT);
        if let Some(every) = self.keepalive {
            endpoint = endpoint
                .http2_keep_alive_interval(every)
                .keep_alive_timeout(KEEPALIVE_TIMEOUT)
                .keep_alive_while_idle(true);
        }
        endpoint.connect().await.map_err(|e| {
            let mut text = e.to_string();
            let mut cause = std::error::Error::source(&e);
            while let Some(source) = cause {
                text = format!("{text}: {source}");
                cause = source.source();
            }
            text
        })
    }
}

/// The addresses to try for an endpoint. Runners name themselves by host names that need not resolve on the same
/// machine; the loopback address is tried then.
fn targets(endpoint: &str) -> Vec<String> {
    let endpoint = endpoint.strip_prefix("ipv4:").unwrap_or(endpoint);
    let mut targets = vec![endpoint.to_owned()];
    if let Some((host, port)) = endpoint.rsplit_once(':') {
        let in_vm = std::env::var("BEAM_WORKER_POOL_IN_DOCKER_VM").is_ok_and(|v| v == "1");
        if in_vm && (host == "localhost" || host == "127.0.0.1") {
            targets.insert(0, format!("host.docker.internal:{port}"));
        }
        if is_this_machine(host) {
            targets.push(format!("127.0.0.1:{port}"));
        }
    }
    targets
}

fn is_this_machine(host: &str) -> bool {
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let own = own.trim();
    !own.is_empty() && (host == own || host.split('.').next() == own.split('.').next())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn loopback_is_tried_for_this_machines_name() {
        let own = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("linux");
        let own = own.trim();
        assert_eq!(
            targets(&format!("{own}.lan:7")),
            [format!("{own}.lan:7"), "127.0.0.1:7".to_owned()]
        );
        assert_eq!(targets("example:7"), ["example:7"]);
    }

    /// Reads frames of HTTP/2 until one of this type comes.
    async fn frame(from: &mut TcpStream, kind: u8) {
        loop {
            let mut head = [0; 9];
            from.read_exact(&mut head).await.expect("a frame");
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut body = vec![0; length as usize];
            from.read_exact(&mut body).await.expect("its body");
            if head[3] == kind {
                return;
            }
        }
    }

    #[tokio::test]
    async fn idle_connections_are_kept_alive() {
        const PREFACE: usize = 24;
        const PING: u8 = 6;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = listener.local_addr().expect("bound").to_string();
        let mut peer = Peer::new("w").expect("an id");
        peer.keep_alive(Some(Duration::from_millis(10)));
        let (_channel, runner) = tokio::join!(peer.connect("state", &endpoint), listener.accept());
        let (mut runner, _) = runner.expect("a connection");
        let mut preface = [0; PREFACE];
        runner.read_exact(&mut preface).await.expect("HTTP/2");
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        runner.write_all(&settings).await.expect("it is read");
        let ping = frame(&mut runner, PING);
        let came = tokio::time::timeout(Duration::from_secs(30), ping).await;
        came.expect("a ping");
    }
}
