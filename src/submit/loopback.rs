//! Workers in the process that submits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use beam_proto::fnexec::beam_fn_external_worker_pool_server::BeamFnExternalWorkerPoolServer;
use beam_proto::pipeline::{CombinePayload, FunctionSpec, ParDoPayload, Pipeline};
use beam_proto::urns::transforms::{COMBINE_PER_KEY, PAR_DO};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;

use crate::dofn::FunctionPayload;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::exec::Registry;
use crate::harness::pool::Pool;

/// How long the pool may go on answering what it was asked before it was stopped: some runners do not survive a pool
/// that goes away while it starts a worker.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// A worker pool on a loopback address, served by a thread of its own.
pub(super) struct Loopback {
    endpoint: String,
    pool: Pool,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Starts the pool.
    ///
    /// # Errors
    /// No port or thread can be had.
    pub(super) fn start(registry: Arc<Registry>) -> Result<Self> {
        let cannot =
            |e: std::io::Error| Error::transport("the worker pool cannot start").because(e);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(cannot)?;
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .map_err(cannot)?;
        let endpoint = listener.local_addr().map_err(cannot)?.to_string();
        let pool = Pool::new(registry);
        let (stop, stopped) = watch::channel(false);
        let service = BeamFnExternalWorkerPoolServer::new(pool.clone());
        let thread = std::thread::Builder::new()
            .name("worker pool".into())
            .spawn(move || {
                let incoming = TcpListenerStream::new(listener);
                let serve = tonic::transport::Server::builder()
                    .add_service(service)
                    .serve_with_incoming_shutdown(incoming, until(stopped.clone()));
                let limit = async {
                    until(stopped).await;
                    tokio::time::sleep(LAST_ANSWERS).await;
                };
                runtime.block_on(async {
                    tokio::select! {
                        outcome = serve => if let Err(error) = outcome {
                            tracing::warn!("the worker pool ended: {error}");
                        },
                        () = limit => {}
                    }
                });
            })
            .map_err(cannot)?;
        Ok(Loopback {
            endpoint,
            pool,
            stop,
            thread: Some(thread),
        })
    }

    /// `host:port` of the pool.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.pool.stop();
        // Without a receiver there is nothing to stop.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

/// Waits until it is time to stop.
async fn until(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone stops as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Refuses a pipeline with a function that the workers of this process would not find.
///
/// # Errors
/// The function's name and transform.
pub(super) fn check_functions(pipeline: &Pipeline, registry: &Registry) -> Result<()> {
    let known: BTreeSet<&str> = registry.names().collect();
    let components = pipeline.components.iter();
    for (id, transform) in components.flat_map(|components| &components.transforms) {
        let Some(spec) = &transform.spec else {
            continue;
        };
        let Some(function) = function(spec).at("transform", id)? else {
            continue;
        };
        if !known.contains(function.name.as_str()) {
            return Err(Error::new(
                ErrorKind::Registry,
                format!(
                    "{:?} is not registered; add it to the registry, or no worker of this process finds it",
                    function.name
                ),
            )
            .at("transform", &transform.unique_name));
        }
    }
    Ok(())
}

fn function(spec: &FunctionSpec) -> Result<Option<FunctionPayload>> {
    let payload = spec.payload.clone();
    let unreadable = |e| Error::config("a payload cannot be read").because(e);
    let function = match spec.urn.as_str() {
        PAR_DO => ParDoPayload::decode(payload).map_err(unreadable)?.do_fn,
        COMBINE_PER_KEY => {
            CombinePayload::decode(payload)
                .map_err(unreadable)?
                .combine_fn
        }
        _ => None,
    };
    function
        .map(|spec| FunctionPayload::parse(&spec.payload))
        .transpose()
}
