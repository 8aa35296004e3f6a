//! The status stream: the runner asks how the worker is, and gets a page of text.
//!
//! A service that gets no answer takes the worker for dead. So the stream has a thread of its own, which shares nothing
//! with the rim and with bundles but what [`status`](crate::harness::status) reads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Duration;

use beam_proto::fnexec::WorkerStatusResponse;
use beam_proto::fnexec::beam_fn_worker_status_client::BeamFnWorkerStatusClient;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::Peer;
use crate::error::{Error, Result};
use crate::harness::context::{self, LogContext};

/// How long to wait before a stream is opened again that broke; twice as long after each attempt that was for nothing.
const RETRY: Duration = Duration::from_millis(500);

/// The longest time between two attempts.
const SELDOM: Duration = Duration::from_secs(60);

/// The thread that answers; ends when dropped.
pub(crate) struct StatusStream {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StatusStream {
    /// Starts the thread. `page` is called for each request, and must not wait for anything.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(
        peer: Peer,
        endpoint: String,
        log: LogContext,
        page: impl Fn() -> String + Send + 'static,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("status".into())
            .spawn(move || {
                context::enter(Some(log));
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        () = keep(&peer, &endpoint, &page) => {}
                    }
                });
                runtime.shutdown_background();
            })?;
        Ok(StatusStream {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for StatusStream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Keeps a stream open, for ever.
async fn keep(peer: &Peer, endpoint: &str, page: &impl Fn() -> String) {
    let mut pause = RETRY;
    loop {
        let mut answered = 0u64;
        let outcome = stream(peer, endpoint, page, &mut answered).await;
        if answered > 0 {
            pause = RETRY;
        }
        let why = match outcome {
            Ok(()) => "the runner closed it".to_owned(),
            Err(error) => error.to_string(),
        };
        // Once is enough for a stream that stays away.
        if pause == RETRY {
            tracing::info!("the status stream is opened again, as it ended: {why}");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(SELDOM);
    }
}

/// One stream, until it ends. Counts the answers.
async fn stream(
    peer: &Peer,
    endpoint: &str,
    page: &impl Fn() -> String,
    answered: &mut u64,
) -> Result<()> {
    let broke = |status: tonic::Status| Error::transport("the status stream broke").because(status);
    let mut client = BeamFnWorkerStatusClient::new(peer.connect("status", endpoint).await?);
    let (sender, receiver) = mpsc::channel(1);
    let request = peer.request(ReceiverStream::new(receiver));
    let mut asked = client
        .worker_status(request)
        .await
        .map_err(broke)?
        .into_inner();
    while let Some(request) = asked.message().await.map_err(broke)? {
        // A fault of the page must not cost the stream.
        let page = catch_unwind(AssertUnwindSafe(page));
        let mut response = WorkerStatusResponse {
            id: request.id,
            ..WorkerStatusResponse::default()
        };
        match page {
            Ok(page) => response.status_info = page,
            Err(_) => response.error = "the status page could not be written".into(),
        }
        if sender.send(response).await.is_err() {
            return Ok(());
        }
        *answered += 1;
    }
    Ok(())
}
