//! The table of features in README.md, made of the checked results.

use std::fmt::Write;
use std::{env, fs};

use crate::behaviour::{self, Behaviour, How};
use crate::runner::Runner;
use crate::{results, table};

const BEGIN: &str = "<!-- features: written by `cargo xtask features` -->\n";
const END: &str = "<!-- end of features -->\n";

/// Compares the table with the results, or writes it if `FERROBEAM_WRITE_FEATURES` is set.
pub(crate) fn check() -> Result<(), String> {
    let readme = table::read("README.md");
    let parts = readme.split_once(BEGIN).and_then(|(before, rest)| {
        let (old, after) = rest.split_once(END)?;
        Some((before, old, after))
    });
    let (before, old, after) =
        parts.ok_or("README.md lacks the marks around the table of features")?;
    let new = text();
    if old == new {
        return Ok(());
    }
    if env::var_os("FERROBEAM_WRITE_FEATURES").is_some() {
        let text = format!("{before}{BEGIN}{new}{END}{after}");
        return fs::write(table::path("README.md"), text).map_err(|e| e.to_string());
    }
    Err(
        "the table of features in README.md is not that of the results; run `cargo xtask features`"
            .into(),
    )
}

fn text() -> String {
    let behaviours = behaviour::all().unwrap();
    let cells = results::read(&table::read(results::FILE));
    let mut groups: Vec<&str> = behaviours
        .iter()
        .map(|behaviour| behaviour.group.as_str())
        .collect();
    groups.dedup();
    let heads = Runner::ALL.map(Runner::title);
    let mut text = format!("| behaviours | {} | by other tests |\n", heads.join(" | "));
    writeln!(text, "|---|{}---|", "---|".repeat(heads.len())).unwrap();
    for group in groups {
        let members: Vec<&Behaviour> = behaviours
            .iter()
            .filter(|behaviour| behaviour.group == group)
            .collect();
        write!(text, "| {group} |").unwrap();
        for runner in Runner::ALL {
            let run = members.iter().filter(|behaviour| behaviour.how.runs());
            let run: Vec<_> = run.collect();
            let shown = run.iter().filter(|behaviour| {
                let key = (behaviour.id.clone(), runner.name().to_owned());
                cells.get(&key).is_some_and(|cell| cell == "yes")
            });
            write!(text, " {} |", of(shown.count(), run.len())).unwrap();
        }
        let alone = members
            .iter()
            .filter(|behaviour| matches!(behaviour.how, How::Alone(_) | How::Elsewhere { .. }));
        writeln!(text, " {} |", some(alone.count())).unwrap();
    }
    text
}

fn of(shown: usize, all: usize) -> String {
    match all {
        0 => String::new(),
        _ => format!("{shown} of {all}"),
    }
}

fn some(count: usize) -> String {
    match count {
        0 => String::new(),
        _ => count.to_string(),
    }
}
