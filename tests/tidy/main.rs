//! Rules about the source tree that no compiler checks. A failure names file, line and rule.

mod features;
mod lex;
mod paths;
mod table;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use crate::lex::Token;
use crate::table::{ROWS, Row};
use crate::tree::{SourceFile, read_text, rust_files, text_files};

/// Files that only gather what users may name. They import from everywhere.
const PUBLIC_FACE: &[&str] = &["lib", "prelude"];

/// Channels without a limit that are allowed: the file, and why the channel cannot grow for ever.
const UNBOUNDED: &[(&str, &str)] = &[];

/// A file with more lines has more than one responsibility.
const LONGEST_FILE: usize = 600;

/// Places on a developer's machine. Cut in two, so that this file does not name them.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Fails with one line per violation.
fn assert_none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}\n{}\n", violations.join("\n"));
}

/// One violation for each token of a file that `broken` objects to.
fn tokens_where(file: &SourceFile, broken: impl Fn(&[Token], usize) -> bool) -> Vec<String> {
    let tokens = lex::tokens(&file.text);
    (0..tokens.len())
        .filter(|&at| broken(&tokens, at))
        .map(|at| format!("{}:{}: {}", file.path, tokens[at].line, tokens[at].text))
        .collect()
}

/// Files of one folder of `src`, with the row that speaks of it. The public face has none.
fn sources() -> Vec<(SourceFile, Option<&'static Row>)> {
    rust_files("src")
        .into_iter()
        .filter_map(|file| {
            let folder = file.folder();
            if PUBLIC_FACE.contains(&folder.as_str()) {
                return Some((file, None));
            }
            // A folder without a row fails a test of its own.
            let row = ROWS.iter().find(|row| row.folder == folder)?;
            Some((file, Some(row)))
        })
        .collect()
}

#[test]
fn every_folder_has_a_row_in_the_table() {
    let violations: BTreeSet<String> = rust_files("src")
        .iter()
        .filter(|file| !PUBLIC_FACE.contains(&file.folder().as_str()))
        .filter(|file| ROWS.iter().all(|row| row.folder != file.folder()))
        .map(|file| format!("{}:1: `{}` has no row", file.path, file.folder()))
        .collect();
    let violations: Vec<String> = violations.into_iter().collect();
    assert_none(
        "each folder of src stands in tests/tidy/table.rs",
        &violations,
    );
}

/// The folder that owns each name which `src/lib.rs` re-exports: `crate::Error` is an import of `error`.
fn owners() -> BTreeMap<String, String> {
    paths::paths(&lex::tokens(&read_text("src/lib.rs")), &[])
        .into_iter()
        .filter_map(|path| match path.segments.as_slice() {
            [root, folder, .., name] if root == "crate" => Some((name.clone(), folder.clone())),
            [folder, .., name] => Some((name.clone(), folder.clone())),
            _ => None,
        })
        .filter(|(_, folder)| ROWS.iter().any(|row| row.folder == folder))
        .collect()
}

#[test]
fn imports_follow_the_table() {
    let owners = owners();
    let mut violations = Vec::new();
    for (file, row) in sources() {
        let Some(row) = row else { continue };
        for path in paths::paths(&lex::tokens(&file.text), &file.module()) {
            let Some(name) = path.below_crate() else {
                continue;
            };
            let target = owners.get(name).map_or(name, String::as_str);
            // A binary is a user's file: it takes names where users find them.
            if row.folder == "bin" && PUBLIC_FACE.contains(&target) {
                continue;
            }
            let verdict = if ROWS.iter().all(|row| row.folder != target) {
                "leads to no folder of the table"
            } else if target == row.folder || row.imports.contains(&target) {
                continue;
            } else {
                "is not among the imports of this folder"
            };
            violations.push(format!("{}:{}: `{path}` {verdict}", file.path, path.line));
        }
    }
    assert_none(
        "imports follow the table in tests/tidy/table.rs",
        &violations,
    );
}

#[test]
fn wire_messages_stay_where_the_table_says() {
    let violations: Vec<String> = sources()
        .iter()
        .filter(|(_, row)| !row.is_some_and(|row| row.wire))
        .flat_map(|(file, _)| tokens_where(file, |tokens, at| tokens[at].text == "beam_proto"))
        .collect();
    assert_none(
        "beam_proto is named only where the table says so",
        &violations,
    );
}

