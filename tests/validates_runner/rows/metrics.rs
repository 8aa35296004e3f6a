//! Metrics of jobs, and what pipelines say of themselves.

use beam_proto::urns::requirements;
use ferrobeam::exec::Registry;
use ferrobeam::pipeline::{EnvironmentSpec, Pipeline};
use ferrobeam::prelude::*;
use ferrobeam::window::{FixedWindows, WindowFn};
use serde::{Deserialize, Serialize};

use super::rows;
use super::state::Counts;
use super::timers::Alarms;
use crate::behaviour::How;
use crate::case::Case;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs metric_counter,
    Runs metric_distribution,
    Runs metric_gauge,
    Runs metric_names_with_odd_characters,
    Alone requirements_declared,
];

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<Measure>();
}

/// Counts what it sees.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Measure/v1")]
struct Measure;

#[derive(Ports)]
struct MeasureIo {
    passed: Out<i64>,
    seen: Counter,
    sizes: Distribution,
    last: Gauge,
    #[port(name = "größe: x/y")]
    odd: Counter,
}

impl DoFn for Measure {
    type In = i64;
    type Io = MeasureIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut MeasureIo) -> Result {
        io.seen.inc();
        io.sizes.add(n);
        io.last.set(7);
        io.odd.add(n);
        io.passed.emit(cx, n);
        Ok(())
    }
}

/// Measures 1, 2 and 9.
fn measured(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64, 2, 9]);
    let passed = numbers.par_do("Measure", Measure).passed;
    case.expect(&passed).contains_in_any_order([1, 2, 9]);
}

fn metric_counter(case: &mut Case) {
    measured(case);
    case.metrics(|metrics| assert_eq!(metrics.counter("vr.Measure", "seen"), Some(3)));
}

fn metric_distribution(case: &mut Case) {
    measured(case);
    case.metrics(|metrics| {
        let sizes = metrics.distribution("vr.Measure", "sizes").unwrap();
        assert_eq!(
            (sizes.count, sizes.sum, sizes.min, sizes.max),
            (3, 12, 1, 9)
        );
    });
}

fn metric_gauge(case: &mut Case) {
    measured(case);
    case.metrics(|metrics| assert_eq!(metrics.gauge("vr.Measure", "last"), Some(7)));
}

fn metric_names_with_odd_characters(case: &mut Case) {
    measured(case);
    case.metrics(|metrics| assert_eq!(metrics.counter("vr.Measure", "größe: x/y"), Some(12)));
}

/// Wants to know when its elements are committed.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Committed/v1")]
struct Committed;

#[derive(Ports)]
struct CommittedIo {
    passed: Out<i64>,
    after_commit: AfterCommit,
}

impl DoFn for Committed {
    type In = i64;
    type Io = CommittedIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut CommittedIo) -> Result {
        io.passed.emit(cx, n);
        Ok(())
    }
}

/// Does something when a window expires.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Expiring/v1")]
struct Expiring;

#[derive(Ports)]
struct ExpiringIo {
    keys: Out<String>,
    expiry: WindowExpiration,
}

impl DoFn for Expiring {
    type In = Kv<String, i64>;
    type Io = ExpiringIo;

    fn process(&mut self, _: Self::In, _: &mut Cx<'_>, _: &mut ExpiringIo) -> Result {
        Ok(())
    }
}

impl OnWindowExpiration for Expiring {
    fn on_window_expiration(
        &mut self,
        key: &String,
        cx: &mut Cx<'_>,
        io: &mut ExpiringIo,
    ) -> Result {
        io.keys.emit(cx, key.clone());
        Ok(())
    }
}

fn requirements_declared() {
    let build = |pipeline: &Pipeline| {
        let environment = EnvironmentSpec::external("localhost:1").to_proto();
        pipeline.build(&environment).unwrap().requirements
    };
    let plain = Pipeline::new();
    plain.create("Numbers", [1i64]).par_do("Measure", Measure);
    assert!(build(&plain).is_empty());
    let required = |place: fn(&Pipeline), urns: &[&str]| {
        let pipeline = Pipeline::new();
        place(&pipeline);
        let urns = urns.iter().map(|urn| (*urn).to_owned()).collect();
        assert_eq!(build(&pipeline), urns);
    };
    let stateful = requirements::REQUIRES_STATEFUL_PROCESSING;
    required(
        |p| {
            drop(
                p.create("Pairs", [Kv("k".to_owned(), 1i64)])
                    .par_do("Count", Counts),
            )
        },
        &[stateful],
    );
    required(
        |p| {
            let fixed = WindowFn::Fixed(FixedWindows { size: 1, offset: 0 });
            p.create("Scripts", [Kv("k".to_owned(), String::new())])
                .window_into("Fixed", fixed)
                .par_do("Alarms", Alarms);
        },
        &[stateful],
    );
    required(
        |p| drop(p.create("Numbers", [1i64]).par_do("Committed", Committed)),
        &[requirements::REQUIRES_BUNDLE_FINALIZATION],
    );
    required(
        |p| {
            drop(
                p.create("Pairs", [Kv("k".to_owned(), 1i64)])
                    .par_do("Expire", Expiring),
            )
        },
        &[stateful, requirements::REQUIRES_ON_WINDOW_EXPIRATION],
    );
}
