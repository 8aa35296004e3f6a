//! What lifted combining costs for each value: it goes into a table, from which one value per key comes out.

use divan::Bencher;
use ferrobeam::dofn::Sum;
use ferrobeam::exec::Registry;
use ferrobeam::model::descriptor::CombineStage;
use ferrobeam::prelude::*;
use ferrobeam::testing::Descriptor;

use crate::plan;

/// Distinct keys of eight bytes.
#[divan::bench(args = [1000, 100_000], sample_size = 1, sample_count = 10)]
fn sum_before_the_shuffle_for_keys(bencher: Bencher<'_, '_>, keys: u64) {
    let mut stage = Descriptor::new("lifted");
    let source = stage.source("source", Kv::<Vec<u8>, i64>::coder());
    let sums = stage.combine("sum", CombineStage::Precombine, &Sum::<i64>::new(), &source);
    stage.sink("sink", &sums);
    // In an order that the processor does not foresee.
    let mixed = |key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let values = (0..keys).map(|key| Kv(mixed(key).to_vec(), 1i64));
    plan::bench(bencher, &stage, &Registry::new(), values);
}
