//! Keeps the checked-in Rust equal to what the `.proto` text says.
//!
//! With `UPDATE_GENERATED=1` in the environment the test writes the files instead of comparing them.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/protos.rs"]
mod protos;
#[path = "support/urns.rs"]
mod urns;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use prost_reflect::DescriptorPool;

const COMMAND: &str = "UPDATE_GENERATED=1 cargo test -p beam-proto --test bootstrap";

#[test]
fn generated_code_is_current() {
    let expected = generate(&protos::compile());
    let src = protos::root().join("src");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        write(&src, &expected);
    }
    let problems = compare(&src, &expected);
    assert!(
        problems.is_empty(),
        "the generated code is not what the .proto text says:\n  {}\nto write it anew, run: {COMMAND}",
        problems.join("\n  "),
    );
}

/// All generated files: text by path below `src/`.
fn generate(pool: &DescriptorPool) -> BTreeMap<String, String> {
    let out = tempfile::tempdir().unwrap();
    let files = prost_types::FileDescriptorSet {
        file: pool.file_descriptor_protos().cloned().collect(),
    };
    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        .emit_rerun_if_changed(false)
        .out_dir(out.path())
        .compile_fds(files)
        .unwrap();
    let mut generated = BTreeMap::from([("urns.rs".to_owned(), urns::render(pool))]);
    for name in names(out.path()) {
        let text = fs::read_to_string(out.path().join(&name)).unwrap();
        generated.insert(format!("generated/{name}"), text);
    }
    generated
}

fn write(src: &Path, expected: &BTreeMap<String, String>) {
    let dir = src.join("generated");
    if dir.exists() {
        fs::remove_dir_all(&dir).unwrap();
    }
    fs::create_dir(&dir).unwrap();
    for (path, text) in expected {
        fs::write(src.join(path), text).unwrap();
    }
}

/// One sentence for each file that differs, lacks or is too much.
fn compare(src: &Path, expected: &BTreeMap<String, String>) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in expected {
        match fs::read_to_string(src.join(path)) {
            Err(error) => problems.push(format!("src/{path}: {error}")),
            Ok(found) if found == *text => {}
            Ok(found) => problems.push(format!("src/{path}{}", first_difference(&found, text))),
        }
    }
    for name in names(&src.join("generated")) {
        if !expected.contains_key(&format!("generated/{name}")) {
            problems.push(format!("src/generated/{name}: no .proto file makes this"));
        }
    }
    problems
}

fn first_difference(found: &str, expected: &str) -> String {
    let mut lines = (1_usize..).zip(found.lines()).zip(expected.lines());
    match lines.find(|((_, found), expected)| found != expected) {
        Some(((number, found), expected)) => {
            format!(":{number}:\n    found    {found}\n    expected {expected}")
        }
        None => format!(
            ": {} lines found, {} expected",
            found.lines().count(),
            expected.lines().count()
        ),
    }
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
