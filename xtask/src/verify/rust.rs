//! Parts that cargo runs.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Count;
use crate::process::{self, describe};
use crate::project::Project;
use crate::tools::python;

/// Compiling the workspace from nothing on two cores, with room.
pub(super) const BUILD: Duration = Duration::from_secs(20 * 60);

/// Format, lints and tests. Each of the first two counts as one check.
pub(super) fn unit(project: &Project) -> Result<Count> {
    component(project, "fmt", "rustfmt")?;
    component(project, "clippy", "clippy")?;
    let mut count = check(project.cargo(&["fmt", "--all", "--check"]))?;
    count += check(project.cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))?;
    count += test(project, &["--workspace"], &[])?;
    Ok(count)
}

/// Beam's coder vectors, which are one test target.
pub(super) fn coders(project: &Project) -> Result<Count> {
    test(project, &["--test", "coders"], &[])
}

/// Runs a command that is one check, showing its output.
pub(super) fn check(command: Command) -> Result<Count> {
    println!("-- {}", describe(&command));
    let outcome = process::run(command, BUILD, |line| println!("{line}"))?;
    Ok(Count::passed(usize::from(outcome.success())).after(outcome.success()))
}

fn component(project: &Project, subcommand: &str, component: &str) -> Result<()> {
    let command = project.cargo(&[subcommand, "--version"]);
    process::run(command, Duration::from_secs(60), |_| ())?
        .ok()
        .with_context(|| format!("install it with `rustup component add {component}`"))
}

/// Runs tests with more in their environment, and counts them.
pub(super) fn test(
    project: &Project,
    selection: &[&str],
    environment: &[(&str, &str)],
) -> Result<Count> {
    let mut command = project.cargo(&["test", "--no-fail-fast"]);
    command
        .args(selection)
        .envs(project.test_environment(&python::install(project)?))
        .envs(environment.iter().copied());
    println!("-- {}", describe(&command));
    let mut count = Count::default();
    let outcome = process::run(command, BUILD, |line| {
        println!("{line}");
        if let Some(target) = counted(&line.text) {
            count += target;
        }
    })?;
    Ok(count.after(outcome.success()))
}

/// The counts in the line with which a test target ends.
fn counted(line: &str) -> Option<Count> {
    let (_verdict, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |label: &str| {
        counts
            .split(';')
            .find_map(|count| count.trim().strip_suffix(label)?.trim().parse().ok())
    };
    Some(Count {
        passed: number("passed")?,
        failed: number("failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_test_target_is_counted() {
        let good = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s";
        assert_eq!(counted(good), Some(Count::passed(12)));
        let bad = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s";
        assert_eq!(
            counted(bad),
            Some(Count {
                passed: 3,
                failed: 2
            })
        );
    }

    #[test]
    fn other_lines_are_not_counted() {
        for line in [
            "",
            "test a ... ok",
            "test result: ok.",
            "my test result: ok. 1 passed; 0 failed;",
        ] {
            assert_eq!(counted(line), None, "{line}");
        }
    }
}
