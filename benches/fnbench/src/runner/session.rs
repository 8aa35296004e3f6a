//! What the services of one worker share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::instruction_response::Response;
use beam_proto::fnexec::{
    Elements, InstructionRequest, InstructionResponse, ProcessBundleDescriptor,
    ProcessBundleProgressRequest, ProvisionInfo,
};
use prost::Message as _;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use super::bundle::Bundle;
use super::logs::WorkerLog;
use super::outlet::Outlet;
use super::state::StateStore;
use crate::lock;

/// Instructions that may wait to be sent: more than a case has in flight, with requests for progress between them.
const INSTRUCTIONS_AHEAD: usize = 1024;

/// How long the worker may take to answer a request for progress.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(5);

/// What a session is made of.
pub(crate) struct Setup {
    /// The only descriptor, with the addresses of this run.
    pub(crate) descriptor: ProcessBundleDescriptor,
    pub(crate) provision: ProvisionInfo,
    pub(crate) state: StateStore,
    pub(crate) log: WorkerLog,
    /// Data messages that may wait to be sent.
    pub(crate) data_ahead: usize,
}

/// One worker, as its runner sees it.
pub(crate) struct Session {
    pub(crate) descriptor: ProcessBundleDescriptor,
    pub(crate) provision: ProvisionInfo,
    pub(crate) state: StateStore,
    pub(crate) log: WorkerLog,
    pub(crate) instructions: Outlet<InstructionRequest>,
    pub(crate) input: Outlet<Elements>,
    bundles: Mutex<HashMap<String, Arc<Bundle>>>,
    /// Requests about bundles that wait for an answer.
    questions: Mutex<HashMap<String, oneshot::Sender<InstructionResponse>>>,
    connected: watch::Sender<bool>,
    descriptor_requests: AtomicU64,
}

impl Session {
    pub(crate) fn new(setup: Setup) -> Arc<Self> {
        Arc::new(Session {
            descriptor: setup.descriptor,
            provision: setup.provision,
            state: setup.state,
            log: setup.log,
            instructions: Outlet::new(INSTRUCTIONS_AHEAD),
            input: Outlet::new(setup.data_ahead),
            bundles: Mutex::default(),
            questions: Mutex::default(),
            connected: watch::channel(false).0,
            descriptor_requests: AtomicU64::new(0),
        })
    }

    /// Says that the control stream is open.
    pub(crate) fn connected(&self) {
        self.connected.send_replace(true);
    }

    /// Waits for the control stream to be open.
    ///
    /// # Errors
    /// It is not within `limit`.
    pub(crate) async fn wait_connected(&self, limit: Duration) -> Result<()> {
        let mut connected = self.connected.subscribe();
        let open = connected.wait_for(|connected| *connected);
        let open = timeout(limit, open).await;
        open.with_context(|| format!("the worker did not connect within {limit:?}"))?
            .context("the session has ended")?;
        Ok(())
    }

    /// Counts a request for the descriptor.
    pub(crate) fn descriptor_requested(&self) {
        self.descriptor_requests.fetch_add(1, Relaxed);
    }

    pub(crate) fn descriptor_requests(&self) -> u64 {
        self.descriptor_requests.load(Relaxed)
    }

    /// Output and responses for `id` go to `bundle` from now on.
    pub(crate) fn begin(&self, id: &str, bundle: Arc<Bundle>) {
        lock(&self.bundles).insert(id.to_owned(), bundle);
    }

    /// Forgets a bundle.
    pub(crate) fn end(&self, id: &str) {
        lock(&self.bundles).remove(id);
    }

    fn bundle(&self, id: &str) -> Option<Arc<Bundle>> {
        lock(&self.bundles).get(id).cloned()
    }

    /// Ends all bundles: the worker is gone.
    pub(crate) fn fail_all(&self, why: &str) {
        for (_, bundle) in lock(&self.bundles).drain() {
            bundle.fail(why);
        }
    }

    /// Takes output of the worker.
    pub(crate) fn elements(&self, elements: Elements) {
        for data in elements.data {
            match self.bundle(&data.instruction_id) {
                Some(bundle) => bundle.data(data),
                None => eprintln!(
                    "fnbench: data came for bundle {:?}, which is unknown",
                    data.instruction_id
                ),
            }
        }
    }

    /// Takes an answer of the worker.
    pub(crate) fn response(&self, response: InstructionResponse) {
        let Some(bundle) = self.bundle(&response.instruction_id) else {
            match lock(&self.questions).remove(&response.instruction_id) {
                Some(asker) => drop(asker.send(response)),
                None => eprintln!(
                    "fnbench: an answer came to instruction {:?}, which is unknown",
                    response.instruction_id
                ),
            }
            return;
        };
        if !response.error.is_empty() {
            bundle.fail(&format!("the worker reports: {}", response.error));
            return;
        }
        let size = response.encoded_len();
        if let Some(Response::ProcessBundle(processed)) = response.response {
            if !processed.residual_roots.is_empty() || processed.requires_finalization {
                bundle.fail("the driver plays neither residuals nor finalization");
            }
            if let Some(elements) = processed.elements {
                self.elements(elements);
            }
        }
        bundle.response(size);
    }

    /// Asks for the progress of all bundles, again and again, as some runners do. Ends with the control stream.
    pub(crate) async fn poll_progress(&self, every: Duration) {
        let mut asked = 0u64;
        loop {
            sleep(every).await;
            let bundles: Vec<String> = lock(&self.bundles).keys().cloned().collect();
            for bundle in bundles {
                asked += 1;
                let id = format!("progress-{asked}");
                let (asker, answer) = oneshot::channel();
                lock(&self.questions).insert(id.clone(), asker);
                let request = ProcessBundleProgressRequest {
                    instruction_id: bundle,
                };
                let instruction = InstructionRequest {
                    instruction_id: id,
                    request: Some(Request::ProcessBundleProgress(request)),
                };
                if self.instructions.send(instruction).await.is_err() {
                    return;
                }
                let _late = timeout(PROGRESS_TIMEOUT, answer).await;
            }
        }
    }

    /// Ends the streams to the worker, which asks it to end.
    pub(crate) fn close(&self) {
        self.instructions.close();
        self.input.close();
    }
}
