//! What the runner tells a worker at its start.

use std::time::Duration;

use beam_proto::fnexec::provision_service_client::ProvisionServiceClient;
use beam_proto::fnexec::{GetProvisionInfoRequest, ProvisionInfo};

use super::Peer;
use crate::error::{Error, Result};

/// Asks for the provision info.
///
/// # Errors
/// Nobody answers in time, or the runner does not know this worker.
pub(crate) async fn fetch(peer: &Peer, endpoint: &str, timeout: Duration) -> Result<ProvisionInfo> {
    let ask = async {
        let channel = peer.connect("provision", endpoint).await?;
        let mut client = ProvisionServiceClient::new(channel).max_decoding_message_size(usize::MAX);
        let answer = client
            .get_provision_info(peer.request(GetProvisionInfoRequest {}))
            .await
            .map_err(|status| {
                Error::transport(format!(
                    "the runner does not provision worker {:?}",
                    peer.id()
                ))
                .at("endpoint", endpoint)
                .because(status)
            })?;
        Ok(answer.into_inner().info.unwrap_or_default())
    };
    tokio::time::timeout(timeout, ask)
        .await
        .unwrap_or_else(|_| {
            let seconds = timeout.as_secs();
            Err(Error::transport(format!(
                "the provision service did not answer within {seconds} s"
            ))
            .at("endpoint", endpoint))
        })
}
