//! The one binary: a user's functions and transforms, in every role that a pipeline needs.
//!
//! ```no_run
//! use ferrobeam::cli::{self, App};
//!
//! fn main() -> std::process::ExitCode {
//!     cli::run(App::new())
//! }
//! ```
//!
//! | command | what it does |
//! |---|---|
//! | `serve [PORT]`, or just `PORT` | offers the transforms to other SDKs, with a pool of workers on the same port |
//! | `worker --id=… --provision_endpoint=…` | is a worker; runners start the binary like this, with or without the word |
//! | `pool [PORT]` | starts workers in this process when a runner asks for them |
//! | `list` | prints the names of all transforms |
//! | `describe [--format=md\|json\|yaml-provider]` | prints what they do and how they are configured |

mod args;
mod command;
mod describe;
mod listen;
mod serve;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::exec::Registry;
use crate::expansion::Catalogue;
use crate::harness::{self, worker};
use command::Command;

/// What a binary holds: functions that its workers run, and transforms that it offers.
pub struct App {
    registry: Registry,
    catalogue: Catalogue,
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl App {
    /// An application with nothing but what ferrobeam itself brings.
    pub fn new() -> Self {
        App {
            registry: Registry::new(),
            catalogue: Catalogue::new(),
        }
    }

    /// Adds functions: those that the transforms use, and those of pipelines that this binary is the worker of.
    #[must_use]
    pub fn functions(mut self, register: impl FnOnce(&mut Registry)) -> Self {
        register(&mut self.registry);
        self
    }

    /// Adds transforms.
    #[must_use]
    pub fn transforms(mut self, offer: impl FnOnce(&mut Catalogue)) -> Self {
        offer(&mut self.catalogue);
        self
    }
}

/// Does what the command line asks for, and says how it ended: for `main` of a user's binary.
///
/// A failure is one line on standard error.
pub fn run(app: App) -> ExitCode {
    let args = std::env::args_os().skip(1);
    let args = args.map(|arg| arg.to_string_lossy().into_owned());
    match command::parse(args, |name| std::env::var(name).ok()).and_then(|(command, unknown)| {
        for word in unknown {
            eprintln!("{}: {word} means nothing here and is ignored", name());
        }
        execute(app, command)
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", name());
            ExitCode::FAILURE
        }
    }
}

fn execute(app: App, command: Command) -> Result<()> {
    app.registry.check()?;
    // Roles that do more than print have workers in this process, whose runners want to hear of them.
    harness::install_logging();
    match command {
        Command::Serve(options) => serve::serve(app, options),
        Command::Pool(listen) => serve::pool(app, &listen),
        Command::Worker(options) => worker::run(options.into(), Arc::new(app.registry)),
        Command::List => print(&describe::list(&app.catalogue)),
        Command::Describe(format, address) => {
            app.catalogue.check()?;
            print(&describe::describe(&app.catalogue, format, &address))
        }
        Command::Help => print(&help()),
        Command::Version => print(concat!("ferrobeam ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

/// Prints to standard output. A reader that has seen enough, such as `head`, is no failure.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::config("cannot write to standard output").because(e))
        }
        _ => Ok(()),
    }
}

/// The name that the binary was started under.
fn name() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&path).file_name();
    name.map_or_else(|| "ferrobeam".into(), |n| n.to_string_lossy().into_owned())
}

fn help() -> String {
    format!(
        "usage: {} COMMAND [OPTIONS]

  serve [PORT]   offer the transforms to other SDKs, and run their functions; the default port is 8097,
                 0 is any free one, and the line PORT=<n> on standard output says which
      --env=WAY         how runners start workers: docker, external (a pool, by default this service),
                        process, subprocess, or several joined by a plus sign
      --image=IMAGE     the container image for docker
      --address=HOST[:PORT]  where runners find the pool, if not on localhost and the same port
      --artifact=[NAME=]FILE a file that runners bring to workers in containers; may be repeated
      --bind=IP         listen on this address instead of 127.0.0.1 and ::1
  worker         run functions for a runner, which starts this binary with --id and endpoints
  pool [PORT]    start workers in this process when a runner asks; the default port is 50000
      --bind=IP
  list           print the names of all transforms
  describe       print what the transforms do and how they are configured
      --format=md|json|yaml-provider
      --address=HOST:PORT    the service in a yaml-provider
  help, version

A port alone means serve. Flags without a command that only a worker has mean worker.
",
        name()
    )
}
