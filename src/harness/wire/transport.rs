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

/// Who this worker is to the runner: sent with every call, as runners route by it.
#[derive(Clone)]
pub(crate) struct Peer {
    id: Arc<str>,
    header: MetadataValue<Ascii>,
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
        })
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
}

/// Connects to `host:port`. Each service has a connection of its own, so that none waits behind another's data.
///
/// # Errors
/// Nobody answers there.
pub(crate) async fn connect(service: &str, endpoint: &str) -> Result<Channel> {
    let mut errors = Vec::new();
    for target in targets(endpoint) {
        match try_connect(&target).await {
            Ok(channel) => return Ok(channel),
            Err(error) => errors.push(format!("{target}: {error}")),
        }
    }
    Err(Error::transport(format!(
        "cannot reach the runner's {service} service; tried {}",
        errors.join("; ")
    )))
}

async fn try_connect(target: &str) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{target}")).map_err(|e| e.to_string())?;
    endpoint
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(1 << 20)
        .max_frame_size(MAX_FRAME)
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .connect()
        .await
        .map_err(|e| {
            let mut text = e.to_string();
            let mut cause = std::error::Error::source(&e);
            while let Some(source) = cause {
                text = format!("{text}: {source}");
                cause = source.source();
            }
            text
        })
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
}
