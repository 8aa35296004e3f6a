use ferrobeam::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "text.Words/v1")]
struct Words;

fn run<F: DoFn>(_: F) {}

fn main() {
    run(Words); //~ `Words` is not a DoFn //~ write `impl DoFn` to say what it does
}
