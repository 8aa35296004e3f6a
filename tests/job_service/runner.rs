//! One runner for all tests of this process.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

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
