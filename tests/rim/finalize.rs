//! What functions want done after the commit.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, DoFnTester, FakeRunner, in_global_window};
use serde::{Deserialize, Serialize};

use crate::support::Gate;

/// Passes numbers on, and notes them under a name once they are committed. Negative ones are not noted.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.Note/v1")]
pub(crate) struct Note {
    pub(crate) under: String,
}

#[derive(Ports)]
pub(crate) struct NoteIo {
    pub(crate) out: Out<i64>,
    after_commit: AfterCommit,
}

/// Its callback returns an error.
const FAILS: i64 = 1000;
/// Its callback panics.
const PANICS: i64 = 1001;
/// Its callback waits at a gate.
const WAITS: i64 = 1002;
/// Its callback expires at once.
const EXPIRED: i64 = 1003;
/// Fails the bundle.
const BAD: i64 = 1004;

impl DoFn for Note {
    type In = i64;
    type Io = NoteIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut NoteIo) -> Result {
        if n == BAD {
            return Err(Error::user("told to fail"));
        }
        io.out.emit(cx, n);
        if n >= 0 {
            let expiry = Duration::from_secs(if n == EXPIRED { 0 } else { 600 });
            let under = self.under.clone();
            io.after_commit.register(expiry, move || note(under, n));
        }
        Ok(())
    }

    fn finish_bundle(&mut self, _cx: &mut BundleCx, io: &mut NoteIo) -> Result {
        if self.under.ends_with("at the end") {
            let under = self.under.clone();
            let expiry = Duration::from_secs(600);
            io.after_commit.register(expiry, move || note(under, -1));
        }
        Ok(())
    }
}

static NOTES: Mutex<BTreeMap<String, Vec<i64>>> = Mutex::new(BTreeMap::new());

fn note(under: String, n: i64) -> Result {
    match n {
        FAILS => return Err(Error::user("cannot acknowledge")),
        PANICS => panic!("acknowledged too hard"),
        WAITS => Gate::named(&under).pass()?,
        _ => {}
    }
    let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    notes.entry(under).or_default().push(n);
    Ok(())
}

/// Takes the numbers that were noted under a name.
pub(crate) fn noted(under: &str) -> Vec<i64> {
    let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    notes.remove(under).unwrap_or_default()
}

fn noting(under: &str) -> Descriptor {
    let mut stage = Descriptor::new(under);
    let numbers = stage.source("source", i64::coder());
    let note = Note {
        under: under.into(),
    };
    let out = stage.par_do("note", &note, &numbers);
    stage.sink("sink", &out["out"]);
    stage
}

fn runner() -> FakeRunner {
    let mut registry = Registry::new();
    registry.add::<Note>();
    FakeRunner::start(registry)
}

/// Runs a bundle; yields its id.
fn bundle(runner: &FakeRunner, stage: &Descriptor, numbers: &[i64]) -> String {
    let input = in_global_window(numbers.iter().copied());
    let outcome = runner.bundle(stage).input("source", input).run();
    assert_eq!(outcome.values::<i64>("sink"), numbers);
    assert!(outcome.requires_finalization);
    outcome.id
}

#[test]
fn callbacks_are_called_once_after_the_commit() {
    let runner = runner();
    let stage = noting("once");
    let one = bundle(&runner, &stage, &[1, 2]);
    let two = bundle(&runner, &stage, &[3]);
    assert_eq!(noted("once"), [0i64; 0]);
    assert_eq!(runner.finalize(&two), Ok(()));
    assert_eq!(noted("once"), [3]);
    assert_eq!(runner.finalize(&one), Ok(()));
    assert_eq!(noted("once"), [1, 2]);
    // Late and repeated requests succeed.
    assert_eq!(runner.finalize(&one), Ok(()));
    assert_eq!(runner.finalize("never heard of"), Ok(()));
    assert_eq!(noted("once"), [0i64; 0]);
    runner.close();
}

#[test]
fn a_bundle_that_registers_nothing_requires_nothing() {
    let runner = runner();
    let bundle = runner.bundle(&noting("nothing"));
    let outcome = bundle.input("source", in_global_window([-1i64])).run();
    outcome.assert_ok();
    assert!(!outcome.requires_finalization);
    runner.close();
}

#[test]
fn the_end_of_a_bundle_may_register_too() {
    let runner = runner();
    let id = bundle(&runner, &noting("at the end"), &[-7]);
    assert_eq!(runner.finalize(&id), Ok(()));
    assert_eq!(noted("at the end"), [-1]);
    runner.close();
}

