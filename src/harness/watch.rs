//! How closely a worker watches its bundles.

use std::time::Duration;

use super::options::WorkerOptions;

/// How closely a worker watches its bundles, unless the pipeline's options say otherwise: `state_sampling_period_millis`,
/// `log_lull_timeout`, `element_processing_timeout_minutes` or `element_processing_timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// Time between two looks at where bundles are. Execution times of transforms are samples of this length.
    pub period: Duration,
    /// A bundle that stays in one place for this long is warned of: in one element, in the set-up of one function.
    pub lull: Duration,
    /// A bundle that stays in one place for this long ends the process, since nothing else frees a thread that user code
    /// holds. The exit code is [`STUCK`](super::STUCK); the runner starts a new worker and retries the bundle. This holds
    /// for workers in a program of yours, too: set no time limit there unless the program may end.
    pub timeout: Option<Duration>,
}

impl Default for Watch {
    fn default() -> Self {
        Watch {
            period: Duration::from_millis(100),
            lull: Duration::from_secs(5 * 60),
            timeout: None,
        }
    }
}

impl Watch {
    /// What the options of a pipeline make of it.
    pub(crate) fn told(self, options: &WorkerOptions) -> Self {
        Watch {
            period: options.sampling_period.unwrap_or(self.period),
            lull: options.lull.unwrap_or(self.lull),
            timeout: options.element_timeout.or(self.timeout),
        }
    }

    /// No watch has a period of nothing: it would keep a core busy.
    pub(crate) fn sane_period(&self) -> Duration {
        self.period.max(Duration::from_millis(1))
    }
}
