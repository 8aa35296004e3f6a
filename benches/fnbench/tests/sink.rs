//! The driver against the sink: what goes in comes out as the mode says.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use beam_proto::fnexec::{ProcessBundleDescriptor, RemoteGrpcPort};
use beam_proto::pipeline::{ApiServiceDescriptor, FunctionSpec, PTransform};
use prost::Message as _;

/// The earliest time, one global window, no firing.
const HEADER: &[u8] = b"\x80\0\0\0\0\0\0\0\0\0\0\x01\x0f";

/// How long a bundle may take on a busy machine. The driver keeps the time of everything that it starts.
const LIMIT: Duration = Duration::from_secs(60);

/// An element of these pieces, each after its length.
fn element(pieces: &[&[u8]]) -> Vec<u8> {
    let mut element = HEADER.to_vec();
    for piece in pieces {
        element.push(u8::try_from(piece.len()).unwrap());
        element.extend_from_slice(piece);
    }
    element
}

fn templates(elements: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for element in elements {
        file.extend(u32::try_from(element.len()).unwrap().to_le_bytes());
        file.extend_from_slice(element);
    }
    file
}

fn descriptor() -> ProcessBundleDescriptor {
    let service = || {
        Some(ApiServiceDescriptor {
            url: "driver".into(),
            authentication: None,
        })
    };
    let port = RemoteGrpcPort {
        api_service_descriptor: service(),
        coder_id: "any".into(),
    };
    let transform = |urn: &str, payload: Vec<u8>| PTransform {
        spec: Some(FunctionSpec {
            urn: urn.into(),
            payload: payload.into(),
        }),
        ..PTransform::default()
    };
    let mut descriptor = ProcessBundleDescriptor {
        id: "stage".into(),
        state_api_service_descriptor: service(),
        ..ProcessBundleDescriptor::default()
    };
    for (id, urn) in [
        ("source", "beam:runner:source:v1"),
        ("sink", "beam:runner:sink:v1"),
    ] {
        let port = transform(urn, port.encode_to_vec());
        descriptor.transforms.insert(id.into(), port);
    }
    let function = transform("beam:transform:pardo:v1", Vec::new());
    descriptor.transforms.insert("function".into(), function);
    descriptor
}

/// Writes a scenario of `count` elements in a bundle.
fn write_scenario(folder: &Path, elements: &[Vec<u8>], count: usize) {
    fs::write(folder.join("descriptor.pb"), descriptor().encode_to_vec()).unwrap();
    fs::write(folder.join("input.tpl"), templates(elements)).unwrap();
    let tail = [b"\x03ghi".to_vec(), b"\x01j".to_vec()];
    fs::write(folder.join("state.tpl"), templates(&tail)).unwrap();
    let scenario = format!(
        r#"{{"name": "test", "descriptor": "descriptor.pb",
             "source": {{"transform_id": "source", "templates": "input.tpl"}},
             "state": [{{"runner_key": "tail", "templates": "state.tpl", "count": 2, "page_bytes": 1}}],
             "cases": [{{"name": "only", "elements_per_bundle": {count}, "bundles": 4, "warmup_bundles": 1,
                         "concurrency": 2, "cache_tokens": true}}]}}"#
    );
    fs::write(folder.join("scenario.json"), scenario).unwrap();
}

/// Runs the sink on a scenario.
fn run(folder: &Path, mode: &str, more: &[&str]) -> Output {
    let harness = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/sink.json");
    Command::new(env!("CARGO_BIN_EXE_fnbench"))
        .arg("run")
        .arg("--harness")
        .arg(harness)
        .arg("--scenario")
        .arg(folder)
        .args(["--case", "only", "--settle-ms", "0", "--json"])
        .arg(format!("--timeout-s={}", LIMIT.as_secs()))
        .arg(format!("--set=mode={mode}"))
        .arg("--log-dir")
        .arg(folder.join("logs"))
        .arg("--dump-output")
        .arg(folder.join("output"))
        .args(more)
        .output()
        .unwrap()
}

/// The output of the first measured bundle.
fn output(mode: &str, elements: &[Vec<u8>], count: usize, more: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    write_scenario(folder.path(), elements, count);
    let ran = run(folder.path(), mode, more);
    let (out, errors) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{errors}");
    let line = out.lines().find(|line| line.starts_with('{')).unwrap();
    let measured: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(measured["harness"], format!("sink-{mode}"));
    assert_eq!(measured["bundles"], 4);
    assert_eq!(measured["elements"], 4 * count);
    assert_eq!(measured["shutdown"], "graceful");
    fs::read(folder.path().join("output")).unwrap()
}

#[test]
fn pairs_come_back() {
    let pairs = [element(&[b"a", &[0, 1]]), element(&[b"b", &[1, 2]])];
    let all = pairs.concat().repeat(5);
    assert_eq!(output("echo", &pairs, 10, &[]), all);
    assert_eq!(output("echo", &pairs, 10, &["--embed"]), all);
    assert_eq!(output("recode", &pairs, 10, &["--progress-ms", "1"]), all);
    assert_eq!(output("filter", &pairs, 10, &[]), pairs[0].repeat(5));
    assert_eq!(output("drain", &pairs, 10, &[]), b"");
}

#[test]
fn words_are_counted() {
    let out = output("wc", &[element(&[b"to be to"])], 3, &[]);
    let count = |word: &[u8], count: u8| [&element(&[word])[..], &[count]].concat();
    let (to, be) = (count(b"to", 6), count(b"be", 3));
    assert!(out == [&to[..], &be].concat() || out == [&be[..], &to].concat());
}

#[test]
fn state_is_kept_across_bundles() {
    let pair = element(&[b"a", b"x"]);
    let counted = |count: u8| [&element(&[b"a"])[..], &[count]].concat();
    // One at a time: bundles that share a key at the same time would be a mistake of the runner.
    for mode in ["state", "statenc"] {
        let out = output(
            mode,
            std::slice::from_ref(&pair),
            2,
            &["--concurrency", "1"],
        );
        assert_eq!(out, [counted(3), counted(4)].concat(), "{mode}");
    }
}

#[test]
fn iterables_continue_in_state() {
    // An unknown count, a piece of two values, the mark of a token, and the token.
    let mut grouped = element(&[b"k"]);
    grouped.extend_from_slice(b"\xff\xff\xff\xff\x02\x02ab\x01c");
    grouped.extend_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x04tail");
    let sum = [&element(&[b"k"])[..], &[2 + 1 + 3 + 1]].concat();
    assert_eq!(output("iter", &[grouped], 1, &[]), sum);
}

#[test]
fn a_worker_that_ends_early_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    // Not what `wc` can read.
    write_scenario(folder.path(), &[b"\x01".to_vec()], 1);
    let ran = run(folder.path(), "wc", &[]);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success());
    assert!(errors.contains("output of the worker is"), "{errors}");
    let ran = run(folder.path(), "no-such-mode", &[]);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(errors.contains("the worker ended early"), "{errors}");
}
