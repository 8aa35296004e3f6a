//! A pipeline that shows a behaviour.

use std::fmt::Debug;

use ferrobeam::element::Element;
use ferrobeam::pipeline::{PCollection, Pipeline, PipelineOptions};
use ferrobeam::submit::JobMetrics;
use ferrobeam::testing::{self, Expect};
use ferrobeam::{Iter, Kv};

use crate::runner::Runner;

/// What must come of a pipeline.
pub(crate) enum Outcome {
    /// The job is done, and all that was expected of its collections was checked.
    Passes,
    /// The job fails, and says all of these.
    Fails(Vec<String>),
}

/// Looks at the metrics of a job that is done.
type LookAtMetrics = Box<dyn FnOnce(&JobMetrics) + Send>;

/// A pipeline that shows a behaviour, under construction.
pub(crate) struct Case {
    pub(crate) p: Pipeline,
    pub(crate) runner: Runner,
    /// Options for the runner.
    pub(crate) options: PipelineOptions,
    /// Whether a runner that can drains the pipeline.
    pub(crate) drains: bool,
    pub(crate) outcome: Outcome,
    pub(crate) metrics: Vec<LookAtMetrics>,
    /// How many checks the pipeline makes.
    pub(crate) checks: i64,
}

impl Case {
    pub(crate) fn new(runner: Runner) -> Self {
        Case {
            p: Pipeline::new(),
            runner,
            options: PipelineOptions::default(),
            drains: false,
            outcome: Outcome::Passes,
            metrics: Vec::new(),
            checks: 0,
        }
    }

    /// Begins an assertion about a collection.
    pub(crate) fn expect<T: Element + Debug>(&mut self, collection: &PCollection<T>) -> Expect<T> {
        self.checks += 1;
        testing::expect(collection)
    }

    /// Begins an assertion about groups.
    pub(crate) fn expect_groups<K, V>(
        &mut self,
        collection: &PCollection<Kv<K, Iter<V>>>,
    ) -> Expect<Kv<K, Vec<V>>>
    where
        K: Element + Debug,
        V: Element + Debug,
        Kv<K, Vec<V>>: Element,
    {
        self.checks += 1;
        testing::expect_groups(collection)
    }

    /// Says that the job has to fail, with messages that hold these texts.
    pub(crate) fn fails_with<const N: usize>(&mut self, texts: [&str; N]) {
        self.outcome = Outcome::Fails(texts.map(str::to_owned).to_vec());
    }

    /// Looks at the metrics when the job is done.
    pub(crate) fn metrics(&mut self, look: impl FnOnce(&JobMetrics) + Send + 'static) {
        self.metrics.push(Box::new(look));
    }
}

/// What became of a job that nobody drove.
pub(crate) struct Ran {
    /// Why it failed, if it did.
    pub(crate) failure: Option<String>,
    pub(crate) metrics: JobMetrics,
}

/// Whether a job did what its case asks for.
pub(crate) fn judge(case: Case, ran: Ran) -> Result<(), String> {
    match (case.outcome, ran.failure) {
        (Outcome::Passes, Some(failure)) => Err(failure),
        (Outcome::Passes, None) => {
            let checked = ran
                .metrics
                .counter("ferrobeam.Check", "checked")
                .unwrap_or(0);
            if checked != case.checks {
                return Err(format!("{checked} checks passed, not {}", case.checks));
            }
            for look in case.metrics {
                look(&ran.metrics);
            }
            Ok(())
        }
        (Outcome::Fails(texts), Some(failure)) => {
            match texts.iter().find(|text| !failure.contains(*text)) {
                None => Ok(()),
                Some(text) => Err(format!("the failure does not say {text:?}: {failure}")),
            }
        }
        (Outcome::Fails(texts), None) => Err(format!("the job did not fail: {texts:?}")),
    }
}
