//! What it costs to pass an element from one function to the next.
//!
//! A chain of no functions is the source alone: subtract it, and divide by the number of functions.

use std::marker::PhantomData;

use divan::Bencher;
use ferrobeam::dofn::Named;
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::testing::Descriptor;
use serde::{Deserialize, Serialize};

use crate::plan;

const HOPS: [usize; 4] = [0, 1, 4, 10];

/// Passes elements on.
#[derive(Serialize, Deserialize)]
struct Pass<T>(#[serde(skip)] PhantomData<fn() -> T>);

impl<T> Default for Pass<T> {
    fn default() -> Self {
        Pass(PhantomData)
    }
}

impl<T: Element> DoFn for Pass<T> {
    type In = T;
    type Io = Out<T>;

    fn process(&mut self, element: T, cx: &mut Cx<'_>, out: &mut Out<T>) -> Result {
        out.emit(cx, element);
        Ok(())
    }
}

macro_rules! named {
    ($($function:ty => $name:literal,)*) => {$(
        impl Named for $function {
            const NAME: &'static str = $name;
        }
    )*};
}

type Pair = Kv<Vec<u8>, Vec<u8>>;

named! {
    Pass<u64> => "micro.PassNumber/v1",
    Pass<String> => "micro.PassText/v1",
    Pass<Pair> => "micro.PassPair/v1",
}

fn chain<T: Element>(bencher: Bencher<'_, '_>, hops: usize, values: impl IntoIterator<Item = T>)
where
    Pass<T>: Named,
{
    let mut stage = Descriptor::new("chain");
    let mut last = stage.source("source", T::coder());
    for hop in 0..hops {
        last = stage.par_do(&format!("hop {hop}"), &Pass::<T>::default(), &last)["output"].clone();
    }
    let mut registry = Registry::new();
    registry.add::<Pass<T>>();
    plan::bench(bencher, &stage, &registry, values);
}

#[divan::bench(args = HOPS, sample_size = 1, sample_count = 20)]
fn numbers(bencher: Bencher<'_, '_>, hops: usize) {
    chain(bencher, hops, 0..100u64);
}

#[divan::bench(args = HOPS, sample_size = 1, sample_count = 20)]
fn texts_of_8(bencher: Bencher<'_, '_>, hops: usize) {
    chain(bencher, hops, (0..100).map(|n| format!("text{n:04}")));
}

#[divan::bench(args = HOPS, sample_size = 1, sample_count = 20)]
fn pairs_of_8_and_100(bencher: Bencher<'_, '_>, hops: usize) {
    chain(
        bencher,
        hops,
        (0..100).map(|n| Kv(vec![n; 8], vec![n; 100])),
    );
}

/// Four closures that the compiler sees as one.
#[divan::bench(sample_size = 1, sample_count = 20)]
fn numbers_through_4_fused_closures(bencher: Bencher<'_, '_>) {
    fn closures() -> Steps<u64, impl Step<u64, Out = u64>> {
        steps("micro.fused/v1")
            .map(|n: u64| n + 1)
            .filter(|n| *n != 0)
            .map(|n| n ^ 1)
            .map(|n| n + 1)
    }
    let mut stage = Descriptor::new("fused");
    let source = stage.source("source", u64::coder());
    stage.steps("steps", &closures(), &source);
    let mut registry = Registry::new();
    registry.add_steps(closures);
    plan::bench(bencher, &stage, &registry, 0..100u64);
}
