//! Project commands: what `cargo demo`, `cargo verify` and `cargo xtask` run.

mod bench;
mod demo;
mod process;
mod project;
mod runner;
mod tools;
mod verify;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::project::Project;
use crate::runner::Runner;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo                                           count words in a Python pipeline whose words come from Rust
  verify [PART...]                               run every check, or the parts named
  job-server python|flink|spark [--log FILE]     start a runner's job service
  prism [--log FILE]                             start Prism
  features                                       run every behaviour on every runner, write the table in README.md
  bench [check] [--profile NAME] [OPTION...]     compare our worker with Python's and the ceiling (benches/README.md)
  tool python|prism                              make the tool if it is absent, print the path of its program

A runner prints ENDPOINT=host:port once it accepts jobs and stays up until its standard input ends.
Tools are kept in $FERROBEAM_CACHE, else $XDG_CACHE_HOME/ferrobeam, else ~/.cache/ferrobeam.
";

fn main() -> ExitCode {
    let result = process::watch_signals().and_then(|()| {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        dispatch(&arguments)
    });
    match result {
        _ if process::interrupted() => ExitCode::from(130),
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[&str]) -> Result<ExitCode> {
    if let [] | ["help" | "--help" | "-h", ..] = arguments {
        print!("{USAGE}\nparts of verify:\n{}", verify::list());
        return Ok(ExitCode::SUCCESS);
    }
    let project = Project::locate()?;
    match arguments {
        ["demo"] => demo::run(&project)?,
        ["features"] => verify::features(&project)?,
        ["bench", arguments @ ..] => bench::run(&project, arguments)?,
        ["verify", parts @ ..] => return verify::run(&project, parts),
        ["job-server", name, options @ ..] => {
            let runner = match *name {
                "python" => Runner::Python,
                "flink" => Runner::Flink,
                "spark" => Runner::Spark,
                other => bail!("no job server is called `{other}`: say python, flink or spark"),
            };
            runner::serve(&project, runner, log_option(options)?)?;
        }
        ["prism", options @ ..] => {
            runner::serve(&project, Runner::Prism, log_option(options)?)?;
        }
        ["tool", name] => {
            let path = match *name {
                "python" => tools::python::install(&project)?,
                "prism" => tools::prism::install(&project)?,
                other => bail!("no tool is called `{other}`: say python or prism"),
            };
            println!("{}", path.display());
        }
        _ => bail!("`{}` is not a command\n\n{USAGE}", arguments.join(" ")),
    }
    Ok(ExitCode::SUCCESS)
}

/// The file after `--log`, if the options name one.
fn log_option<'a>(options: &[&'a str]) -> Result<Option<&'a str>> {
    match options {
        [] => Ok(None),
        ["--log", file] => Ok(Some(file)),
        _ => Err(anyhow::anyhow!("the only option is `--log FILE`"))
            .with_context(|| format!("cannot use `{}`", options.join(" "))),
    }
}
