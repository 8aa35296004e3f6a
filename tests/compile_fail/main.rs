//! What the compiler says about mistakes.
//!
//! Each file under `cases/` is a program with mistakes. A line with one ends in `//~` and what the compiler must say
//! there, in the message itself or in a label or note; every error must be promised so. The rest of a message, such as
//! the types that would have been right, is the compiler's own and changes with it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

#[test]
fn every_error_is_promised() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail/cases");
    let libraries = Libraries::of_this_test();
    let mut files: Vec<PathBuf> = fs::read_dir(cases)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let faults: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let promises = promises(&fs::read_to_string(file).unwrap());
            assert!(!promises.is_empty(), "{}: no promises", file.display());
            let errors = libraries.errors(file);
            let name = file.file_name().unwrap().to_string_lossy();
            faults(&name, &promises, &errors)
        })
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What the compiler says at a line.
struct Said {
    line: u64,
    text: String,
}

/// The texts after `//~`.
fn promises(source: &str) -> Vec<Said> {
    (1..)
        .zip(source.lines())
        .flat_map(|(line, text)| {
            text.split("//~").skip(1).map(move |text| Said {
                line,
                text: text.trim().to_owned(),
            })
        })
        .collect()
}

fn faults(file: &str, promises: &[Said], errors: &[Said]) -> Vec<String> {
    let keeps = |error: &Said, promise: &Said| {
        error.line == promise.line && error.text.contains(&promise.text)
    };
    let broken = promises
        .iter()
        .filter(|promise| !errors.iter().any(|error| keeps(error, promise)))
        .map(|promise| format!("{file}:{}: not said: {}", promise.line, promise.text));
    let surprising = errors
        .iter()
        .filter(|error| !promises.iter().any(|promise| keeps(error, promise)))
        .map(|error| format!("{file}:{}: not promised: {}", error.line, error.text));
    broken.chain(surprising).collect()
}

/// The compiled libraries that the cases use.
struct Libraries {
    externs: Vec<String>,
    folder: PathBuf,
}

impl Libraries {
    /// Those that this test was built with: cargo says where they are when it has nothing left to build.
    fn of_this_test() -> Self {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["test", "--offline", "--no-run", "--test", "compile_fail"])
            .args(["--message-format", "json"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let output = run(&mut cargo);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        let told = messages(&output.stdout);
        let externs = ["ferrobeam", "serde"].map(|name| {
            let files = told
                .iter()
                .filter(|said| said["target"]["name"] == name)
                .filter_map(|said| said["filenames"].as_array())
                .flatten()
                .filter_map(Value::as_str);
            let library = files.rev().find(|file| file.ends_with(".rlib"));
            format!("{name}={}", library.expect("the test uses it"))
        });
        Libraries {
            externs: externs.into(),
            folder: std::env::current_exe().unwrap().parent().unwrap().into(),
        }
    }

    /// Compiles a program, as far as its types.
    fn errors(&self, program: &Path) -> Vec<Said> {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
        rustc
            .args(["--edition", "2024", "--crate-type", "bin"])
            .args(["--emit", "metadata", "--error-format", "json", "--out-dir"])
            .arg(env!("CARGO_TARGET_TMPDIR"))
            .arg("-L")
            .arg(format!("dependency={}", self.folder.display()));
        for library in &self.externs {
            rustc.args(["--extern", library]);
        }
        messages(&run(rustc.arg(program)).stderr)
            .iter()
            .filter(|said| said["level"] == "error")
            .filter_map(said)
            .collect()
    }
}

/// All that one error says. The last, which counts the others, is at no line.
fn said(error: &Value) -> Option<Said> {
    let spans = error["spans"].as_array()?;
    let line = spans.iter().find(|span| span["is_primary"] == true)?["line_start"].as_u64()?;
    let labels = spans.iter().filter_map(|span| span["label"].as_str());
    let notes = error["children"]
        .as_array()?
        .iter()
        .filter_map(|note| note["message"].as_str());
    let text: Vec<&str> = error["message"]
        .as_str()
        .into_iter()
        .chain(labels)
        .chain(notes)
        .collect();
    Some(Said {
        line,
        text: text.join("\n    "),
    })
}

/// The JSON objects that a tool wrote, one to a line.
fn messages(output: &[u8]) -> Vec<Value> {
    let lines = str::from_utf8(output).unwrap().lines();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn run(command: &mut Command) -> Output {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (done, output) = mpsc::sync_channel(1);
    thread::spawn(move || done.send(child.wait_with_output()));
    let limit = Duration::from_secs(300);
    output.recv_timeout(limit).expect("ends in time").unwrap()
}
