//! One pipeline, several runners, one answer.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Count;
use super::rust::BUILD;
use crate::demo;
use crate::process;
use crate::project::Project;
use crate::runner::{JobService, Runner};

/// What is counted, and how often each word occurs in it.
const TEXT: &str = "to be or not to be\nthat is the question\n";
const WORDS: [(&str, u32); 8] = [
    ("be", 2),
    ("is", 1),
    ("not", 1),
    ("or", 1),
    ("question", 1),
    ("that", 1),
    ("the", 1),
    ("to", 2),
];

/// Flink's embedded cluster on a busy machine needs most of a minute.
const PIPELINE: Duration = Duration::from_secs(180);

/// Runs the pipelines of `examples`, built in Python and in Rust, on every runner, all tests of submitted jobs on those
/// runners that `unit` does not use, and every behaviour on the runners that are quick.
pub(super) fn run(project: &Project) -> Result<Count> {
    let selected = ["--example", "wordcount", "--example", "carts"];
    let build = project.cargo(&[&["build", "--bin", "ferrobeam"], &selected[..]].concat());
    process::run(build, BUILD, |_| ())?.ok()?;
    let input = project.logs.join("conformance-input.txt");
    fs::write(&input, TEXT).with_context(|| format!("could not write {}", input.display()))?;
    let mut count = Count::default();
    for runner in [Runner::Python, Runner::Prism, Runner::Flink] {
        count += match examples(project, runner, &input) {
            Ok(()) => {
                println!(
                    "{}: every word counted, twice, and every cart found",
                    runner.name()
                );
                Count::passed(3)
            }
            Err(error) => {
                println!("{}: {error:#}", runner.name());
                Count::failed(1)
            }
        };
        if runner != Runner::Python {
            let runner = [("FERROBEAM_RUNNER", runner.name())];
            count += super::rust::test(project, &["--test", "job_service"], &runner)?;
        }
    }
    // The rest takes minutes: see `full`.
    for runners in ["default", "python", "prism"] {
        let runners = [("FERROBEAM_RUNNERS", runners)];
        count += super::rust::test(project, &["--test", "validates_runner"], &runners)?;
    }
    Ok(count)
}

/// Runs the pipelines of `tests/validates_runner` on all runners, one runner after the other: none needs the memory that
/// another has, and Spark's runs one job at a time.
pub(super) fn full(project: &Project) -> Result<Count> {
    let mut count = Count::default();
    for runners in [
        "default",
        "python",
        "prism",
        "flink,flink_streaming",
        "spark",
    ] {
        let runners = [("FERROBEAM_RUNNERS", runners)];
        count += super::rust::test(project, &["--test", "validates_runner"], &runners)?;
    }
    Ok(count)
}

/// Writes the results of all runners, and the table of features in README.md that is made of them.
pub(crate) fn features(project: &Project) -> Result<()> {
    let results = project.root.join("tests/validates_runner/results.tsv");
    let results = results.to_string_lossy();
    for runners in [
        "default",
        "python",
        "prism",
        "flink,flink_streaming",
        "spark",
    ] {
        let environment = [
            ("FERROBEAM_RUNNERS", runners),
            ("FERROBEAM_RESULTS", &results),
        ];
        super::rust::test(project, &["--test", "validates_runner"], &environment)?;
    }
    let write = [("FERROBEAM_WRITE_FEATURES", "1")];
    let selection = ["--test", "validates_runner", "--", "--exact", "features"];
    let count = super::rust::test(project, &selection, &write)?;
    if !count.good() {
        bail!("the table of features could not be written");
    }
    Ok(())
}

/// The examples on one runner.
fn examples(project: &Project, runner: Runner, input: &Path) -> Result<()> {
    let log = |what: &str| {
        project
            .logs
            .join(format!("conformance-{}-{what}.log", runner.name()))
    };
    let service = JobService::start(project, runner, &log("runner"))?;
    built_in_python(project, &service, input, &log("service"))?;
    let input = format!("--input={}", input.display());
    let counted = WORDS.iter().map(|(word, times)| format!("{word}: {times}"));
    built_in_rust(project, &service, "wordcount", &[input], counted.collect())?;
    if keeps_time(runner) {
        let carts = CARTS.map(str::to_owned);
        built_in_rust(project, &service, "carts", &[], carts.into())?;
    }
    Ok(())
}

/// Whether timers wait for the watermark while a source goes on. Beam's `fn_runner.py` fires them after each bundle.
fn keeps_time(runner: Runner) -> bool {
    !matches!(runner, Runner::Python)
}

/// What `examples/carts.rs` finds.
const CARTS: [&str; 2] = ["bob left 30.00", "cyd left 42.50"];

/// An example that writes lines into the file `--output`.
fn built_in_rust(
    project: &Project,
    service: &JobService,
    name: &str,
    arguments: &[String],
    wanted: Vec<String>,
) -> Result<()> {
    let output = project.logs.join(format!("conformance-{name}.txt"));
    let mut pipeline = Command::new(project.root.join("target/debug/examples").join(name));
    pipeline
        .arg(format!("--job_endpoint={}", service.endpoint))
        .arg(format!("--output={}", output.display()))
        .args(arguments);
    process::run(pipeline, PIPELINE, |_| ())?.ok()?;
    let text = fs::read_to_string(&output)
        .with_context(|| format!("the pipeline wrote no {}", output.display()))?;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    if lines != wanted {
        bail!("the example {name} wrote {lines:?}, not {wanted:?}");
    }
    Ok(())
}

/// The pipeline of `examples/from_python`, which prints counts.
fn built_in_python(
    project: &Project,
    service: &JobService,
    input: &Path,
    log: &Path,
) -> Result<()> {
    let (_server, port) = demo::serve(project, log)?;
    let mut pipeline = demo::word_count(project, port)?;
    pipeline
        .arg("--input")
        .arg(input)
        .arg("--runner=PortableRunner")
        .arg(format!("--job_endpoint={}", service.endpoint))
        .arg("--environment_type=LOOPBACK");
    let mut lines = Vec::new();
    process::run(pipeline, PIPELINE, |line| {
        if line.is_output {
            lines.push(line.text.clone());
        }
    })?
    .ok()?;
    for (word, times) in WORDS {
        let found: Vec<&String> = lines.iter().filter(|line| says(line, word)).collect();
        let [line] = found[..] else {
            bail!(
                "{} lines speak of `{word}` in:\n{}",
                found.len(),
                lines.join("\n")
            );
        };
        if !says(line, &times.to_string()) {
            bail!("`{word}` occurs {times} times, but the line says: {line}");
        }
    }
    Ok(())
}

/// Whether a line contains a word, whatever stands around it.
fn says(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric())
        .any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_counts_are_those_of_the_text() {
        for (word, times) in WORDS {
            let found = TEXT.split_whitespace().filter(|part| *part == word).count();
            assert_eq!(found, times as usize, "{word}");
        }
        let total: u32 = WORDS.iter().map(|(_, times)| times).sum();
        assert_eq!(TEXT.split_whitespace().count(), total as usize);
    }

    #[test]
    fn a_word_is_found_in_any_notation() {
        for line in ["to: 2", "('to', 2)", "to\t2"] {
            assert!(says(line, "to") && says(line, "2"), "{line}");
        }
        assert!(!says("tomorrow 12", "to") && !says("tomorrow 12", "2"));
    }
}
