//! The table of what the Fn API asks of a harness names tests that exist.

use std::collections::BTreeSet;

use super::assert_none;
use super::tree::read_text;

const TABLE: &str = "docs/fn-api.md";

/// How many features the table lists.
const FEATURES: usize = 60;

/// The cells of each row that begins with a number.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table
        .lines()
        .map(|line| {
            line.trim_matches('|')
                .split(" | ")
                .map(|cell| cell.trim_matches([' ', '|']))
        })
        .map(Iterator::collect::<Vec<_>>)
        .filter(|cells| cells[0].parse::<usize>().is_ok())
        .collect()
}

/// What is wrong with a cell that names tests: `` `file` test, `file` test ``.
fn wrong_tests(cell: &str) -> Vec<String> {
    cell.split(", ")
        .filter_map(|shown| {
            let (file, test) = shown.strip_prefix('`')?.split_once("` ")?;
            let keyword = if file.ends_with(".py") { "def" } else { "fn" };
            let defined = format!("{keyword} {test}(");
            (!read_text(file).contains(&defined)).then(|| format!("{file} has no test {test}"))
        })
        .collect()
}

#[test]
fn each_feature_of_the_fn_api_is_shown_by_tests() {
    let table = read_text(TABLE);
    let rows = rows(&table);
    let numbers: BTreeSet<usize> = rows.iter().filter_map(|row| row[0].parse().ok()).collect();
    assert_eq!(
        numbers,
        (1..=FEATURES).collect(),
        "each feature has one row"
    );
    assert_eq!(rows.len(), FEATURES, "no feature has two rows");
    let violations: Vec<String> = rows
        .iter()
        .flat_map(|row| {
            let shown = row.get(3).copied().unwrap_or_default();
            let mut wrong = wrong_tests(shown);
            if (row[2] == "yes") != shown.starts_with('`') {
                wrong.push("a feature is there when a test shows it, and only then".into());
            }
            wrong
                .into_iter()
                .map(|wrong| format!("{TABLE}: {}: {wrong}", row[0]))
        })
        .collect();
    assert_none("the table tells what tests show", &violations);
}

#[test]
fn a_test_that_is_gone_is_missed() {
    let there = "`tests/tidy/features.rs` a_test_that_is_gone_is_missed";
    assert!(wrong_tests(there).is_empty());
    let gone = format!("{there}, `tests/tidy/features.rs` nobody");
    assert_eq!(
        wrong_tests(&gone),
        ["tests/tidy/features.rs has no test nobody"]
    );
}
