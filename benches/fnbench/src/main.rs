//! The program `fnbench`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use fnbench::args::{Cli, Command, Settings};
use fnbench::{campaign, report, run};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match execute(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fnbench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: &Command) -> Result<()> {
    match command {
        Command::Run(args) => drive(&args.settings, run::run(args)),
        Command::Campaign(args) => drive(&args.settings, campaign::run(args)),
        Command::Summary(args) => report::summary(args),
        Command::Compare(args) => report::compare(args),
    }
}

/// Runs `work` on the driver's threads. When this program is told to stop, `work` is dropped, and its worker with it.
fn drive(settings: &Settings, work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = runtime(settings)?;
    let outcome = runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate()).context("cannot wait for signals")?;
        tokio::select! {
            outcome = Box::pin(work) => outcome,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminated.recv() => bail!("told to stop"),
        }
    });
    runtime.shutdown_background();
    outcome
}

fn runtime(settings: &Settings) -> Result<Runtime> {
    if let Some(processors) = &settings.pin_driver {
        fnbench::pin(processors)?;
    }
    let mut builder = match settings.driver_threads {
        0 => Builder::new_current_thread(),
        threads => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    builder
        .enable_all()
        .build()
        .context("cannot start the driver's runtime")
}
