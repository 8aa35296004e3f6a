//! Execution times.

use std::time::{Duration, Instant};

use ferrobeam::harness::Watch;
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window};

use crate::support::{At, Deed, Do, doubled, registry};

#[test]
fn a_bundle_that_no_sample_hits_has_times_all_the_same() {
    let watch = Watch {
        period: Duration::from_secs(3600),
        ..Watch::default()
    };
    let runner = FakeRunner::of(registry()).watch(watch).start();
    let mut stage = Descriptor::new("short");
    let numbers = stage.source("source", i64::coder());
    let out = stage.par_do("do", &Do::new(At::Element(1), Deed::Work(7)), &numbers);
    stage.sink("sink", &out["output"]);
    let start = Instant::now();
    let outcome = runner
        .bundle(&stage)
        .input("source", in_global_window([1i64]))
        .run();
    let most = i64::try_from(start.elapsed().as_millis()).unwrap();
    let times = outcome.metrics.total_millis("do").unwrap();
    assert!((7..=most).contains(&times), "{times} of {most} ms");
    assert_eq!(outcome.metrics.total_millis("source"), None);
    runner.close();
}

#[test]
fn samples_tell_transforms_apart() {
    let watch = Watch {
        period: Duration::from_millis(2),
        ..Watch::default()
    };
    let runner = FakeRunner::of(registry()).watch(watch).start();
    let mut stage = Descriptor::new("apart");
    let numbers = stage.source("source", i64::coder());
    let quick = stage.steps("quick", &doubled(), &numbers);
    let out = stage.par_do("slow", &Do::new(At::Element(2), Deed::Work(300)), &quick);
    stage.sink("sink", &out["output"]);
    let outcome = runner
        .bundle(&stage)
        .input("source", in_global_window([1i64]))
        .run();
    let slow = outcome.metrics.total_millis("slow").unwrap();
    let quick = outcome.metrics.total_millis("quick").unwrap_or(0);
    assert!(slow >= 290 && quick <= slow / 10, "{slow} and {quick} ms");
    runner.close();
}
