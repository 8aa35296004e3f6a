//! What an element costs from wire to wire: header and pair decoded, one function, header and pair encoded.

use bytes::Bytes;
use divan::Bencher;
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::testing::Descriptor;
use serde::{Deserialize, Serialize};

use crate::plan;

/// Bytes of a value; keys have eight.
const SIZES: [usize; 4] = [8, 100, 1000, 10_000];

/// Passes pairs on, whose values are copied.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "micro.Owned/v1")]
struct Owned;

impl DoFn for Owned {
    type In = Kv<Vec<u8>, Vec<u8>>;
    type Io = Out<Kv<Vec<u8>, Vec<u8>>>;

    fn process(&mut self, pair: Self::In, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result {
        out.emit(cx, pair);
        Ok(())
    }
}

/// Passes pairs on, whose values are slices of the message that they came in.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "micro.Shared/v1")]
struct Shared;

impl DoFn for Shared {
    type In = Kv<Vec<u8>, Bytes>;
    type Io = Out<Kv<Vec<u8>, Bytes>>;

    fn process(&mut self, pair: Self::In, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result {
        out.emit(cx, pair);
        Ok(())
    }
}

#[divan::bench(args = SIZES, sample_size = 1, sample_count = 10)]
fn owned_values_of(bencher: Bencher<'_, '_>, size: usize) {
    let mut stage = Descriptor::new("owned");
    let source = stage.source("source", <Owned as DoFn>::In::coder());
    let out = stage.par_do("pass", &Owned, &source)["output"].clone();
    stage.sink("sink", &out);
    let mut registry = Registry::new();
    registry.add::<Owned>();
    let values = (0..100u8).map(|n| Kv(vec![n; 8], vec![n; size]));
    plan::bench(bencher, &stage, &registry, values);
}

#[divan::bench(args = SIZES, sample_size = 1, sample_count = 10)]
fn shared_values_of(bencher: Bencher<'_, '_>, size: usize) {
    let mut stage = Descriptor::new("shared");
    let source = stage.source("source", <Shared as DoFn>::In::coder());
    let out = stage.par_do("pass", &Shared, &source)["output"].clone();
    stage.sink("sink", &out);
    let mut registry = Registry::new();
    registry.add::<Shared>();
    let values = (0..100u8).map(|n| Kv(vec![n; 8], Bytes::from(vec![n; size])));
    plan::bench(bencher, &stage, &registry, values);
}
