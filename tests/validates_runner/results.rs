//! What a run showed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use crate::runner::Runner;
use crate::{behaviour, table};

/// Where the results of full runs are kept.
pub(crate) const FILE: &str = "tests/validates_runner/results.tsv";

/// Whether a behaviour was seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Yes,
    No,
    /// It is known not to be seen, and not tried.
    Skipped,
}

impl Mark {
    fn text(self) -> &'static str {
        match self {
            Mark::Yes => "yes",
            Mark::No => "no",
            Mark::Skipped => "hangs",
        }
    }
}

/// Marks by behaviour and runner.
#[derive(Default)]
pub(crate) struct Results(Mutex<BTreeMap<(String, &'static str), Mark>>);

impl Results {
    pub(crate) fn add(&self, runner: Runner, id: &str, mark: Mark) {
        let key = (id.to_owned(), runner.name());
        self.0.lock().unwrap().insert(key, mark);
    }

    /// Writes the table. Columns of runners that were not used stay as they are.
    pub(crate) fn write(&self, file: &Path) {
        let marks = self.0.lock().unwrap();
        let before = read(&fs::read_to_string(file).unwrap_or_default());
        let used: Vec<&str> = marks.keys().map(|(_, runner)| *runner).collect();
        let names = Runner::ALL.map(Runner::name);
        let mut text = format!("behaviour\t{}\n", names.join("\t"));
        for behaviour in behaviour::all().unwrap() {
            let cells = names.map(|runner| {
                let key = (behaviour.id.clone(), runner);
                match marks.get(&key) {
                    Some(mark) => mark.text().to_owned(),
                    None if used.contains(&runner) => "-".to_owned(),
                    None => before
                        .get(&(behaviour.id.clone(), runner.to_owned()))
                        .cloned()
                        .unwrap_or_else(|| "-".to_owned()),
                }
            });
            writeln!(text, "{}\t{}", behaviour.id, cells.join("\t")).unwrap();
        }
        fs::write(file, text).unwrap();
    }
}

/// The cells of a table of results, by behaviour and runner.
pub(crate) fn read(text: &str) -> BTreeMap<(String, String), String> {
    let runners: Vec<&str> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split('\t')
        .skip(1)
        .collect();
    let mut cells = BTreeMap::new();
    for row in table::rows(text) {
        for (runner, cell) in runners.iter().zip(&row[1..]) {
            cells.insert(
                (row[0].to_owned(), (*runner).to_owned()),
                (*cell).to_owned(),
            );
        }
    }
    cells
}
