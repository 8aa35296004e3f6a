//! The runners.

mod direct;
mod pool;
mod service;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::behaviour::{Behaviour, How};
use crate::case::Case;

/// How long one pipeline may take: a busy machine needs a while for each of the many stages of one.
const LIMIT: Duration = Duration::from_secs(90);

/// A runner, in one of the ways to use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Runner {
    /// The runner that Python uses by default, in process.
    Default,
    /// Python's job service.
    Python,
    /// Prism.
    Prism,
    /// Flink's job server, batch.
    Flink,
    /// Flink's job server, streaming.
    FlinkStreaming,
    /// Spark's job server.
    Spark,
}

impl Runner {
    pub(crate) const ALL: [Runner; 6] = [
        Runner::Default,
        Runner::Python,
        Runner::Prism,
        Runner::Flink,
        Runner::FlinkStreaming,
        Runner::Spark,
    ];

    /// The name in files and of tests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Runner::Default => "default",
            Runner::Python => "python",
            Runner::Prism => "prism",
            Runner::Flink => "flink",
            Runner::FlinkStreaming => "flink_streaming",
            Runner::Spark => "spark",
        }
    }

    /// The name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Runner::Default => "Python default runner",
            Runner::Python => "Python job service",
            Runner::Prism => "Prism",
            Runner::Flink => "Flink batch",
            Runner::FlinkStreaming => "Flink streaming",
            Runner::Spark => "Spark batch",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Runner::ALL.into_iter().find(|runner| runner.name() == name)
    }

    /// The runners that the environment names.
    pub(crate) fn chosen() -> Result<Vec<Self>, Vec<String>> {
        let names = env::var("FERROBEAM_RUNNERS").unwrap_or_default();
        let names = names.split(',').filter(|name| !name.is_empty());
        let runners = names.map(|name| {
            Runner::named(name).ok_or_else(|| {
                let known = Runner::ALL.map(Runner::name).join(", ");
                vec![format!("no runner is named {name:?}; there are {known}")]
            })
        });
        runners.collect()
    }
}

/// Runs the pipeline of a behaviour and judges what came of it.
pub(crate) fn run(runner: Runner, behaviour: &Behaviour) -> Result<(), String> {
    let place = match behaviour.how {
        How::Runs(place) => place,
        How::Alone(_) | How::Elsewhere { .. } => {
            return Err("there is no pipeline".into());
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut case = Case::new(runner);
        case.options.job_name.clone_from(&behaviour.id);
        place(&mut case);
        match runner {
            Runner::Default => direct::run(case),
            _ => service::run(case),
        }
    }));
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.unwrap_or_else(|| "it panicked".into()))
    })
}

/// Stops all runners.
pub(crate) fn stop_all() {
    direct::stop();
    service::stop_all();
}
