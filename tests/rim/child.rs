//! Tests in a process of their own: for what ends the process, and for what is measured of it.

use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use ferrobeam::exec::Registry;
use ferrobeam::harness::{Options, install_logging, worker};
use ferrobeam::testing::FakeRunner;

use crate::support::registry;

const NAME: &str = "FERROBEAM_TEST_CHILD";

/// Where a worker in another process finds its runner.
const PROVISION: &str = "FERROBEAM_TEST_PROVISION";

/// How long a child may live.
const LONGEST: Duration = Duration::from_secs(60);

/// A test in a child process, which is killed with its owner.
pub(crate) struct Running {
    test: String,
    child: Option<Child>,
}

/// Whether this process is the child that runs a test.
pub(crate) fn is_for(test: &str) -> bool {
    std::env::var(NAME).is_ok_and(|name| name == test)
}

/// Starts a child process that runs one test, given its full name; there, [`is_for`] tells.
pub(crate) fn spawn(test: &str, variables: &[(&str, &str)]) -> Running {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", test])
        .env(NAME, test)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Running {
        test: test.to_owned(),
        child: Some(child),
    }
}

/// Starts a test in a process of its own, in which it calls [`work`]. The runner has no worker and is one that
/// provisions. Memory that the worker frees goes back to the system, so that what is measured is what it holds.
pub(crate) fn worker_of(runner: &FakeRunner, test: &str) -> Running {
    let provision = runner.options().provision_endpoint.unwrap();
    let frees_at_once = ("MALLOC_MMAP_THRESHOLD_", "131072");
    spawn(test, &[(PROVISION, &provision), frees_at_once])
}

/// Runs a worker until its end.
pub(crate) fn work() {
    work_with(registry());
}

/// Runs a worker with these functions until its end.
pub(crate) fn work_with(functions: Registry) {
    install_logging();
    let options = Options {
        id: "worker-1".into(),
        provision_endpoint: Some(std::env::var(PROVISION).unwrap()),
        ..Options::default()
    };
    worker::run(options, Arc::new(functions)).unwrap();
}

impl Running {
    /// Tells the child to end, as whoever stops a container does.
    pub(crate) fn terminate(&self) {
        let id = self.child.as_ref().map(Child::id).unwrap().to_string();
        let status = Command::new("kill").args(["-TERM", &id]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end of the child. Yields what it said.
    pub(crate) fn output(mut self) -> Output {
        let child = self.child.take().unwrap();
        let id = child.id();
        let (ended, outcome) = sync_channel(1);
        std::thread::spawn(move || ended.send(child.wait_with_output()));
        match outcome.recv_timeout(LONGEST) {
            Ok(output) => output.unwrap(),
            Err(_) => {
                let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
                panic!("{} did not end within {LONGEST:?}", self.test);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a test in a child process. `test` is the full name of the test that calls this; in the child it runs `work`
/// and yields nothing, in the parent it yields what the child said.
pub(crate) fn output(test: &str, work: impl FnOnce()) -> Option<Output> {
    if is_for(test) {
        work();
        return None;
    }
    Some(spawn(test, &[]).output())
}

/// Runs a test that must succeed in a child process.
pub(crate) fn run(test: &str, work: impl FnOnce()) {
    let Some(output) = output(test, work) else {
        return;
    };
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{test} failed\n{}\n{}",
        said(&output.stdout),
        said(&output.stderr)
    );
}
