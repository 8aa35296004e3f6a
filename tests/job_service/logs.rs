//! What functions log reaches the log of the runner.

use std::sync::Arc;

use ferrobeam::harness::install_logging;
use ferrobeam::pipeline::Pipeline;
use ferrobeam::prelude::*;
use ferrobeam::submit::JobState;
use serde::{Deserialize, Serialize};

use crate::functions::registry;
use crate::{LIMIT, options, runner};

/// Logs each number at five levels.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "test.Tell/v1")]
struct Tell;

impl DoFn for Tell {
    type In = i64;
    type Io = Out<i64>;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        tracing::trace!("told in a trace: {n}");
        tracing::debug!("told for debugging: {n}");
        tracing::info!("told by the way: {n}");
        tracing::warn!("told as a warning: {n}");
        tracing::error!("told as an error: {n}");
        out.emit(cx, n);
        Ok(())
    }
}

#[test]
fn log_entries_reach_the_log_of_the_runner() {
    install_logging();
    let mut registry = registry();
    registry.add::<Tell>();
    let pipeline = Pipeline::new();
    let numbers = pipeline.create("Numbers", [6174i64]);
    numbers.par_do("Tell", Tell);
    let mut job = pipeline.run(&options(), &Arc::new(registry)).unwrap();
    assert_eq!(job.wait(Some(LIMIT)).unwrap(), JobState::Done);
    // The last entries are sent before a worker ends, and the loopback workers end with this.
    drop(job);
    let told = ["by the way", "as a warning", "as an error"];
    let texts = told.map(|how| format!("told {how}: 6174"));
    let log = runner::log_with(&texts);
    let entries = texts.map(|text| {
        let at = log.find(&text).unwrap();
        let line = log[..at].rfind('\n').map_or(0, |end| end + 1);
        (&log[line..at], &log[at..])
    });
    match runner::name().as_str() {
        // An entry has several lines: the next ones say where it comes from.
        "python" => {
            for (_, rest) in entries {
                let entry: Vec<&str> = rest.lines().take_while(|line| !line.is_empty()).collect();
                let says = |what: &str| entry.iter().any(|line| line.starts_with(what));
                assert!(says("instruction_id: \"bundle_"), "{entry:?}");
                assert!(says("transform_id: \"Tell\""), "{entry:?}");
                assert!(
                    says("log_location: \"tests/job_service/logs.rs:"),
                    "{entry:?}"
                );
            }
        }
        // It tells where an entry comes from only when it is debugged.
        "prism" => {
            let levels = ["INFO", "WARN", "ERROR"];
            for ((before, _), level) in entries.into_iter().zip(levels) {
                assert!(
                    before.contains(&format!("level={level} msg=\"[SDK] ")),
                    "{before}"
                );
            }
        }
        _ => {}
    }
    // Workers send what is of the level that they are told, or above.
    assert!(!log.contains("told in a trace") && !log.contains("told for debugging"));
}
