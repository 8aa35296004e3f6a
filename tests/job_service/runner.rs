//! One runner for all tests of this process.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::LIMIT;

/// Kept so that its standard input stays open: it ends when this process does.
static RUNNER: OnceLock<(Child, String)> = OnceLock::new();

/// `host:port` of its job service.
pub(crate) fn endpoint() -> String {
    let (_, endpoint) = RUNNER.get_or_init(start);
    endpoint.clone()
}

/// Which runner it is.
pub(crate) fn name() -> String {
    env::var("FERROBEAM_RUNNER").unwrap_or_else(|_| "python".to_owned())
}

/// Where all goes that it prints.
fn log() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    folder.join(format!("job_service-{}.log", name()))
}

/// Its log, once these texts are in it.
pub(crate) fn log_with(texts: &[String]) -> String {
    let start = Instant::now();
    loop {
        let log = fs::read(log()).unwrap();
        let log = String::from_utf8_lossy(&log).into_owned();
        let missing = texts.iter().find(|text| !log.contains(*text));
        let Some(missing) = missing else {
            return log;
        };
        assert!(
            start.elapsed() < LIMIT,
            "{:?} never says {missing:?}",
            self::log()
        );
        // It is another process that writes: there is nothing to be woken by.
        thread::park_timeout(Duration::from_millis(20));
    }
}

/// Starts the runner. The program that starts it has a time limit of its own, so this waits for its answer.
#[allow(
    clippy::zombie_processes,
    reason = "it is kept for as long as this process lives"
)]
fn start() -> (Child, String) {
    let xtask = env::var_os("FERROBEAM_XTASK").expect(
        "FERROBEAM_XTASK is not set: it names the program that starts runners; run these tests by `cargo verify`",
    );
    let runner = name();
    let mut command = Command::new(xtask);
    match runner.as_str() {
        "prism" => command.arg("prism"),
        name => command.args(["job-server", name]),
    };
    command.arg("--log").arg(log());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    for line in output.lines() {
        if let Some(endpoint) = line.unwrap().strip_prefix("ENDPOINT=") {
            return (child, endpoint.to_owned());
        }
    }
    panic!("the runner {runner:?} did not come up; what it said stands above");
}
