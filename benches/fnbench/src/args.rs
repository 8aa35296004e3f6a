//! The command line of `fnbench`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

/// Plays the runner for Fn API workers, and measures them.
#[derive(Parser, Debug)]
#[command(name = "fnbench", max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run one case of one scenario.
    Run(RunArgs),
    /// Run all scenarios of several workers and all ceilings, in turn, on a machine that others use too.
    Campaign(CampaignArgs),
    /// Print medians of all runs as a Markdown table.
    Summary(SummaryArgs),
    /// Print a Markdown table that puts two workers and the ceiling side by side.
    Compare(CompareArgs),
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// File that says how to start the worker.
    #[arg(long, value_name = "FILE")]
    pub harness: PathBuf,
    /// Folder of the scenario.
    #[arg(long, value_name = "FOLDER")]
    pub scenario: PathBuf,
    /// Name of the case.
    #[arg(long)]
    pub case: String,
    /// Clean runs that are wanted.
    #[arg(long, default_value_t = 1)]
    pub runs: usize,
    /// Attempts to get them; as many as runs unless given.
    #[arg(long)]
    pub max_tries: Option<usize>,
    /// Seconds to wait for a quiet machine before a run.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub wait_quiet_s: u64,
    /// Bundles to measure, instead of the case's.
    #[arg(long)]
    pub bundles: Option<usize>,
    /// Bundles before, instead of the case's.
    #[arg(long)]
    pub warmup: Option<usize>,
    /// Bundles in flight, instead of the case's.
    #[arg(long)]
    pub concurrency: Option<usize>,
    /// Elements in each bundle, instead of the case's.
    #[arg(long)]
    pub elements: Option<u64>,
    /// Where the output of the first measured bundle goes.
    #[arg(long, value_name = "FILE")]
    pub dump_output: Option<PathBuf>,
    /// Print each run as JSON, too.
    #[arg(long)]
    pub json: bool,
    /// Settings of every run.
    #[command(flatten)]
    pub settings: Settings,
}

/// Settings of every run.
#[derive(Args, Debug, Clone)]
pub struct Settings {
    /// File that each run is added to as a line of JSON.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Folder for output and logs of workers.
    #[arg(long, default_value = "target/fnbench/logs", value_name = "FOLDER")]
    pub log_dir: PathBuf,
    /// A remark that is recorded with each run.
    #[arg(long, default_value = "")]
    pub label: String,
    /// Runs count as clean while other processes together use fewer cores than this.
    #[arg(long, default_value_t = 0.2, value_name = "CORES")]
    pub max_foreign: f64,
    /// What a placeholder of the harness file stands for.
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<Assignment>,
    /// Hide warnings of the worker.
    #[arg(long)]
    pub quiet: bool,
    /// Size of a data message.
    #[arg(long, default_value_t = 1024, value_name = "KB", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub chunk_kb: u32,
    /// Size of a page of state.
    #[arg(long, default_value_t = 1024, value_name = "KB", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub page_kb: u32,
    /// Data messages that the driver queues before it waits.
    #[arg(long, default_value_t = 8)]
    pub queue: usize,
    /// Flow control window of HTTP/2.
    #[arg(long, default_value_t = 64, value_name = "MB", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub window_mb: u32,
    /// Largest frame of HTTP/2.
    #[arg(long, default_value_t = 256, value_name = "KB", value_parser = clap::value_parser!(u32).range(16..=16383))]
    pub frame_kb: u32,
    /// Send the input as part of the instruction, to workers that support it.
    #[arg(long)]
    pub embed: bool,
    /// Protocols that the runner says it supports; by default, output in responses.
    #[arg(long, value_name = "URN", default_values_t = [RESPONSE_EMBEDDING.to_owned()])]
    pub capability: Vec<String>,
    /// Ask for the progress of running bundles this often.
    #[arg(long, value_name = "MS")]
    pub progress_ms: Option<u64>,
    /// Processors for the driver.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub pin_driver: Option<Vec<usize>>,
    /// Processors for the worker.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub pin_harness: Option<Vec<usize>>,
    /// Time for the worker to settle between its start and the first bundle.
    #[arg(long, default_value_t = 500, value_name = "MS")]
    pub settle_ms: u64,
    /// How long one bundle may take.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub timeout_s: u64,
    /// Threads of the driver; none runs it on one thread without hand-overs, which is the fastest.
    #[arg(long, default_value_t = 0)]
    pub driver_threads: usize,
}

/// The runner takes output as part of responses.
const RESPONSE_EMBEDDING: &str = "beam:protocol:control_response_elements_embedding:v1";

/// Arguments of `campaign`.
#[derive(Args, Debug)]
pub struct CampaignArgs {
    /// A worker: the file that says how to start it, and the folder of its scenarios.
    #[arg(long, required = true, value_name = "FILE:FOLDER")]
    pub worker: Vec<WorkerSource>,
    /// The file that says how to start `fnsink`, and the folder of scenarios whose ceilings to measure.
    #[arg(long, value_name = "FILE:FOLDER")]
    pub ceiling: Option<WorkerSource>,
    /// Clean runs of each case.
    #[arg(long, default_value_t = 3)]
    pub want: usize,
    /// Minutes after which no run is started.
    #[arg(long, default_value_t = 60.0, value_name = "MINUTES")]
    pub deadline: f64,
    /// Minutes after which cases that have had no quiet moment run under load.
    #[arg(long, default_value_t = 15.0, value_name = "MINUTES")]
    pub dirty_after: f64,
    /// Only cases whose `scenario/case` contains one of these.
    #[arg(long, value_name = "TEXT")]
    pub only: Vec<String>,
    /// No cases whose `scenario/case` contains one of these.
    #[arg(long, value_name = "TEXT")]
    pub skip: Vec<String>,
    /// Settings of every run.
    #[command(flatten)]
    pub settings: Settings,
}

/// Arguments of `summary`.
#[derive(Args, Debug)]
pub struct SummaryArgs {
    /// Files of runs.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}

/// Arguments of `compare`.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// Files of runs.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The worker that is compared.
    #[arg(long, default_value = "rust")]
    pub ours: String,
    /// The worker that it is compared with.
    #[arg(long, default_value = "python")]
    pub theirs: String,
    /// Folder of scenarios, which say what the ceiling of each case is.
    #[arg(long, value_name = "FOLDER")]
    pub scenarios: PathBuf,
}

/// `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The placeholder, without braces.
    pub name: String,
    /// What it stands for.
    pub value: String,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Assignment {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("write NAME=VALUE".to_owned()),
        }
    }
}

/// `FILE:FOLDER`.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerSource {
    /// How to start the worker.
    pub harness: PathBuf,
    /// Its scenarios.
    pub scenarios: PathBuf,
}

impl FromStr for WorkerSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((harness, scenarios)) if !harness.is_empty() && !scenarios.is_empty() => {
                Ok(WorkerSource {
                    harness: harness.into(),
                    scenarios: scenarios.into(),
                })
            }
            _ => Err("write FILE:FOLDER".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn pairs_are_taken_apart() {
        let assignment: Assignment = "python=/a=b".parse().unwrap();
        assert_eq!(
            (assignment.name.as_str(), assignment.value.as_str()),
            ("python", "/a=b")
        );
        assert!("=x".parse::<Assignment>().is_err());
        let worker: WorkerSource = "a.json:scenarios/a".parse().unwrap();
        assert_eq!(worker.scenarios, PathBuf::from("scenarios/a"));
        assert!("a.json".parse::<WorkerSource>().is_err());
    }
}
