//! `cargo verify`: every check of the project, in parts that also run alone.

mod conformance;
mod docs;
mod pytest;
mod rust;

pub(crate) use conformance::features;

use std::fmt;
use std::ops::AddAssign;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::demo;
use crate::process;
use crate::project::Project;

/// One part of the checks.
struct Part {
    name: &'static str,
    about: &'static str,
    /// Whether it runs when no part is named. A part joins once all that it checks exists.
    default: bool,
    run: fn(&Project) -> Result<Count>,
}

/// All parts, in the order in which they run: what fails fastest comes first.
const PARTS: &[Part] = &[
    Part {
        name: "unit",
        about: "format, lints, and the Rust tests of the workspace",
        default: true,
        run: rust::unit,
    },
    Part {
        name: "docs",
        about: "rustdoc without warnings, and the commands of README.md",
        default: true,
        run: docs::run,
    },
    Part {
        name: "coders",
        about: "Beam's standard coder vectors",
        default: true,
        run: rust::coders,
    },
    Part {
        name: "suite",
        about: "Beam's cross-language suite against examples/xlang_suite.rs, on Python's runners, Prism and Flink",
        default: true,
        run: pytest::suite,
    },
    Part {
        name: "xlang",
        about: "Python pipelines of our own, with Rust transforms, on the quick runners",
        default: true,
        run: pytest::xlang,
    },
    Part {
        name: "conformance",
        about: "word counts built in Python and in Rust, and submitted jobs, on Python's job service, Prism and Flink",
        default: true,
        run: conformance::run,
    },
    Part {
        name: "conformance-full",
        about: "every behaviour of tests/validates_runner and tests/xlang on every runner",
        default: false,
        run: conformance::full,
    },
    Part {
        name: "demo",
        about: "cargo demo",
        default: true,
        run: |project| demo::run(project).map(|()| Count::passed(1)),
    },
];

/// How many checks passed and how many failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
}

impl Count {
    fn passed(passed: usize) -> Self {
        Self { passed, failed: 0 }
    }

    fn failed(failed: usize) -> Self {
        Self { passed: 0, failed }
    }

    /// Nothing failed, and something ran.
    fn good(self) -> bool {
        self.passed > 0 && self.failed == 0
    }

    /// A command that failed without saying which check did counts as a failed check itself.
    fn after(mut self, success: bool) -> Self {
        if !success && self.failed == 0 {
            self.failed = 1;
        }
        self
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// The table of parts for people.
pub(crate) fn list() -> String {
    let line = |part: &Part| {
        let mark = if part.default {
            ""
        } else {
            " (only when named)"
        };
        format!("  {:<12} {}{mark}\n", part.name, part.about)
    };
    PARTS.iter().map(line).collect()
}

/// Runs the parts named, or all default parts. A failing part does not keep later ones from running.
///
/// # Errors
/// When a part is unknown.
pub(crate) fn run(project: &Project, names: &[&str]) -> Result<ExitCode> {
    let parts = chosen(names)?;
    let started = Instant::now();
    let mut total = Count::default();
    let mut good = true;
    let mut lines = Vec::new();
    for part in parts {
        println!("== {}: {}", part.name, part.about);
        let count = (part.run)(project).unwrap_or_else(|error| {
            println!("error: {error:#}");
            Count::failed(1)
        });
        if process::interrupted() {
            bail!("interrupted");
        }
        println!("{}: {count}", part.name);
        lines.push(part.name);
        total += count;
        good &= count.good();
    }
    println!(
        "ran {} in {} s",
        lines.join(", "),
        started.elapsed().as_secs()
    );
    println!("verify: {total}");
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn chosen(names: &[&str]) -> Result<Vec<&'static Part>> {
    if names.is_empty() {
        return Ok(PARTS.iter().filter(|part| part.default).collect());
    }
    names
        .iter()
        .map(|name| {
            PARTS
                .iter()
                .find(|part| part.name == *name)
                .with_context(|| format!("no part is called `{name}`; there are:\n{}", list()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn names(parts: &[&Part]) -> Vec<&'static str> {
        parts.iter().map(|part| part.name).collect()
    }

    #[test]
    fn no_name_means_the_default_parts() {
        let parts = chosen(&[]).unwrap();
        assert!(parts.iter().all(|part| part.default));
        assert!(names(&parts).starts_with(&["unit"]));
    }

    #[test]
    fn named_parts_keep_their_order() {
        let parts = chosen(&["suite", "unit"]).unwrap();
        assert_eq!(names(&parts), ["suite", "unit"]);
    }

    #[test]
    fn an_unknown_part_is_answered_with_the_list() {
        let text = chosen(&["unti"]).err().unwrap().to_string();
        assert!(
            text.contains("`unti`") && text.contains("\n  unit "),
            "{text}"
        );
    }

    #[test]
    fn a_run_without_checks_is_not_good() {
        assert!(!Count::default().good());
        assert!(
            !Count {
                passed: 3,
                failed: 1
            }
            .good()
        );
        assert!(Count::passed(3).good());
    }

    #[test]
    fn a_failed_command_is_a_failed_check() {
        assert_eq!(
            Count::passed(3).after(false),
            Count {
                passed: 3,
                failed: 1
            }
        );
        assert_eq!(Count::failed(2).after(false), Count::failed(2));
        assert_eq!(Count::passed(3).after(true), Count::passed(3));
        assert_eq!(Count::passed(3).to_string(), "3 passed, 0 failed");
    }
}