#[test]
fn async_code_stays_where_the_table_says() {
    let violations: Vec<String> = sources()
        .iter()
        .filter(|(_, row)| !row.is_some_and(|row| row.rim))
        .flat_map(|(file, _)| {
            tokens_where(file, |tokens, at| {
                ["tokio", "tonic"].contains(&tokens[at].text.as_str())
            })
        })
        .collect();
    assert_none("tokio and tonic are named only in the rim", &violations);
}

#[test]
fn the_core_asks_neither_clock_nor_environment() {
    const WORLD: &[&[&str]] = &[
        &["std", "env"],
        &["std", "time", "Instant"],
        &["std", "time", "SystemTime"],
    ];
    let mut violations = Vec::new();
    for (file, row) in sources() {
        if row.is_some_and(|row| row.world) {
            continue;
        }
        for path in paths::paths(&lex::tokens(&file.text), &file.module()) {
            if WORLD.iter().any(|world| path.starts_with(world)) {
                violations.push(format!("{}:{}: `{path}`", file.path, path.line));
            }
        }
    }
    assert_none(
        "clock and environment are arguments below the rim",
        &violations,
    );
}

#[test]
fn channels_are_bounded() {
    let files: Vec<SourceFile> = ["src", "xtask/src"]
        .into_iter()
        .flat_map(rust_files)
        .collect();
    let mut violations = Vec::new();
    let mut excused = BTreeSet::new();
    for file in &files {
        let found = tokens_where(file, lex::makes_unbounded_channel);
        if UNBOUNDED.iter().any(|(path, _)| *path == file.path) && !found.is_empty() {
            excused.insert(file.path.as_str());
        } else {
            violations.extend(found);
        }
    }
    for (path, reason) in UNBOUNDED {
        if !excused.contains(path) {
            violations.push(format!("{path}:1: needs no exception any more ({reason})"));
        }
    }
    assert_none(
        "every channel has a limit or a reason in UNBOUNDED",
        &violations,
    );
}

#[test]
fn there_is_no_unsafe_code() {
    let violations: Vec<String> = rust_files("")
        .iter()
        .flat_map(|file| tokens_where(file, |tokens, at| tokens[at].text == "unsafe"))
        .collect();
    assert_none("no unsafe code", &violations);
}

#[test]
fn files_are_short() {
    let violations: Vec<String> = rust_files("src")
        .iter()
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(file, lines)| format!("{}:{}: {lines} lines", file.path, LONGEST_FILE + 1))
        .collect();
    assert_none("no source file has more than 600 lines", &violations);
}

#[test]
fn nothing_is_left_to_do() {
    const MACROS: &[&str] = &["todo", "unimplemented", "dbg"];
    let violations: Vec<String> = rust_files("")
        .iter()
        .flat_map(|file| {
            tokens_where(file, |tokens, at| {
                MACROS.contains(&tokens[at].text.as_str())
                    && tokens.get(at + 1).is_some_and(|next| next.text == "!")
            })
        })
        .collect();
    assert_none("no todo!, unimplemented! or dbg!", &violations);
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let mut violations = Vec::new();
    for file in text_files() {
        for (index, line) in file.text.lines().enumerate() {
            for path in MACHINE_PATHS.iter().filter(|path| line.contains(**path)) {
                violations.push(format!("{}:{}: {path}", file.path, index + 1));
            }
        }
    }
    assert_none("no absolute path of a developer's machine", &violations);
}

#[test]
fn the_table_points_downwards() {
    let mut violations = Vec::new();
    for (index, row) in ROWS.iter().enumerate() {
        for import in row.imports {
            if ROWS[..index]
                .iter()
                .all(|earlier| earlier.folder != *import)
            {
                violations.push(format!("`{}` imports `{import}`", row.folder));
            }
        }
    }
    assert_none(
        "a folder imports only folders above it in the table",
        &violations,
    );
}

#[test]
fn the_architecture_prints_the_same_table() {
    let printed = read_text("ARCHITECTURE.md");
    let expected = table::markdown();
    assert!(
        printed.contains(&expected),
        "ARCHITECTURE.md must contain the import table of tests/tidy/table.rs:\n\n{expected}"
    );
}
