//! Runners with a job service of their own, started for a test and stopped with it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::process::{Server, TICK, with_memory_limit};
use crate::project::Project;
use crate::tools::{job_server, prism, python};

const GIB: u64 = 1 << 30;

/// Python and Go runners loop until memory ends where a worker misbehaves. A few GiB are ample for test data.
const MEMORY: u64 = 6 * GIB;

/// A JVM reserves about twice its heap of 2 GiB, and more as threads come.
const JVM_MEMORY: u64 = 8 * GIB;

/// A JVM on a busy machine.
const START: Duration = Duration::from_secs(90);

/// A runner that we can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// Beam's job service in Python.
    Python,
    /// Beam's runner in Go.
    Prism,
    /// Flink with an embedded cluster.
    Flink,
    /// Spark with an embedded cluster.
    Spark,
}

impl Runner {
    /// The word for it on the command line and in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Prism => "prism",
            Self::Flink => "flink",
            Self::Spark => "spark",
        }
    }

    /// What stands before the port in the line that announces the job service.
    fn announcement(self) -> &'static str {
        match self {
            Self::Python => "Listening for beam jobs on port ",
            Self::Prism => "msg=\"Serving JobManagement\" endpoint=localhost:",
            Self::Flink | Self::Spark => "JobService started on localhost:",
        }
    }

    fn command(self, project: &Project, scratch: &Path) -> Result<Command> {
        let mut command;
        match self {
            Self::Python => {
                command = with_memory_limit(python::install(project)?, MEMORY);
                command
                    .args([
                        "-m",
                        "apache_beam.runners.portability.local_job_service_main",
                    ])
                    .arg("--job_port=0")
                    .arg("--staging_dir")
                    .arg(scratch);
            }
            Self::Prism => {
                command = with_memory_limit(prism::install(project)?, MEMORY);
                command.args(["--job_port=0", "--serve_http=false", "--log_kind=text"]);
            }
            Self::Flink => {
                let main = "org.apache.beam.runners.flink.FlinkJobServerDriver";
                command = java_command(project, self.name(), main, scratch)?;
            }
            Self::Spark => {
                let main = "org.apache.beam.runners.spark.SparkJobServerDriver";
                command = java_command(project, self.name(), main, scratch)?;
            }
        }
        command.current_dir(scratch);
        Ok(command)
    }
}

fn java_command(project: &Project, name: &str, main: &str, scratch: &Path) -> Result<Command> {
    /// Packages into which Flink's and Spark's serializers look.
    const OPENED: [&str; 14] = [
        "java.io",
        "java.lang",
        "java.lang.invoke",
        "java.lang.reflect",
        "java.net",
        "java.nio",
        "java.time",
        "java.util",
        "java.util.concurrent",
        "java.util.concurrent.atomic",
        "sun.nio.ch",
        "sun.nio.cs",
        "sun.security.action",
        "sun.util.calendar",
    ];
    let class_path = job_server::class_path(project, name)?;
    let mut command = with_memory_limit(job_server::java()?, JVM_MEMORY);
    command
        .arg("-Xmx2g")
        .args(OPENED.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")))
        .arg("-cp")
        .arg(class_path)
        .arg(main)
        .args(["--job-port=0", "--artifact-port=0", "--expansion-port=-1"])
        .arg(format!("--artifacts-dir={}", scratch.display()))
        // glibc reserves 64 MiB per arena and several arenas per core, which would count against the limit.
        .env("MALLOC_ARENA_MAX", "2");
    Ok(command)
}

/// A runner that accepts jobs. Dropping it stops it.
pub(crate) struct JobService {
    /// Where it accepts jobs, as `host:port`.
    pub(crate) endpoint: String,
    server: Server,
    /// Staged files, removed after the server has stopped.
    _scratch: TempDir,
}

impl JobService {
    /// Installs a runner if need be, starts it on a free port, and waits until it accepts jobs.
    ///
    /// # Errors
    /// When the runner cannot be installed or does not come up.
    pub(crate) fn start(project: &Project, runner: Runner, log: &Path) -> Result<Self> {
        let scratch = TempDir::with_prefix("ferrobeam-").context("could not make a folder")?;
        let command = runner.command(project, scratch.path())?;
        let (server, endpoint) = Server::start(command, log, START, |line| {
            port_after(line, runner.announcement()).map(|port| format!("localhost:{port}"))
        })
        .with_context(|| format!("could not start {}", runner.name()))?;
        Ok(Self {
            endpoint,
            server,
            _scratch: scratch,
        })
    }
}

/// The port number that follows `announcement` in a line.
pub(crate) fn port_after(line: &str, announcement: &str) -> Option<u16> {
    let (_, rest) = line.split_once(announcement)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Starts a runner, prints its endpoint, and keeps it up until standard input ends, this program is told to stop, or the
/// runner fails. A caller that dies closes our input, so no runner is left behind.
///
/// # Errors
/// When the runner does not start or ends by itself.
pub(crate) fn serve(project: &Project, runner: Runner, log: Option<&str>) -> Result<()> {
    let log = match log {
        Some(file) => PathBuf::from(file),
        None => project.logs.join(format!("{}.log", runner.name())),
    };
    let mut service = JobService::start(project, runner, &log)?;
    let mut output = io::stdout();
    writeln!(output, "ENDPOINT={}", service.endpoint)?;
    output.flush()?;

    let (ended, input_ended) = sync_channel::<()>(0);
    thread::spawn(move || {
        let _read = io::copy(&mut io::stdin(), &mut io::sink());
        drop(ended);
    });
    while let Err(RecvTimeoutError::Timeout) = input_ended.recv_timeout(TICK) {
        service
            .server
            .alive()
            .with_context(|| format!("{} stopped, its log is {}", runner.name(), log.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_the_lines_of_every_runner() {
        for (runner, line) in [
            (
                Runner::Python,
                "INFO:__main__:Listening for beam jobs on port 45123.",
            ),
            (
                Runner::Prism,
                "level=INFO msg=\"Serving JobManagement\" endpoint=localhost:45123",
            ),
            (Runner::Flink, "INFO: JobService started on localhost:45123"),
        ] {
            assert_eq!(
                port_after(line, runner.announcement()),
                Some(45123),
                "{runner:?}"
            );
        }
    }

    #[test]
    fn other_lines_hold_no_port() {
        let announcement = Runner::Flink.announcement();
        for line in [
            "INFO: ArtifactStagingService started on localhost:45124",
            "INFO: JobService started on localhost:",
            "INFO: JobService started on localhost:99999",
        ] {
            assert_eq!(port_after(line, announcement), None, "{line}");
        }
    }
}
