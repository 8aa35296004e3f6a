//! From the end of a bundle to its commit: what its functions want done then.

use std::sync::Arc;

use super::bundles::{Bundles, drop_quietly};
use super::context::{self, BundleContext};
use super::finalize::FinalizeRequest;
use super::jobs::{Job, NoThread};
use super::response;
use super::wire::Rope;
use crate::dofn::Commit;

impl Bundles {
    /// Keeps what a bundle that has succeeded wants done after its commit; whether there is anything.
    pub(super) fn keep_commits(&self, instruction: &Arc<str>, commits: Vec<Commit>) -> bool {
        let requires_finalization = !commits.is_empty();
        let surplus = self.finalizers.keep(instruction, commits);
        if !surplus.is_empty() {
            tracing::warn!(
                "{} callbacks are dropped before the runner has committed their bundles; there are too many",
                surplus.len()
            );
            surplus.into_iter().for_each(drop_quietly);
        }
        requires_finalization
    }

    /// Takes a request to call what a bundle wanted done after its commit. Yields the answer where nothing is to be called:
    /// late and repeated requests succeed. Must not wait for anything.
    pub(crate) fn finalize(&self, instruction: &str, bundle: String) -> Option<Rope> {
        let commits = self.finalizers.take(&bundle);
        if commits.is_empty() {
            return Some(response::finalized(instruction));
        }
        self.finalizers.begin();
        let request = FinalizeRequest {
            instruction: instruction.into(),
            bundle,
            commits,
        };
        let Err(NoThread { job, error }) = self.jobs.submit(Job::Finalize(request)) else {
            return None;
        };
        self.finalizers.end();
        // The runner may ask again.
        if let Job::Finalize(request) = *job {
            let bundle = request.bundle.into();
            let _ = self.finalizers.keep(&bundle, request.commits);
            self.finalizers.answered(&bundle);
        }
        let error = format!("the worker cannot start a thread: {error}");
        Some(response::failed(instruction, error))
    }

    /// Calls what a bundle wanted done after its commit, and answers.
    pub(super) fn call_back(&self, request: FinalizeRequest) {
        context::enter_bundle(Some(BundleContext {
            instruction: request.bundle.as_str().into(),
            plan: None,
        }));
        let answer = match self.finalizers.call(request.commits) {
            Ok(()) => response::finalized(&request.instruction),
            Err(error) => {
                tracing::error!("{error}");
                response::failed(&request.instruction, error)
            }
        };
        context::enter_bundle(None);
        let _ = self.answers.push(answer);
        self.finalizers.end();
    }
}
