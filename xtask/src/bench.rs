//! `cargo xtask bench`: our worker, Python's, and the ceiling on the same load. `benches/README.md` explains it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::process::{self, describe};
use crate::project::Project;
use crate::tools::python;

/// The load driver's package.
const PACKAGE: &str = "benches/fnbench";

/// What ships; a build takes minutes.
const PROFILE: &str = "worker";

/// A build with link-time optimization on two cores, with room.
const BUILD: Duration = Duration::from_secs(60 * 60);

/// Making the scenarios, or checking the outputs of all of them.
const SCRIPT: Duration = Duration::from_secs(15 * 60);

/// A campaign has a deadline of its own.
const CAMPAIGN: Duration = Duration::from_secs(48 * 60 * 60);

/// What was asked for.
#[derive(Debug, PartialEq)]
struct Request {
    /// Check the outputs, and measure nothing.
    check: bool,
    /// Cargo's profile for the worker.
    profile: String,
    /// File of runs to go on with.
    out: Option<PathBuf>,
    /// For `fnbench campaign`.
    others: Vec<String>,
}

impl Request {
    fn parse(arguments: &[&str]) -> Result<Self> {
        let mut request = Request {
            check: false,
            profile: PROFILE.to_owned(),
            out: None,
            others: Vec::new(),
        };
        let mut arguments = arguments.iter().copied();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next();
                value.with_context(|| format!("say what `{argument}` is"))
            };
            match argument {
                "check" => request.check = true,
                "--profile" => value()?.clone_into(&mut request.profile),
                "--out" => request.out = Some(value()?.into()),
                other => request.others.push(other.to_owned()),
            }
        }
        if request.check && !request.others.is_empty() {
            bail!(
                "`check` measures nothing, so `{}` means nothing",
                request.others.join(" ")
            );
        }
        Ok(request)
    }
}

/// Builds, makes the scenarios, checks the outputs of all workers, measures, and prints the table.
///
/// # Errors
/// When a step fails, or a worker puts out what it should not.
pub(crate) fn run(project: &Project, arguments: &[&str]) -> Result<()> {
    let request = Request::parse(arguments)?;
    let bench = Bench::build(project, &request.profile)?;
    bench.export()?;
    bench.check()?;
    if request.check {
        return Ok(());
    }
    let out = match request.out {
        Some(out) => out,
        None => free_name(&bench.folder, &request.profile)?,
    };
    bench.campaign(&out, &request.others)?;
    bench.tables(&out)
}

/// What was built, and where things go.
struct Bench<'a> {
    project: &'a Project,
    python: PathBuf,
    /// Our worker.
    worker: PathBuf,
    /// The load driver; the sink is next to it.
    driver: PathBuf,
    /// Scenarios, logs and results.
    folder: PathBuf,
}

impl<'a> Bench<'a> {
    fn build(project: &'a Project, profile: &str) -> Result<Self> {
        let python = python::install(project)?;
        step(
            project.cargo(&["build", "--release", "--package", "fnbench", "--bins"]),
            BUILD,
        )?;
        step(
            project.cargo(&["build", "--profile", profile, "--example", "bench_worker"]),
            BUILD,
        )?;
        let target = project
            .programs
            .parent()
            .context("there is no target folder")?;
        let built = if profile == "dev" { "debug" } else { profile };
        Ok(Bench {
            project,
            python,
            worker: target.join(built).join("examples/bench_worker"),
            driver: target.join("release/fnbench"),
            folder: target.join("fnbench"),
        })
    }

    fn file(&self, path: &str) -> PathBuf {
        self.project.root.join(PACKAGE).join(path)
    }

    fn scenarios(&self, worker: &str) -> PathBuf {
        self.folder.join("scenarios").join(worker)
    }

    /// Makes the scenarios anew: their functions may have changed.
    fn export(&self) -> Result<()> {
        let (theirs, ours) = (self.scenarios("python"), self.scenarios("rust"));
        for old in [&theirs, &ours] {
            if old.exists() {
                fs::remove_dir_all(old)
                    .with_context(|| format!("could not remove {}", old.display()))?;
            }
        }
        let mut export = Command::new(&self.python);
        export
            .arg(self.file("python/export_scenarios.py"))
            .arg(&theirs);
        step(export, SCRIPT)?;
        let mut export = Command::new(&self.worker);
        export.arg("export").arg(&ours).arg(&theirs);
        step(export, SCRIPT)
    }