#[test]
fn callbacks_of_failed_bundles_are_never_called() {
    let runner = runner();
    let stage = noting("failed");
    let input = in_global_window([1, BAD]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert!(outcome.expect_error().contains("told to fail"));
    assert_eq!(runner.finalize(&outcome.id), Ok(()));
    let id = bundle(&runner, &stage, &[2]);
    assert_eq!(runner.finalize(&id), Ok(()));
    assert_eq!(noted("failed"), [2]);
    runner.close();
}

#[test]
fn expired_callbacks_are_not_called() {
    let runner = runner();
    let id = bundle(&runner, &noting("expired"), &[1, EXPIRED, 2]);
    assert_eq!(runner.finalize(&id), Ok(()));
    assert_eq!(noted("expired"), [1, 2]);
    runner.close();
}

#[test]
fn failures_are_told_and_hinder_no_other_callback() {
    let runner = runner();
    let id = bundle(&runner, &noting("failures"), &[1, FAILS, PANICS, 2]);
    let error = runner.finalize(&id).unwrap_err();
    assert!(error.starts_with("2 of 4 callbacks failed"), "{error}");
    assert!(error.contains("cannot acknowledge"), "{error}");
    assert!(error.contains("acknowledged too hard"), "{error}");
    assert_eq!(noted("failures"), [1, 2]);
    runner.expect_log(|entry| entry.message.contains("2 of 4") && entry.instruction_id == id);
    runner.close();
}

#[test]
fn a_callback_that_takes_long_delays_nobody() {
    use beam_proto::fnexec::FinalizeBundleRequest;
    use beam_proto::fnexec::instruction_request::Request;

    let runner = runner();
    let (slow, fast) = (noting("slow callback"), noting("fast callback"));
    let slow = bundle(&runner, &slow, &[WAITS]);
    let request = FinalizeBundleRequest {
        instruction_id: slow,
    };
    runner.instruction("finalize", Request::FinalizeBundle(request));
    Gate::named("slow callback").expect(1);
    let id = bundle(&runner, &fast, &[1]);
    assert_eq!(runner.finalize(&id), Ok(()));
    assert_eq!(noted("fast callback"), [1]);
    Gate::named("slow callback").open();
    assert_eq!(runner.expect_response("finalize").error, "");
    assert_eq!(noted("slow callback"), [WAITS]);
    runner.close();
}

#[test]
fn no_id_stands_for_all_bundles_that_have_ended() {
    let runner = runner();
    let stage = noting("all");
    for n in 0..3 {
        bundle(&runner, &stage, &[n]);
    }
    // The answer of the last bundle may be here before the worker knows that it is sent.
    let mut all = Vec::new();
    while all.len() < 3 {
        assert_eq!(runner.finalize(""), Ok(()));
        all.extend(noted("all"));
    }
    assert_eq!(all, [0, 1, 2]);
    assert_eq!(runner.finalize(""), Ok(()));
    assert_eq!(noted("all"), [0i64; 0]);
    runner.close();
}

#[test]
fn a_descriptor_that_requests_nothing_is_an_error() {
    use beam_proto::pipeline::ParDoPayload;
    use prost::Message;

    let runner = runner();
    let stage = noting("not requested");
    let mut descriptor = stage.build(&runner.endpoints());
    let note = descriptor.transforms.get_mut("note").unwrap();
    let spec = note.spec.as_mut().unwrap();
    let mut payload = ParDoPayload::decode(&spec.payload[..]).unwrap();
    assert!(payload.requests_finalization);
    payload.requests_finalization = false;
    spec.payload = payload.encode_to_vec().into();
    runner.define_proto(descriptor);
    runner.instruction("bundle", crate::basics::process("not requested"));
    let answer = runner.expect_response("bundle");
    let error = "the pipeline does not request finalization";
    assert!(answer.error.contains(error), "{answer:?}");
    runner.close();
}

#[test]
fn a_tester_commits() {
    let note = |under: &str| {
        DoFnTester::of(Note {
            under: under.into(),
        })
    };
    let mut tester = note("tester");
    tester.run([1, 2]).unwrap();
    tester.run([3]).unwrap();
    assert_eq!(noted("tester"), [0i64; 0]);
    tester.commit().unwrap();
    assert_eq!(noted("tester"), [1, 2, 3]);
    tester.commit().unwrap();
    assert_eq!(noted("tester"), [0i64; 0]);
    tester.run([FAILS, 4]).unwrap();
    assert!(tester.commit().is_err());
    assert_eq!(noted("tester"), [4]);

    let mut tester = note("tester of a failure");
    assert!(tester.run([5, BAD]).is_err());
    assert!(tester.commit().is_err());
    drop(tester);
    assert_eq!(noted("tester of a failure"), [0i64; 0]);
}
