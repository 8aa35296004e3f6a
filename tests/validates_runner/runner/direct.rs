//! Python's default runner: a process of `fn_api_runner.py`, which answers a line for each pipeline.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use beam_proto::job::MetricResults;
use ferrobeam::submit::JobMetrics;
use prost::Message;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{LIMIT, pool};
use crate::case::{Case, Ran, judge};
use crate::table;

#[derive(Serialize)]
struct Ask<'a> {
    id: usize,
    /// The file of the pipeline's proto.
    pipeline: &'a str,
    /// Where its metrics are to be written.
    metrics: &'a str,
    /// Options, as flags.
    options: Vec<String>,
    /// Whether it is drained.
    drains: bool,
}

#[derive(Deserialize)]
struct Answer {
    id: usize,
    error: Option<String>,
}

type Waiting = Arc<Mutex<HashMap<usize, SyncSender<Answer>>>>;

struct Process {
    child: Child,
    input: ChildStdin,
    waiting: Waiting,
    asked: usize,
    folder: Arc<TempDir>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

static PROCESS: Mutex<Option<Process>> = Mutex::new(None);

/// Stops the process.
pub(super) fn stop() {
    drop(PROCESS.lock().unwrap().take());
}

fn start() -> Result<Process, String> {
    let python = env::var_os("FERROBEAM_PYTHON").ok_or(
        "FERROBEAM_PYTHON is not set: it names an interpreter with Beam; run these tests by `cargo verify`",
    )?;
    let child = Command::new(python)
        .arg(table::path("tests/validates_runner/fn_api_runner.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|e| format!("Python cannot be started: {e}"))?;
    let output = BufReader::new(child.stdout.take().unwrap());
    let waiting = Waiting::default();
    let answered = waiting.clone();
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let answer: Answer = serde_json::from_str(&line).unwrap();
            let asker = answered.lock().unwrap().remove(&answer.id);
            if let Some(asker) = asker {
                // Whoever asked may have given up.
                let _ = asker.try_send(answer);
            }
        }
        // Nobody is answered any more.
        answered.lock().unwrap().clear();
    });
    Ok(Process {
        input: child.stdin.take().unwrap(),
        child,
        waiting,
        asked: 0,
        folder: Arc::new(TempDir::new().unwrap()),
    })
}

/// The only option of a case that means something to this runner: when to split which stages.
const SPLITS: &str = "direct_test_splits";

/// Runs a pipeline.
pub(super) fn run(mut case: Case) -> Result<(), String> {
    let splits = case.options.take(SPLITS);
    let built = case.p.build(&pool::environment().to_proto());
    let pipeline = match built {
        Ok(built) => built.into_proto(),
        Err(error) => {
            let ran = Ran {
                failure: Some(error.to_string()),
                metrics: JobMetrics::default(),
            };
            return judge(case, ran);
        }
    };
    let (folder, id, answer) = {
        let mut process = PROCESS.lock().unwrap();
        let process = match &mut *process {
            Some(process) => process,
            none => none.insert(start()?),
        };
        process.asked += 1;
        let id = process.asked;
        let (asker, answer) = sync_channel(1);
        process.waiting.lock().unwrap().insert(id, asker);
        let file = |name: &str| {
            process
                .folder
                .path()
                .join(format!("{id}.{name}"))
                .to_string_lossy()
                .into_owned()
        };
        fs::write(file("pipeline"), pipeline.encode_to_vec()).unwrap();
        let ask = Ask {
            id,
            pipeline: &file("pipeline"),
            metrics: &file("metrics"),
            options: Vec::from_iter(splits.map(|splits| format!("--{SPLITS}={splits}"))),
            drains: case.drains,
        };
        let line = serde_json::to_string(&ask).unwrap();
        writeln!(process.input, "{line}").map_err(|e| format!("Python does not listen: {e}"))?;
        (process.folder.clone(), id, answer)
    };
    let answer: Answer = match answer.recv_timeout(LIMIT) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout) => {
            stop();
            return Err(format!(
                "the pipeline did not end within {} s",
                LIMIT.as_secs()
            ));
        }
        Err(RecvTimeoutError::Disconnected) => {
            stop();
            return Err("Python ended while the pipeline ran".into());
        }
    };
    let metrics = match answer.error {
        Some(_) => JobMetrics::default(),
        None => {
            let bytes = fs::read(folder.path().join(format!("{id}.metrics"))).unwrap();
            let results = MetricResults::decode(&bytes[..]).unwrap();
            JobMetrics::of(results, &pipeline).map_err(|error| error.to_string())?
        }
    };
    judge(
        case,
        Ran {
            failure: answer.error,
            metrics,
        },
    )
}
