//! What a fake runner is like, before it starts.

use std::time::Duration;

use beam_proto::urns::runner_protocols;

use super::FakeRunner;
use crate::exec::Registry;
use crate::harness::{Budgets, Sampling, Watch};

/// What a [`FakeRunner`] is like. [`FakeRunner::of`] makes one.
#[must_use = "a runner must be started"]
pub struct Settings {
    pub(super) registry: Registry,
    pub(super) seed: u64,
    pub(super) worker_id: String,
    pub(super) short_ids: bool,
    pub(super) provisions: bool,
    pub(super) options: serde_json::Map<String, serde_json::Value>,
    pub(super) budgets: Budgets,
    pub(super) watch: Watch,
    pub(super) sampling: Sampling,
    pub(super) time_limit: Duration,
    pub(super) data_services: usize,
    pub(super) embedded_output: bool,
    pub(super) whole_multimaps: bool,
    pub(super) starts_worker: bool,
}

impl Settings {
    pub(super) fn new(registry: Registry) -> Self {
        Settings {
            registry,
            seed: 0,
            worker_id: "worker-1".into(),
            short_ids: false,
            provisions: false,
            options: serde_json::Map::new(),
            budgets: Budgets::default(),
            watch: Watch::default(),
            sampling: Sampling::default(),
            time_limit: Duration::from_secs(20),
            data_services: 1,
            embedded_output: false,
            whole_multimaps: false,
            starts_worker: true,
        }
    }

    /// Fixes all random choices.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The worker's id.
    pub fn worker_id(mut self, id: &str) -> Self {
        self.worker_id = id.into();
        self
    }

    /// Tells the worker that the runner knows short ids of metrics. Implies [`Settings::provisions`].
    pub fn short_ids(mut self) -> Self {
        self.short_ids = true;
        self.provisions()
    }

    /// Tells the worker that the runner reads output that stands in the answer to a bundle. Implies
    /// [`Settings::provisions`].
    pub fn embedded_output(mut self) -> Self {
        self.embedded_output = true;
        self.provisions()
    }

    /// Tells the worker that the runner hands out multimap side inputs as a whole. Implies [`Settings::provisions`].
    pub fn whole_multimaps(mut self) -> Self {
        self.whole_multimaps = true;
        self.provisions()
    }

    /// Gives the worker the address of the provision service only.
    pub fn provisions(mut self) -> Self {
        self.provisions = true;
        self
    }

    /// Gives the pipeline an option. Implies [`Settings::provisions`].
    pub fn option(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        let name = format!("beam:option:{name}:v1");
        self.options.insert(name, value.into());
        self.provisions()
    }

    /// What the worker may keep in memory.
    pub fn budgets(mut self, budgets: Budgets) -> Self {
        self.budgets = budgets;
        self
    }

    /// How closely the worker watches its bundles.
    pub fn watch(mut self, watch: Watch) -> Self {
        self.watch = watch;
        self
    }

    /// Which elements the worker keeps for people who look into a running pipeline.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// How long anything may take before the test fails.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// How many data services there are, each with a port of its own.
    pub fn data_services(mut self, count: usize) -> Self {
        self.data_services = count;
        self
    }

    /// Waits for a worker that something else starts.
    pub fn without_worker(mut self) -> Self {
        self.starts_worker = false;
        self
    }

    /// What the runner promises.
    pub(super) fn capabilities(&self) -> Vec<String> {
        let all = [
            (self.short_ids, runner_protocols::MONITORING_INFO_SHORT_IDS),
            (
                self.embedded_output,
                runner_protocols::CONTROL_RESPONSE_ELEMENTS_EMBEDDING,
            ),
            (
                self.whole_multimaps,
                runner_protocols::MULTIMAP_KEYS_VALUES_SIDE_INPUT,
            ),
        ];
        let promised = all.into_iter().filter(|(is_promised, _)| *is_promised);
        promised.map(|(_, urn)| urn.to_owned()).collect()
    }

    /// Starts the runner and its worker.
    ///
    /// # Panics
    /// There is no free port, or no thread can be started.
    pub fn start(self) -> FakeRunner {
        FakeRunner::with(self)
    }
}
