//! Starts workers in this process when a runner asks for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use beam_proto::fnexec::beam_fn_external_worker_pool_server::BeamFnExternalWorkerPool;
use beam_proto::fnexec::{
    StartWorkerRequest, StartWorkerResponse, StopWorkerRequest, StopWorkerResponse,
};
use beam_proto::pipeline::ApiServiceDescriptor;
use tokio::sync::{oneshot, watch};
use tonic::{Request, Response, Status};

use super::worker::{Budgets, End, Options, run_until};
use crate::exec::Registry;

/// How long a worker may take to reach its runner before the runner is told that it cannot.
const START_TIMEOUT: Duration = Duration::from_secs(12);

/// Starts workers in this process when a runner asks for them: the service `BeamFnExternalWorkerPool`.
///
/// Runners wait for ever for a worker that never comes, so a request is answered when the worker stands, or with an
/// error. Workers end when their runner ends their control stream; many runners never send `StopWorker`.
#[derive(Clone)]
pub struct Pool {
    registry: Arc<Registry>,
    budgets: Budgets,
    workers: Arc<Mutex<HashMap<Key, watch::Sender<bool>>>>,
}

/// Ids are unique for one runner only, and several may use one pool.
type Key = (String, String);

impl Pool {
    /// A pool of workers that know the functions of `registry`.
    pub fn new(registry: Arc<Registry>) -> Self {
        Pool {
            registry,
            budgets: Budgets::of_this_machine(),
            workers: Arc::default(),
        }
    }

    fn workers(&self) -> MutexGuard<'_, HashMap<Key, watch::Sender<bool>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many workers live.
    pub fn len(&self) -> usize {
        self.workers().len()
    }

    /// Whether no worker lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells all workers to end.
    pub fn stop(&self) {
        for stop in self.workers().values() {
            let _ = stop.send(true);
        }
    }

    async fn start(&self, request: StartWorkerRequest) -> Result<(), String> {
        let url = |d: Option<ApiServiceDescriptor>| d.map(|d| d.url).filter(|url| !url.is_empty());
        let options = Options {
            id: request.worker_id.clone(),
            provision_endpoint: url(request.provision_endpoint),
            control_endpoint: url(request.control_endpoint),
            logging_endpoint: url(request.logging_endpoint),
            budgets: self.budgets.clone(),
            ..Options::default()
        };
        let runner = options
            .control_endpoint
            .clone()
            .or_else(|| options.provision_endpoint.clone());
        let key = (runner.unwrap_or_default(), request.worker_id);
        let (stop, stopped) = watch::channel(false);
        {
            let mut workers = self.workers();
            if workers.contains_key(&key) {
                return Err(format!(
                    "worker {:?} of the runner at {} is running already",
                    key.1, key.0
                ));
            }
            workers.insert(key.clone(), stop);
        }
        let (connected, outcome) = oneshot::channel();
        let end = End {
            stopped,
            on_signal: None,
        };
        let (pool, registry, id) = (self.clone(), self.registry.clone(), key.clone());
        let thread = std::thread::Builder::new()
            .name(format!("worker {}", key.1))
            .spawn(move || {
                let outcome = run_until(options, registry, end, |outcome| {
                    let _ = connected.send(outcome.map(drop));
                });
                pool.workers().remove(&id);
                if let Err(error) = outcome {
                    tracing::warn!("worker {:?} ended: {error}", id.1);
                }
            });
        if let Err(error) = thread {
            self.workers().remove(&key);
            return Err(format!("no thread can be started for the worker: {error}"));
        }
        let outcome = match tokio::time::timeout(START_TIMEOUT, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("the worker ended before it reached its runner".to_owned()),
            Err(_) => Err(format!(
                "the worker did not reach its runner within {} s",
                START_TIMEOUT.as_secs()
            )),
        };
        if outcome.is_err()
            && let Some(stop) = self.workers().remove(&key)
        {
            let _ = stop.send(true);
        }
        outcome
    }
}

#[tonic::async_trait]
impl BeamFnExternalWorkerPool for Pool {
    async fn start_worker(
        &self,
        request: Request<StartWorkerRequest>,
    ) -> Result<Response<StartWorkerResponse>, Status> {
        let request = request.into_inner();
        let id = request.worker_id.clone();
        let error = match self.start(request).await {
            Ok(()) => String::new(),
            Err(error) => {
                tracing::warn!("worker {id:?} could not be started: {error}");
                error
            }
        };
        Ok(Response::new(StartWorkerResponse { error }))
    }

    async fn stop_worker(
        &self,
        request: Request<StopWorkerRequest>,
    ) -> Result<Response<StopWorkerResponse>, Status> {
        let id = request.into_inner().worker_id;
        // The request names no runner: an id that several runners use is stopped by the ends of its control streams.
        let workers = self.workers();
        let mut named = workers.iter().filter(|((_, worker), _)| *worker == id);
        if let (Some((_, stop)), None) = (named.next(), named.next()) {
            let _ = stop.send(true);
        }
        Ok(Response::new(StopWorkerResponse::default()))
    }
}
