//! Jobs that do not just succeed.

use std::sync::Arc;
use std::time::Duration;

use ferrobeam::exec::Registry;
use ferrobeam::pipeline::{Pipeline, PipelineOptions};
use ferrobeam::submit::JobState;

use crate::functions::{Block, Fail, registry, release, show, wait_for_block};
use crate::{LIMIT, options};

#[test]
fn a_failure_is_told_in_the_words_of_the_function() {
    let pipeline = Pipeline::new();
    pipeline.create("Numbers", [41i64]).par_do("Fail", Fail);
    let mut job = pipeline.run(&options(), &Arc::new(registry())).unwrap();
    let error = job.wait(Some(LIMIT)).unwrap_err().to_string();
    assert!(error.contains("the job failed"), "{error}");
    assert!(error.contains("number 41 is not liked here"), "{error}");
    assert_eq!(job.state().unwrap(), JobState::Failed);
}

#[test]
fn a_job_that_ended_can_be_waited_for_again() {
    let pipeline = Pipeline::new();
    pipeline.create("Numbers", [1i64]).steps("Show", show());
    let mut job = pipeline.run(&options(), &Arc::new(registry())).unwrap();
    for _ in 0..2 {
        assert_eq!(job.wait(Some(LIMIT)).unwrap(), JobState::Done);
    }
    assert!(!job.job_id().is_empty());
}

#[test]
fn forgotten_functions_are_found_before_the_job_starts() {
    let pipeline = Pipeline::new();
    pipeline.create("Numbers", [1i64]).steps("Show", show());
    let error = pipeline
        .run(&options(), &Arc::new(Registry::new()))
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "\"test.show/v1\" is not registered; add it to the registry, or no worker of this process finds it \
         (transform \"Show\")"
    );
}

#[test]
fn a_job_service_that_is_not_there_is_named() {
    let pipeline = Pipeline::new();
    pipeline.impulse("Impulse");
    let mut options = PipelineOptions::default();
    let run =
        |options: &PipelineOptions| pipeline.run(options, &Arc::new(registry())).err().unwrap();
    assert!(run(&options).to_string().contains("--job_endpoint"));
    options.job_endpoint = Some("127.0.0.1:1".into());
    let error = run(&options).to_string();
    assert!(
        error.contains("the job service at 127.0.0.1:1 cannot be reached"),
        "{error}"
    );
}

#[test]
fn waiting_has_an_end() {
    let pipeline = Pipeline::new();
    pipeline.create("Numbers", [1i64]).steps("Show", show());
    let mut job = pipeline.run(&options(), &Arc::new(registry())).unwrap();
    let state = job.wait(Some(Duration::ZERO)).unwrap();
    assert!([JobState::Starting, JobState::Running, JobState::Done].contains(&state));
    assert_eq!(job.wait(Some(LIMIT)).unwrap(), JobState::Done);
}

#[test]
fn a_job_can_be_cancelled() {
    let pipeline = Pipeline::new();
    pipeline.create("Numbers", [1i64]).par_do("Block", Block);
    let mut job = pipeline.run(&options(), &Arc::new(registry())).unwrap();
    wait_for_block();
    job.cancel().unwrap();
    release();
    assert_eq!(job.wait(Some(LIMIT)).unwrap(), JobState::Cancelled);
}
