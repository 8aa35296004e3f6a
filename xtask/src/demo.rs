//! `cargo demo`: a Python pipeline whose words come from Rust.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::process::{self, Server};
use crate::project::Project;
use crate::runner::port_after;
use crate::tools::python;

/// The pipeline.
const SCRIPT: &str = "examples/from_python/wordcount.py";

/// The whole demo, with a first build and the download of Beam on a slow machine.
const WHOLE: Duration = Duration::from_secs(30 * 60);

/// The pipeline alone, which takes seconds.
const PIPELINE: Duration = Duration::from_secs(120);

/// Builds the binary, starts it, runs the pipeline against it, and says what happened.
///
/// # Errors
/// When one of these steps fails or the demo as a whole takes too long.
pub(crate) fn run(project: &Project) -> Result<()> {
    let deadline = Instant::now() + WHOLE;
    let left = || deadline.saturating_duration_since(Instant::now());

    println!("building the ferrobeam binary ...");
    let build = project.cargo(&["build", "--quiet", "--bin", "ferrobeam"]);
    process::run(build, left(), |_| ())?.ok()?;
    println!("looking for Apache Beam for Python ...");
    python::install(project)?;
    let (server, port) = serve(project, &project.logs.join("demo-service.log"))?;
    println!("`ferrobeam serve 0` offers its transforms on localhost:{port}");
    println!("running {SCRIPT} on Beam's Python runner; it prints:\n");
    let mut printed = false;
    process::run(word_count(project, port)?, PIPELINE.min(left()), |line| {
        // Warnings of Beam go to standard error; an error message would show them.
        if line.is_output {
            printed = true;
            println!("  {line}");
        }
    })?
    .ok()?;
    if !printed {
        bail!("{SCRIPT} printed no words");
    }
    drop(server);
    println!(
        "\nPython built and ran this pipeline; the transforms that it asked localhost:{port} for were expanded by the \
         binary and executed by Rust workers inside it. The server is stopped now."
    );
    Ok(())
}

/// Starts the built binary on a free port, which it prints as `PORT=<n>`.
pub(crate) fn serve(project: &Project, log: &Path) -> Result<(Server, u16)> {
    let mut command = Command::new(project.programs.join("ferrobeam"));
    command.args(["serve", "0"]);
    Server::start(command, log, Duration::from_secs(30), |line| {
        line.starts_with("PORT=")
            .then(|| port_after(line, "PORT="))?
    })
    .context("could not start the transform service")
}

/// The word count as a command that waits for more options.
pub(crate) fn word_count(project: &Project, port: u16) -> Result<Command> {
    let script = project.root.join(SCRIPT);
    if !script.is_file() {
        bail!("there is no {SCRIPT}");
    }
    let mut command = Command::new(python::install(project)?);
    command
        .arg(script)
        .arg("--service")
        .arg(format!("localhost:{port}"))
        .current_dir(&project.root);
    Ok(command)
}
