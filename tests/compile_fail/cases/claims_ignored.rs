#![deny(unused_must_use)]

use ferrobeam::prelude::*;

struct Careless;

impl Splittable for Careless {
    type In = i64;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = Out<i64>;

    fn initial(&self, end: &i64) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, *end))
    }

    fn process(
        &mut self,
        _: &i64,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        out: &mut Out<i64>,
    ) -> Result<Resume> {
        claims.claim(0); //~ a position that is not claimed must not be processed
        out.emit(cx, 0);
        Ok(Resume::Done)
    }
}

fn main() {}
