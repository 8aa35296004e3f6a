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
        _: &Claims<Self>,
        _: &mut Cx<'_>,
        _: &mut CountsIo,
    ) -> Result<Resume> {
        Ok(Resume::Done)
    }
}

struct Flush;

#[derive(Ports)]
struct TimedIo {
    counts: Out<i64>,
    flush: Timer<Flush>,
}

struct Timed;

impl Splittable for Timed {
    type In = Kv<String, i64>;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = TimedIo; //~ a splittable function cannot have timers

    fn initial(&self, _: &Self::In) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, 1))
    }

    fn process(
        &mut self,
        _: &Self::In,
        _: &Claims<Self>,
        _: &mut Cx<'_>,
        _: &mut TimedIo,
    ) -> Result<Resume> {
        Ok(Resume::Done)
    }
}

fn main() {}
