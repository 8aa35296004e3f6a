//! What a pipeline may expect of ferrobeam, on each runner: one small pipeline for each behaviour.
//!
//! `behaviours.tsv` lists the behaviours, `rows` has their pipelines, `exclusions.tsv` says where one does not hold and
//! why. `FERROBEAM_RUNNERS` names the runners to use, joined by commas; without it only those behaviours are tested that
//! need none. `FERROBEAM_RESULTS` names a file to which the results of a full run are written.

#![allow(clippy::unwrap_used, reason = "tests")]

mod behaviour;
mod case;
mod exclusions;
mod features;
mod results;
mod rows;
mod runner;
mod table;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use behaviour::How;
use exclusions::{Exclusion, Exclusions};
use results::{Mark, Results};
use runner::Runner;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match trials() {
        Ok((trials, results)) => {
            let full = arguments.filter.is_none() && arguments.skip.is_empty();
            let conclusion = libtest_mimic::run(&arguments, trials);
            if let (Some(path), true) = (env::var_os("FERROBEAM_RESULTS"), full) {
                results.write(path.as_ref());
            }
            runner::stop_all();
            conclusion.exit_code()
        }
        Err(problems) => {
            for problem in problems {
                eprintln!("error: {problem}");
            }
            ExitCode::FAILURE
        }
    }
}

/// All tests of this run, unless the lists contradict each other.
fn trials() -> Result<(Vec<Trial>, Arc<Results>), Vec<String>> {
    let behaviours = behaviour::all()?;
    let exclusions = Exclusions::read(&behaviours)?;
    let runners = Runner::chosen()?;
    let results = Arc::new(Results::default());
    let mut trials = vec![Trial::test("features", || {
        features::check().map_err(Failed::from)
    })];
    for behaviour in &behaviours {
        if let How::Alone(check) = behaviour.how {
            trials.push(Trial::test(behaviour.id.clone(), move || {
                check();
                Ok(())
            }));
        }
    }
    for &runner in &runners {
        for behaviour in &behaviours {
            if !behaviour.how.runs() {
                continue;
            }
            let exclusion = exclusions.of(runner, &behaviour.id).cloned();
            let name = format!("{}::{}", runner.name(), behaviour.id);
            if exclusion.as_ref().is_some_and(|exclusion| exclusion.skip) {
                results.add(runner, &behaviour.id, Mark::Skipped);
                continue;
            }
            let (behaviour, results) = (behaviour.clone(), results.clone());
            trials.push(Trial::test(name, move || {
                let outcome = runner::run(runner, &behaviour);
                let mark = if outcome.is_ok() { Mark::Yes } else { Mark::No };
                results.add(runner, &behaviour.id, mark);
                judge(outcome, exclusion.as_ref()).map_err(Failed::from)
            }));
        }
    }
    Ok((trials, results))
}

/// Whether a result is the one that the exclusions lead to expect.
fn judge(outcome: Result<(), String>, exclusion: Option<&Exclusion>) -> Result<(), String> {
    match (outcome, exclusion) {
        (outcome, None) => outcome,
        (Err(_), Some(_)) => Ok(()),
        (Ok(()), Some(exclusion)) => Err(format!(
            "the gap has closed: take the line out of exclusions.tsv that says {:?}",
            exclusion.reason
        )),
    }
}
