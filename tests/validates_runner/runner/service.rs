//! Runners with a job service, each started when its first pipeline comes.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use ferrobeam::pipeline::Workers;
use ferrobeam::submit::{JobMetrics, JobState, PipelineResult};

use super::{LIMIT, Runner, pool};
use crate::case::{Case, Ran, judge};

/// After this many jobs a server of Spark is replaced: it keeps what jobs leave behind.
const JOBS_OF_SPARK: usize = 25;

/// A server that runs. It ends when its standard input closes.
struct Server {
    child: Child,
    endpoint: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[derive(Default)]
struct Slot {
    server: Option<Arc<Server>>,
    /// Jobs that were given to the server.
    jobs: usize,
}

static SLOTS: Mutex<BTreeMap<Runner, Slot>> = Mutex::new(BTreeMap::new());

/// Spark has one context for each process.
static SPARK: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// Stops all servers.
pub(super) fn stop_all() {
    SLOTS.lock().unwrap().clear();
}

fn server(runner: Runner) -> Result<Arc<Server>, String> {
    let mut slots = SLOTS.lock().unwrap();
    let slot = slots.entry(process_of(runner)).or_default();
    if runner == Runner::Spark && slot.jobs == JOBS_OF_SPARK {
        *slot = Slot::default();
    }
    slot.jobs += 1;
    if let Some(server) = &slot.server {
        return Ok(server.clone());
    }
    let server = Arc::new(start(runner)?);
    slot.server = Some(server.clone());
    Ok(server)
}

/// Both ways to use Flink share a server.
fn process_of(runner: Runner) -> Runner {
    match runner {
        Runner::FlinkStreaming => Runner::Flink,
        other => other,
    }
}

/// Forgets a server that is not to be trusted any more. Jobs that still run there go on.
fn abandon(runner: Runner, server: &Arc<Server>) {
    let mut slots = SLOTS.lock().unwrap();
    let slot = slots.entry(process_of(runner)).or_default();
    if slot
        .server
        .as_ref()
        .is_some_and(|current| Arc::ptr_eq(current, server))
    {
        *slot = Slot::default();
    }
}

/// Starts a server. The program that starts it has a time limit of its own, so this waits for its answer.
fn start(runner: Runner) -> Result<Server, String> {
    let xtask = env::var_os("FERROBEAM_XTASK").ok_or(
        "FERROBEAM_XTASK is not set: it names the program that starts runners; run these tests by `cargo verify`",
    )?;
    let mut command = Command::new(xtask);
    match process_of(runner) {
        Runner::Prism => command.arg("prism"),
        other => command.args(["job-server", other.name()]),
    };
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|e| format!("{runner:?} cannot be started: {e}"))?;
    let output = BufReader::new(child.stdout.take().unwrap());
    for line in output.lines().map_while(Result::ok) {
        if let Some(endpoint) = line.strip_prefix("ENDPOINT=") {
            let endpoint = endpoint.to_owned();
            return Ok(Server { child, endpoint });
        }
    }
    let _ = child.wait();
    Err(format!(
        "{runner:?} did not come up; what it said stands above"
    ))
}

/// Runs a pipeline.
pub(super) fn run(mut case: Case) -> Result<(), String> {
    let runner = case.runner;
    let _turn = (runner == Runner::Spark).then(Turn::take);
    let server = server(runner)?;
    let options = &mut case.options;
    options.job_endpoint = Some(server.endpoint.clone());
    options.workers = Workers::In(pool::environment());
    match runner {
        Runner::Flink => options.add("parallelism", Some("1".into())),
        Runner::FlinkStreaming => {
            options.add("parallelism", Some("1".into()));
            options.add("streaming", None);
        }
        Runner::Spark => options.add("environment_cache_millis", Some("10000".into())),
        Runner::Default | Runner::Python | Runner::Prism => {}
    }
    let mut job = match case.p.run(&case.options, &pool::registry()) {
        Ok(job) => job,
        Err(error) => {
            let ran = Ran {
                failure: Some(error.to_string()),
                metrics: JobMetrics::default(),
            };
            return judge(case, ran);
        }
    };
    let outcome = follow(&mut job).and_then(|ran| judge(case, ran));
    // A job that has not ended keeps the server from working, and a server that is gone does not come back.
    if !job.state().is_ok_and(JobState::is_final) {
        let _ = job.cancel();
        abandon(runner, &server);
    }
    outcome
}

fn follow(job: &mut PipelineResult) -> Result<Ran, String> {
    let failure = match job.wait(Some(LIMIT)) {
        Ok(JobState::Done) => None,
        Ok(JobState::Starting | JobState::Running | JobState::Ending) => {
            return Err(format!("the job did not end within {} s", LIMIT.as_secs()));
        }
        Ok(state) => Some(format!("the job is {state}")),
        Err(error) => Some(error.to_string()),
    };
    let metrics = match &failure {
        None => job.metrics().map_err(|error| error.to_string())?,
        Some(_) => JobMetrics::default(),
    };
    Ok(Ran { failure, metrics })
}

/// The right to give Spark a job.
struct Turn;

impl Turn {
    fn take() -> Self {
        let taken = SPARK.0.lock().unwrap();
        *SPARK.1.wait_while(taken, |taken| *taken).unwrap() = true;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *SPARK.0.lock().unwrap() = false;
        SPARK.1.notify_one();
    }
}
