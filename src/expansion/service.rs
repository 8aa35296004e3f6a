//! The expansion service: always an answer, and never one that only a programmer understands.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use beam_proto::expansion::expansion_service_server::{
    ExpansionService as ExpansionRpc, ExpansionServiceServer,
};
use beam_proto::expansion::{
    DiscoverSchemaTransformRequest, DiscoverSchemaTransformResponse, ExpansionRequest,
    ExpansionResponse,
};
use beam_proto::job::artifact_retrieval_service_server::ArtifactRetrievalServiceServer;
use beam_proto::pipeline::Environment;
use tokio::sync::{Semaphore, oneshot};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::response::failure;
use super::{Artifacts, Catalogue, discover};

/// Requests carry the client's whole pipeline in the worst case, and clients lift their own limits. What is larger than
/// this is no pipeline.
const LARGEST_REQUEST: usize = 1 << 30;

/// Expansions at a time. Each has a thread of its own, because it runs code of the transform's author.
const AT_A_TIME: usize = 16;

/// Answers what other SDKs ask: transforms by name, and the files that their workers need.
pub struct ExpansionService {
    catalogue: Arc<Catalogue>,
    environment: Arc<Environment>,
    artifacts: Artifacts,
    free: Semaphore,
}

impl ExpansionService {
    /// Offers the transforms of a catalogue; their functions run in `environment`.
    ///
    /// # Errors
    /// As [`Catalogue::check`].
    pub fn new(
        catalogue: Catalogue,
        environment: Environment,
        artifacts: Artifacts,
    ) -> crate::Result<Self> {
        catalogue.check()?;
        Ok(ExpansionService {
            catalogue: Arc::new(catalogue),
            environment: Arc::new(environment),
            artifacts,
            free: Semaphore::new(AT_A_TIME),
        })
    }

    /// The gRPC services, for a server to serve.
    pub fn into_routes(self) -> Routes {
        let artifacts = ArtifactRetrievalServiceServer::new(self.artifacts.clone())
            .max_decoding_message_size(LARGEST_REQUEST);
        let expansion =
            ExpansionServiceServer::new(self).max_decoding_message_size(LARGEST_REQUEST);
        Routes::new(expansion).add_service(artifacts)
    }
}

#[tonic::async_trait]
impl ExpansionRpc for ExpansionService {
    async fn expand(
        &self,
        request: Request<ExpansionRequest>,
    ) -> Result<Response<ExpansionResponse>, Status> {
        let request = request.into_inner();
        // The semaphore is never closed, so there always is a permit in the end.
        let _permit = self.free.acquire().await;
        let (catalogue, environment) = (self.catalogue.clone(), self.environment.clone());
        let (answer, answered) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("expand".into())
            .spawn(move || {
                // A client that went away needs no answer.
                let _ = answer.send(expand(&catalogue, request, &environment));
            });
        let response = match thread {
            Ok(_) => answered
                .await
                .unwrap_or_else(|_| failure("the expansion broke off")),
            Err(error) => failure(format!("no thread for the expansion: {error}")),
        };
        Ok(Response::new(response))
    }

    async fn discover_schema_transform(
        &self,
        _request: Request<DiscoverSchemaTransformRequest>,
    ) -> Result<Response<DiscoverSchemaTransformResponse>, Status> {
        Ok(Response::new(discover::response(&self.catalogue)))
    }
}

/// Expands a request; whatever goes wrong becomes the response's error, its cause on the first line.
pub fn expand(
    catalogue: &Catalogue,
    request: ExpansionRequest,
    environment: &Environment,
) -> ExpansionResponse {
    let outcome = catch_unwind(AssertUnwindSafe(|| catalogue.expand(request, environment)));
    match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => failure(error.to_string()),
        Err(panic) => failure(format!(
            "the transform panicked: {}; the service's log has the place",
            panic_text(&*panic)
        )),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
