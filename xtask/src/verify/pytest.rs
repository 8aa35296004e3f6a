//! Parts that pytest runs: Beam's cross-language suite and our own Python pipelines.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Count;
use super::rust::BUILD;
use crate::process::{self, Server, describe, with_memory_limit};
use crate::project::Project;
use crate::runner::{JobService, Runner, port_after};
use crate::tools::python;

/// One Python process with a runner and its workers in it.
const MEMORY: u64 = 8 << 30;

/// A test that waits for a worker that never answers would wait for ever.
const TEST_SECONDS: u32 = 90;

/// All tests of one run.
const RUN: Duration = Duration::from_secs(15 * 60);

/// Beam's own suite, with the transforms of our example, on Python's runners, Prism and Flink.
pub(super) fn suite(project: &Project) -> Result<Count> {
    build(project, &["--example", "xlang_suite"])?;
    let mut runners = vec![
        ("default".to_owned(), None, String::new()),
        (
            "multi-processing".to_owned(),
            None,
            "--runner=DirectRunner --direct_running_mode=multi_processing --direct_num_workers=2"
                .to_owned(),
        ),
    ];
    for runner in [Runner::Python, Runner::Prism, Runner::Flink] {
        let log = project
            .logs
            .join(format!("suite-{}-runner.log", runner.name()));
        let service = JobService::start(project, runner, &log)?;
        let options = format!(
            "--runner=PortableRunner --job_endpoint={} --environment_type=LOOPBACK",
            service.endpoint
        );
        runners.push((runner.name().to_owned(), Some(service), options));
    }
    let mut count = Count::default();
    for (name, _runner, options) in runners {
        // A fresh service for each, as a user has it: workers of one runner must not be seen by the next.
        let mut command = Command::new(project.programs.join("examples/xlang_suite"));
        command.arg("0");
        let log = project.logs.join(format!("suite-{name}-service.log"));
        let (_service, port) = Server::start(command, &log, Duration::from_secs(30), |line| {
            port_after(line, "PORT=")
        })?;
        let mut pytest = pytest(project, "tests/suite")?;
        pytest
            .arg(format!("--test-pipeline-options={options}"))
            .env("EXPANSION_PORT", port.to_string());
        count += run(project, pytest, &format!("suite-{name}"))?;
    }
    Ok(count)
}

/// The pipelines in `tests/xlang`. They start the ferrobeam binary themselves.
pub(super) fn xlang(project: &Project) -> Result<Count> {
    build(project, &["--bins", "--examples"])?;
    let mut pytest = pytest(project, "tests/xlang")?;
    pytest.env("FERROBEAM_BIN", project.programs.join("ferrobeam"));
    run(project, pytest, "xlang")
}

/// What pipelines of several SDKs may expect, on the runners named.
pub(super) fn behaviours(project: &Project, runners: &str) -> Result<Count> {
    build(project, &["--examples"])?;
    let mut pytest = pytest(project, "tests/xlang/test_behaviours.py")?;
    pytest
        .env("FERROBEAM_BIN", project.programs.join("ferrobeam"))
        .env("FERROBEAM_RUNNERS", runners);
    let name = runners.replace(',', "-");
    run(project, pytest, &format!("behaviours-{name}"))
}

/// Builds programs of the workspace.
fn build(project: &Project, targets: &[&str]) -> Result<()> {
    let mut command = project.cargo(&["build"]);
    command.args(targets);
    process::run(command, BUILD, |_| ())?.ok()
}

fn pytest(project: &Project, folder: &str) -> Result<Command> {
    let python = python::install(project)?;
    let mut command = with_memory_limit(&python, MEMORY);
    command
        .args(["-m", "pytest", "-p", "no:cacheprovider", "-q", "-rfEs"])
        .arg(format!("--timeout={TEST_SECONDS}"))
        .arg(folder)
        .envs(project.test_environment(&python))
        .current_dir(&project.root);
    Ok(command)
}

/// Runs pytest and reads the counts from its report.
fn run(project: &Project, mut pytest: Command, name: &str) -> Result<Count> {
    let report = project.logs.join(format!("{name}.xml"));
    // A report of an earlier run must not be counted.
    let _absent = fs::remove_file(&report);
    pytest.arg("--junitxml").arg(&report);
    println!("-- {name}: {}", describe(&pytest));
    let outcome = process::run(pytest, RUN, |line| println!("{line}"))?;
    let count = match fs::read_to_string(&report) {
        Ok(text) => counted(&text).with_context(|| format!("no counts in {}", report.display()))?,
        Err(_) => Count::default(),
    };
    Ok(count.after(outcome.success()))
}

/// The counts in the first `testsuite` element of a JUnit report. A skipped test is neither passed nor failed.
fn counted(report: &str) -> Option<Count> {
    let (_, element) = report.split_once("<testsuite ")?;
    let (attributes, _) = element.split_once('>')?;
    let number = |name: &str| -> Option<usize> {
        let (_, value) = attributes.split_once(&format!("{name}=\""))?;
        value.split('"').next()?.parse().ok()
    };
    let failed = number("errors")? + number("failures")?;
    let passed = number("tests")?.checked_sub(failed + number("skipped")?)?;
    Some(Count { passed, failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_counted() {
        let report = concat!(
            r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests">"#,
            r#"<testsuite name="pytest" errors="1" failures="2" skipped="1" tests="12" time="4.0">"#,
            r#"<testcase classname="a" name="b" time="0.1" /></testsuite></testsuites>"#,
        );
        assert_eq!(
            counted(report),
            Some(Count {
                passed: 8,
                failed: 3
            })
        );
    }

    #[test]
    fn a_broken_report_is_not_counted() {
        for report in [
            "",
            "<testsuite ",
            r#"<testsuite errors="0" failures="0" skipped="2" tests="1">"#,
        ] {
            assert_eq!(counted(report), None, "{report}");
        }
    }
}
