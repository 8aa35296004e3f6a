//! A load driver for workers that speak Beam's Fn API.
//!
//! `fnbench` plays the runner: it serves Control, Data, State, Logging and Provision, starts a worker, hands it bundles
//! whose input was encoded beforehand, swallows the output and measures both processes. `fnsink` is a worker without
//! user code, which shows the ceiling that driver, gRPC and loopback leave on a machine. `benches/README.md` says how
//! to use them.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod args;
mod bundle_input;
pub mod campaign;
mod descriptor;
mod harness;
mod machine;
mod measurement;
mod process;
pub mod report;
pub mod run;
mod runner;
mod scenario;
pub mod sink;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Restricts this thread, and what it starts from now on, to some processors.
///
/// # Errors
/// Processors that do not exist.
pub fn pin(processors: &[usize]) -> anyhow::Result<()> {
    process::pin(processors).map(drop)
}

/// Locks, also after a panic elsewhere: what the locks here guard is valid at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
