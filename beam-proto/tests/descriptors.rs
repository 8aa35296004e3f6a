//! Compares our `.proto` text with the definitions inside an installed Apache Beam.
//!
//! `FERROBEAM_PYTHON` names a Python interpreter that has it; `cargo verify` makes one.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/facts.rs"]
mod facts;
#[path = "support/protos.rs"]
mod protos;

use std::collections::BTreeSet;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use prost_reflect::DescriptorPool;

const BEAM_VERSION: &str = "2.77.0";

/// Importing Beam takes seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn our_definitions_are_those_of_beam() {
    let ours = facts::of(&protos::compile());
    let theirs = facts::of(&installed());
    // Guards against two empty sets that agree.
    assert!(theirs.len() > 1000, "apache-beam yields only {theirs:?}");
    let lacking = only_in(&theirs, &ours);
    let extra = only_in(&ours, &theirs);
    assert!(
        lacking.is_empty() && extra.is_empty(),
        "the .proto text differs from apache-beam {BEAM_VERSION}\nonly in apache-beam:\n{lacking}only in ours:\n{extra}",
    );
}

fn only_in(these: &BTreeSet<String>, those: &BTreeSet<String>) -> String {
    these
        .difference(those)
        .map(|fact| format!("  {fact}\n"))
        .collect()
}

/// The definitions inside the installed apache-beam.
fn installed() -> DescriptorPool {
    let Some(python) = std::env::var_os("FERROBEAM_PYTHON") else {
        panic!(
            "FERROBEAM_PYTHON is not set: run `cargo verify`, which makes a Python environment with apache-beam {BEAM_VERSION}"
        );
    };
    let mut stderr = tempfile::tempfile().unwrap();
    let mut child = Command::new(&python)
        .arg(protos::root().join("tests/support/dump_descriptors.py"))
        .arg(BEAM_VERSION)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr.try_clone().unwrap())
        .spawn()
        .unwrap_or_else(|error| panic!("FERROBEAM_PYTHON={}: {error}", python.display()));
    let mut stdout = child.stdout.take().unwrap();
    let (sender, output) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.read_to_end(&mut bytes).map(|_| bytes);
        // The receiver is gone when the time limit has passed.
        let _ = sender.send(read);
    });
    let Ok(bytes) = output.recv_timeout(LIMIT) else {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("dump_descriptors.py is not done after {LIMIT:?}");
    };
    let status = child.wait().unwrap();
    if !status.success() {
        let mut text = String::new();
        stderr.rewind().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        panic!("dump_descriptors.py: {status}\n{text}");
    }
    DescriptorPool::decode(bytes.unwrap().as_slice()).unwrap()
}
