//! One pipeline, several runners, one answer.

use std::fs;
use std::path::Path;
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

/// Runs the word count of `examples/from_python` on every runner.
pub(super) fn run(project: &Project) -> Result<Count> {
    let build = project.cargo(&["build", "--bin", "ferrobeam"]);
    process::run(build, BUILD, |_| ())?.ok()?;
    let input = project.logs.join("conformance-input.txt");
    fs::write(&input, TEXT).with_context(|| format!("could not write {}", input.display()))?;
    let mut count = Count::default();
    for runner in [Runner::Python, Runner::Prism, Runner::Flink] {
        count += match count_words(project, runner, &input) {
            Ok(()) => {
                println!("{}: every word counted", runner.name());
                Count::passed(1)
            }
            Err(error) => {
                println!("{}: {error:#}", runner.name());
                Count::failed(1)
            }
        };
    }
    Ok(count)
}

fn count_words(project: &Project, runner: Runner, input: &Path) -> Result<()> {
    let log = |what: &str| {
        project
            .logs
            .join(format!("conformance-{}-{what}.log", runner.name()))
    };
    let service = JobService::start(project, runner, &log("runner"))?;
    let (_server, port) = demo::serve(project, &log("service"))?;
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