    /// Compares the outputs of each worker with what they should be. The sink writes coders that ours knows, too.
    fn check(&self) -> Result<()> {
        for (worker, scenarios) in [("rust", "rust"), ("sink", "rust"), ("python", "python")] {
            println!("outputs of {worker}:");
            let mut check = Command::new(&self.python);
            check
                .arg(self.file("python/check_outputs.py"))
                .arg(&self.driver)
                .arg(self.file(&format!("harness/{worker}.json")))
                .arg(self.scenarios(scenarios))
                .arg("--quiet")
                .args(self.programs());
            step(check, SCRIPT)?;
        }
        Ok(())
    }

    /// What the placeholders of the harness files stand for.
    fn programs(&self) -> Vec<String> {
        let set =
            |name: &str, path: &Path| ["--set".to_owned(), format!("{name}={}", path.display())];
        [set("rust", &self.worker), set("python", &self.python)].concat()
    }

    fn campaign(&self, out: &Path, others: &[String]) -> Result<()> {
        let source = |worker: &str, scenarios: &str| {
            let file = self.file(&format!("harness/{worker}.json"));
            format!("{}:{}", file.display(), self.scenarios(scenarios).display())
        };
        let mut campaign = Command::new(&self.driver);
        campaign
            .args(["campaign", "--quiet"])
            .args(["--worker", &source("rust", "rust")])
            .args(["--worker", &source("python", "python")])
            .args(["--ceiling", &source("sink", "python")])
            .arg("--log-dir")
            .arg(self.folder.join("logs"))
            .arg("--out")
            .arg(out)
            .args(self.programs())
            .args(others);
        println!("results go to {}", out.display());
        step(campaign, CAMPAIGN)
    }

    /// Writes the table next to the results, and prints it.
    fn tables(&self, out: &Path) -> Result<()> {
        let mut compare = Command::new(&self.driver);
        compare
            .arg("compare")
            .arg(out)
            .arg("--scenarios")
            .arg(self.scenarios("python"));
        let mut summary = Command::new(&self.driver);
        summary.arg("summary").arg(out);
        let mut text = format!("{}\n", machine());
        for command in [compare, summary] {
            text.push('\n');
            process::run(command, SCRIPT, |line| {
                if line.is_output {
                    text.push_str(&line.text);
                    text.push('\n');
                }
            })?
            .ok()?;
        }
        let table = out.with_extension("md");
        fs::write(&table, &text).with_context(|| format!("could not write {}", table.display()))?;
        println!("\n{text}\nalso in {}", table.display());
        Ok(())
    }
}

/// Runs a command and shows its output.
fn step(command: Command, limit: Duration) -> Result<()> {
    println!("-- {}", describe(&command));
    process::run(command, limit, |line| println!("{line}"))?.ok()
}

/// A file that no campaign has written to yet: runs of different builds must not be mixed.
fn free_name(folder: &Path, profile: &str) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    let names = (1..).map(|number| folder.join(format!("{profile}-{number}.jsonl")));
    let mut free = names.filter(|path| !path.exists());
    free.next().context("there is no free name")
}

/// What the numbers were measured on.
fn machine() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |line: &str| {
        line.split_once(':')
            .map(|(_, value)| value.trim().to_owned())
    };
    let models: Vec<String> = processors
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(value)
        .collect();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "Measured on {} × {}, Linux {}.",
        models.len(),
        models
            .first()
            .map_or("an unknown processor", String::as_str),
        kernel.trim()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_is_not_ours_goes_to_the_campaign() {
        let request =
            Request::parse(&["--only", "chain", "--profile", "release", "--want", "5"]).unwrap();
        assert_eq!(request.profile, "release");
        assert_eq!(request.others, ["--only", "chain", "--want", "5"]);
        let request = Request::parse(&[]).unwrap();
        assert_eq!((request.profile.as_str(), request.check), ("worker", false));
    }

    #[test]
    fn a_check_measures_nothing() {
        assert!(Request::parse(&["check"]).unwrap().check);
        assert!(Request::parse(&["check", "--want", "5"]).is_err());
        assert!(Request::parse(&["--profile"]).is_err());
    }

    #[test]
    fn campaigns_do_not_mix() {
        let folder = tempfile::tempdir().unwrap();
        let first = free_name(folder.path(), "worker").unwrap();
        fs::write(&first, "").unwrap();
        let second = free_name(folder.path(), "worker").unwrap();
        assert!(first.ends_with("worker-1.jsonl") && second.ends_with("worker-2.jsonl"));
    }
}
