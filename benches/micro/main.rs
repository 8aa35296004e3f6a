//! What one element costs inside the harness, without a runner.
//!
//! ```text
//! cargo bench --bench micro             all
//! cargo bench --bench micro -- hops     those whose path contains the word
//! ```
//!
//! Each iteration handles a million elements, so milliseconds per iteration are nanoseconds per element.

mod coders;
mod combine;
mod hops;
mod plan;
mod rows;
mod wire;

/// The worker binaries' allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Elements of one iteration.
const ELEMENTS: usize = 1_000_000;

fn main() {
    divan::main();
}
