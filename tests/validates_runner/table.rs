//! Tables in files: a line for each row, columns apart by tabs. The first line names the columns.

use std::fs;
use std::path::PathBuf;

/// The rows below the first line.
pub(crate) fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.lines().skip(1);
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(|line| line.split('\t').collect())
}

/// The path of a file of the repository.
pub(crate) fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// The text of a file of the repository; empty if there is none.
pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_default()
}
