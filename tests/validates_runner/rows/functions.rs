//! Functions that several pipelines use.

use std::sync::atomic::{AtomicU64, Ordering};

use ferrobeam::dofn::{Step, Steps, steps};
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::{Row, window};
use serde::{Deserialize, Serialize};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<Range>()
        .add_steps(text)
        .add_steps(plus_one)
        .add_steps(key_by_parity)
        .add_steps(group_size);
}

/// A window from one number of milliseconds to another.
pub(crate) fn interval(start: i64, end: i64) -> window::IntervalWindow {
    window::IntervalWindow::from_millis(start, end)
}

/// A point in time, in milliseconds.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A pair with a key of text.
pub(crate) fn pair<V>(key: &str, value: V) -> Kv<String, V> {
    Kv(key.to_owned(), value)
}

/// A name that nothing else in this process has.
pub(crate) fn unique(what: &str) -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    format!("{what} {}", LAST.fetch_add(1, Ordering::Relaxed))
}

/// Each number with as many milliseconds as its timestamp.
pub(crate) fn timed<const N: usize>(numbers: [i64; N]) -> [(Timestamp, i64); N] {
    numbers.map(|n| (at(n), n))
}

/// Numbers as text.
pub(crate) fn text() -> Steps<i64, impl Step<i64, Out = String>> {
    steps("vr.text/v1").map(|n: i64| n.to_string())
}

pub(crate) fn plus_one() -> Steps<i64, impl Step<i64, Out = i64>> {
    steps("vr.plus_one/v1").map(|n: i64| n + 1)
}

/// Numbers under `even` and `odd`.
pub(crate) fn key_by_parity() -> Steps<i64, impl Step<i64, Out = Kv<String, i64>>> {
    steps("vr.key_by_parity/v1").map(|n: i64| pair(if n % 2 == 0 { "even" } else { "odd" }, n))
}

type Group = Kv<i64, Iter<i64>>;

/// How many values a key has, and their sum.
pub(crate) fn group_size() -> Steps<Group, impl Step<Group, Out = Kv<i64, Kv<i64, i64>>>> {
    steps("vr.group_size/v1").try_map(|Kv(key, values): Group| {
        let (mut count, mut sum) = (0, 0);
        values.for_each(|value| {
            count += 1;
            sum += value;
            Ok(())
        })?;
        Ok(Kv(key, Kv(count, sum)))
    })
}

/// The numbers from zero up to each number, each under the key of its remainder.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Range/v1")]
pub(crate) struct Range {
    pub(crate) keys: i64,
}

impl DoFn for Range {
    type In = i64;
    type Io = Out<Kv<i64, i64>>;

    fn process(&mut self, end: i64, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result {
        for n in 0..end {
            out.emit(cx, Kv(n % self.keys, n));
            if cx.failed() {
                break;
            }
        }
        Ok(())
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Row)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) count: i64,
    pub(crate) price: Option<f64>,
}

impl Item {
    pub(crate) fn new(name: &str, count: i64) -> Self {
        Item {
            name: name.into(),
            count,
            price: (count > 1).then_some(0.5),
        }
    }
}
