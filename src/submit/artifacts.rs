//! Offering files to a runner. Our environments name none, but a runner that asks must be answered.

use beam_proto::job::artifact_request_wrapper::Request;
use beam_proto::job::artifact_response_wrapper::Response;
use beam_proto::job::artifact_staging_service_client::ArtifactStagingServiceClient;
use beam_proto::job::{ArtifactResponseWrapper, ResolveArtifactsResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::client::{connect, refused};
use crate::error::{Error, Result};

/// Answers are made one by one, as they are asked for.
const ANSWERS: usize = 1;

/// Answers what a runner asks about the files of the job that `token` stands for, until it asks no more.
///
/// # Errors
/// The service cannot be reached, or asks for a file.
pub(super) async fn offer(endpoint: &str, token: String) -> Result<()> {
    let channel = connect("artifact staging service", endpoint).await?;
    let (answers, queue) = mpsc::channel(ANSWERS);
    let first = ArtifactResponseWrapper {
        staging_token: token,
        ..ArtifactResponseWrapper::default()
    };
    let gone = |_| Error::transport("the artifact staging service ended the exchange early");
    answers.send(first).await.map_err(gone)?;
    let mut client =
        ArtifactStagingServiceClient::new(channel).max_decoding_message_size(usize::MAX);
    let requests = client
        .reverse_artifact_retrieval_service(ReceiverStream::new(queue))
        .await;
    let broken = |status| refused("stage files", &status);
    let mut requests = requests.map_err(broken)?.into_inner();
    while let Some(request) = requests.message().await.map_err(broken)? {
        match request.request {
            Some(Request::ResolveArtifact(request)) => {
                let resolved = ResolveArtifactsResponse {
                    replacements: request.artifacts,
                };
                let answer = ArtifactResponseWrapper {
                    response: Some(Response::ResolveArtifactResponse(resolved)),
                    ..ArtifactResponseWrapper::default()
                };
                answers.send(answer).await.map_err(gone)?;
            }
            Some(Request::GetArtifact(request)) => {
                let wanted = request.artifact.map(|artifact| artifact.type_urn);
                return Err(Error::transport(format!(
                    "the runner asks for a file ({}), but the pipeline names none",
                    wanted.unwrap_or_default()
                )));
            }
            None => {}
        }
    }
    Ok(())
}
