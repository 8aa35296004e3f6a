//! What is left of a bundle that failed, where the runner tries again.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{LazyLock, Mutex};

use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::functions::{pair, unique};
use super::rows;
use crate::behaviour::How;
use crate::case::Case;
use crate::runner::Runner;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs state_after_failure,
    Runs metric_in_failed_bundle,
];

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<FailsOnce>();
}

/// Counts numbers in state and in a metric. Fails at the third of a job, but only once.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.FailsOnce/v1")]
struct FailsOnce {
    job: String,
}

#[derive(Ports)]
struct FailsOnceIo {
    counted: Out<String>,
    count: ValueState<i64>,
    seen: Counter,
}

/// The jobs that have failed.
static FAILED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

impl DoFn for FailsOnce {
    type In = Kv<String, i64>;
    type Io = FailsOnceIo;

    fn process(&mut self, Kv(key, _): Self::In, cx: &mut Cx<'_>, io: &mut FailsOnceIo) -> Result {
        let count = io.count.read()?.copied().unwrap_or(0) + 1;
        io.count.write(count)?;
        io.seen.inc();
        io.counted.emit(cx, format!("{key} {count}"));
        if count == 3 && FAILED.lock().unwrap().insert(self.job.clone()) {
            return Err(Error::user("the first attempt fails"));
        }
        Ok(())
    }
}

/// A configuration by which Flink tries jobs again.
static FLINK: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a place for files");
    let text = "restart-strategy.type: fixed-delay\n\
                restart-strategy.fixed-delay.attempts: 1\n\
                restart-strategy.fixed-delay.delay: 10 ms\n";
    fs::write(folder.path().join("flink-conf.yaml"), text).expect("room for a file");
    folder
});

/// Four numbers of a key are counted, at the second attempt.
fn counted(case: &mut Case) {
    match case.runner {
        Runner::FlinkStreaming => {
            let retries = Some("1".to_owned());
            case.options.add("number_of_execution_retries", retries);
        }
        // For batch jobs it reads no option, but its own configuration.
        Runner::Flink => {
            let folder = FLINK.path().to_string_lossy().into_owned();
            case.options.add("flink_conf_dir", Some(folder));
        }
        // The second number says how often a task may fail.
        Runner::Spark => case.options.add("spark_master", Some("local[1,2]".into())),
        Runner::Default | Runner::Python | Runner::Prism => {}
    }
    let job = unique("job");
    let counted = case
        .p
        .create("Numbers", [1, 2, 3, 4].map(|n: i64| pair("k", n)))
        .par_do("Count", FailsOnce { job: job.clone() })
        .counted;
    case.expect(&counted)
        .contains_in_any_order(["k 1", "k 2", "k 3", "k 4"].map(str::to_owned));
    case.metrics(move |_| assert!(FAILED.lock().unwrap().contains(&job)));
}

fn state_after_failure(case: &mut Case) {
    counted(case);
}

fn metric_in_failed_bundle(case: &mut Case) {
    counted(case);
    case.metrics(|metrics| assert_eq!(metrics.counter("vr.FailsOnce", "seen"), Some(4)));
}
