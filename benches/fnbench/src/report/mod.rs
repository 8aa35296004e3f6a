//! Tables for people, made of medians.

mod compare;
mod medians;
mod summary;

use std::path::PathBuf;

use anyhow::Result;

use crate::args::{CompareArgs, SummaryArgs};
use crate::measurement::Measurement;
use crate::scenario::Scenario;

/// Prints a table of all workers and cases.
///
/// # Errors
/// A file cannot be read.
pub fn summary(args: &SummaryArgs) -> Result<()> {
    print!("{}", summary::table(&read(&args.files)?));
    Ok(())
}

/// Prints a table that puts two workers and the ceiling side by side.
///
/// # Errors
/// A file cannot be read.
pub fn compare(args: &CompareArgs) -> Result<()> {
    let scenarios = Scenario::load_all(&args.scenarios)?;
    let runs = read(&args.files)?;
    print!(
        "{}",
        compare::table(&runs, &scenarios, &args.ours, &args.theirs)
    );
    Ok(())
}

fn read(files: &[PathBuf]) -> Result<Vec<Measurement>> {
    let mut runs = Vec::new();
    for file in files {
        runs.extend(Measurement::read_all(file)?);
    }
    Ok(runs)
}
