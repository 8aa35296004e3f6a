#![deny(unused_must_use)]

use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;

#[derive(serde::Serialize, serde::Deserialize, DoFn)]
#[beam(name = "test.Words/v1")]
struct Words;

fn register(registry: &mut Registry) {
    registry.add_splittable::<Words>(); //~ `Words` is not a splittable function //~ write `impl Splittable` to say what it does
}

#[derive(Ports)]
struct CountsIo {
    counts: Out<i64>,
    count: ValueState<i64>,
}

struct Counts;

impl Splittable for Counts {
    type In = Kv<String, i64>;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = CountsIo; //~ a splittable function is no DoFn: it cannot have state or timers

    fn initial(&self, _: &Self::In) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, 1))
    }

    fn process(
        &mut self,
        _: &Self::In,
        claims: &Claims<Self>,
        _: &mut Cx<'_>,
        _: &mut CountsIo,
    ) -> Result<Resume> {
        claims.claim(0); //~ a position that is not claimed must not be processed
        Ok(Resume::Done)
    }
}

fn main() {}
