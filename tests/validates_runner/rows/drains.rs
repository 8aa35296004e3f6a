//! Pipelines that are drained: what has begun comes to its end, and nothing new is begun.
//!
//! Job services have no call that drains a job. Python's default runner runs a pipeline as one that is being drained, if
//! it is told to.

use std::time::Duration;

use ferrobeam::dofn::Sum;
use ferrobeam::exec::Registry;
use ferrobeam::pipeline::PCollection;
use ferrobeam::prelude::*;
use serde::{Deserialize, Serialize};

use super::functions::pair;
use super::rows;
use crate::behaviour::How;
use crate::case::Case;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs drain,
    Runs timer_after_drain,
];

pub(crate) fn register(registry: &mut Registry) {
    registry.add_splittable::<Reads>().add::<Sums>();
}

/// Counts from zero up to a number under each key. Those of `forever` are dropped in a drain, and so are large numbers
/// of others.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Reads/v1")]
struct Reads;

/// What a drain leaves of a range.
const KEPT: i64 = 3;

impl Splittable for Reads {
    type In = Kv<String, i64>;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = Out<Kv<String, i64>>;

    fn initial(&self, Kv(_, end): &Self::In) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, *end))
    }

    fn truncate(&self, Kv(key, _): &Self::In, range: OffsetRange) -> Result<Option<OffsetRange>> {
        let end = range.end.min(KEPT);
        Ok((key != "forever").then_some(OffsetRange::new(range.start, end)))
    }

    fn process(
        &mut self,
        Kv(key, _): &Self::In,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        out: &mut Self::Io,
    ) -> Result<Resume> {
        let mut next = claims.restriction().start;
        while claims.claim(next) {
            out.emit(cx, Kv(key.clone(), next));
            next += 1;
        }
        Ok(Resume::Done)
    }
}

/// What is read in a drain. A runner that does not drain reads more.
fn read(case: &mut Case) -> PCollection<Kv<String, i64>> {
    case.drains = true;
    let ends = [pair("forever", 5i64), pair("long", 5), pair("short", 2)];
    case.p.create("Ends", ends).par_do_splittable("Read", Reads)
}

fn drain(case: &mut Case) {
    let read = read(case);
    let expected = [
        ("long", 0),
        ("long", 1),
        ("long", 2),
        ("short", 0),
        ("short", 1),
    ];
    case.expect(&read)
        .contains_in_any_order(expected.map(|(key, n)| pair(key, n)));
}

/// The sum of the numbers of each key, long after they came.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Sums/v1")]
struct Sums;

struct Late;

#[derive(Ports)]
struct SumsIo {
    sums: Out<Kv<String, i64>>,
    sum: CombiningState<Sum<i64>>,
    late: Timer<Late>,
}

impl DoFn for Sums {
    type In = Kv<String, i64>;
    type Io = SumsIo;

    fn process(&mut self, Kv(_, n): Self::In, cx: &mut Cx<'_>, io: &mut SumsIo) -> Result {
        io.sum.add(n)?;
        io.late.set_after(cx, Duration::from_secs(3600));
        Ok(())
    }
}

impl OnTimer<Late> for Sums {
    fn on_timer(
        &mut self,
        key: &String,
        _fired: Fired<'_>,
        cx: &mut Cx<'_>,
        io: &mut SumsIo,
    ) -> Result {
        let sum = io.sum.read()?;
        io.sums.emit(cx, Kv(key.clone(), sum));
        Ok(())
    }
}

fn timer_after_drain(case: &mut Case) {
    let sums = read(case).par_do("Sums", Sums).sums;
    case.expect(&sums)
        .contains_in_any_order([pair("long", 3), pair("short", 1)]);
}
