//! Pipelines of our own on the job service of a real runner, with the workers in this process.
//!
//! `FERROBEAM_XTASK` names the program that starts runners; `cargo verify` sets it. `FERROBEAM_RUNNER` says which one to
//! start: `python` by default, else `prism`, `flink` or `spark`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod functions;
mod jobs;
mod logs;
mod observed;
mod runner;
mod timers;
mod transforms;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ferrobeam::exec::Registry;
use ferrobeam::pipeline::{PCollection, Pipeline, PipelineOptions};
use ferrobeam::submit::{JobMetrics, JobState};
use tempfile::TempDir;

/// A busy machine needs a while for each of the many stages of a pipeline.
const LIMIT: Duration = Duration::from_secs(120);

/// Collections whose lines are written to files.
struct Outputs<'a> {
    folder: &'a TempDir,
}

impl Outputs<'_> {
    /// Writes the lines of a collection under `name`.
    fn write(&self, name: &str, lines: &PCollection<String>) {
        let path = self.folder.path().join(name);
        lines.write_lines(&format!("Write {name}"), path.to_str().unwrap());
    }
}

/// What a job left behind.
struct Ran {
    /// The lines of each file, sorted.
    lines: BTreeMap<String, Vec<String>>,
    metrics: JobMetrics,
}

impl Ran {
    fn lines(&self, name: &str) -> Vec<&str> {
        let lines = self.lines.get(name).map_or(&[][..], Vec::as_slice);
        lines.iter().map(String::as_str).collect()
    }
}

fn options() -> PipelineOptions {
    let mut options = PipelineOptions::default();
    options.job_endpoint = Some(runner::endpoint());
    options
}

/// Runs the pipeline that `place` places, to its end.
fn run(registry: Registry, place: impl FnOnce(&Pipeline, &Outputs<'_>)) -> Ran {
    let folder = TempDir::new().unwrap();
    let pipeline = Pipeline::new();
    place(&pipeline, &Outputs { folder: &folder });
    let mut job = pipeline.run(&options(), &Arc::new(registry)).unwrap();
    let state = job.wait(Some(LIMIT)).unwrap();
    assert_eq!(state, JobState::Done);
    let metrics = job.metrics().unwrap();
    let files = fs::read_dir(folder.path()).unwrap();
    let lines = files.map(|file| {
        let file = file.unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        (file.file_name().into_string().unwrap(), lines)
    });
    Ran {
        lines: lines.collect(),
        metrics,
    }
}
