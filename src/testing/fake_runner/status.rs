//! The status service: the runner asks the worker how it is.

use std::sync::Arc;

use beam_proto::fnexec::beam_fn_worker_status_server::BeamFnWorkerStatus;
use beam_proto::fnexec::{WorkerStatusRequest, WorkerStatusResponse};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::FakeRunner;
use super::hub::Hub;
use super::services::Standing;

impl FakeRunner {
    /// Asks the worker for its status page, as soon as it has opened a stream for that.
    ///
    /// # Panics
    /// The worker does not answer in time, or with an error.
    #[track_caller]
    pub fn status_page(&self) -> String {
        let id = self.fresh_id();
        let sender = self
            .hub
            .wait("the status stream", |_| self.hub.status.sender());
        let request = WorkerStatusRequest { id: id.clone() };
        self.push("status", &sender, request);
        let page = self
            .hub
            .wait("a status page", |ledger| ledger.pages.remove(&id));
        if !page.error.is_empty() {
            self.hub
                .fail(&format!("the worker has no status page: {}", page.error));
        }
        page.status_info
    }

    /// Cuts the connection of the status service, as a broken network does.
    pub fn cut_status(&self) {
        self.hub.with(|ledger| ledger.cut("status", &[]));
        self.hub.status.close();
        self.servers.status.cut();
    }
}

/// The status service.
pub(super) struct StatusService(pub(super) Arc<Hub>);

#[tonic::async_trait]
impl BeamFnWorkerStatus for StatusService {
    type WorkerStatusStream = ReceiverStream<Result<WorkerStatusRequest, Status>>;

    async fn worker_status(
        &self,
        request: Request<Streaming<WorkerStatusResponse>>,
    ) -> Result<Response<Self::WorkerStatusStream>, Status> {
        self.0.check_caller("status", request.metadata());
        let standing = Standing::new(&self.0, "status");
        let (stream, receiver) = self.0.status.open();
        self.0.with(|_| ());
        let mut inbound = request.into_inner();
        let hub = self.0.clone();
        tokio::spawn(async move {
            while let Ok(Some(page)) = inbound.message().await {
                hub.with(|ledger| ledger.reports(page));
            }
            hub.status.close_number(stream);
            drop(standing);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
