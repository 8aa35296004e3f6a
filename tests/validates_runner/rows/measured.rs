//! What workers measure of collections and transforms, as jobs tell it.

use std::time::{Duration, Instant};

use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use serde::{Deserialize, Serialize};

use super::functions::{Range, text};
use super::rows;
use crate::behaviour::How;
use crate::case::Case;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs metric_element_counts,
    Runs metric_sampled_byte_size,
    Runs metric_exec_time,
];

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<Busy>();
}

fn metric_element_counts(case: &mut Case) {
    let ends = case.p.create("Ends", [3i64, 4]);
    let numbers = ends.par_do("Range", Range { keys: 1 });
    let kept = numbers.group_by_key("Group");
    case.expect(&kept.count_globally("Count"))
        .contains_in_any_order([1]);
    let ids = [ends.id(), numbers.id(), kept.id()].map(str::to_owned);
    case.metrics(move |metrics| {
        let counts = ids.map(|id| metrics.element_count(&id));
        assert_eq!(counts, [Some(2), Some(7), Some(1)]);
    });
}

fn metric_sampled_byte_size(case: &mut Case) {
    let numbers = case.p.create("Numbers", 1_000_000i64..1_000_100);
    let texts = numbers.steps("Text", text());
    case.expect(&texts.count_globally("Count"))
        .contains_in_any_order([100]);
    let id = texts.id().to_owned();
    case.metrics(move |metrics| {
        let sizes = metrics.element_sizes(&id).unwrap();
        // Seven digits, perhaps with their number before them, in as many bytes as a runner's wrapping makes of them.
        assert!((1..=100).contains(&sizes.count), "{sizes:?}");
        assert!((7..=9).contains(&sizes.min), "{sizes:?}");
        assert_eq!((sizes.min, sizes.min * sizes.count), (sizes.max, sizes.sum));
    });
}

/// How long one element takes.
const BUSY: Duration = Duration::from_millis(300);

/// Works for a while on each element.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Busy/v1")]
struct Busy;

impl DoFn for Busy {
    type In = i64;
    type Io = Out<i64>;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        let start = Instant::now();
        while start.elapsed() < BUSY {
            std::hint::spin_loop();
        }
        out.emit(cx, n);
        Ok(())
    }
}

fn metric_exec_time(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64, 2]);
    let passed = numbers.par_do("Busy", Busy);
    case.expect(&passed).contains_in_any_order([1, 2]);
    let start = Instant::now();
    case.metrics(move |metrics| {
        let busy = metrics.busy("Busy").unwrap();
        // What a sample counts may begin and end a period beside the work.
        let least = 2 * BUSY - Duration::from_millis(200);
        assert!((least..=start.elapsed()).contains(&busy), "{busy:?}");
    });
}
