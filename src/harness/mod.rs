//! The async rim: what connects the core to a runner.
//!
//! Invariant: user code never runs on a rim thread, and nothing here waits for user code.

mod bundles;
mod context;
mod flusher;
mod inbox;
mod instructions;
mod jobs;
mod log;
mod memory;
mod metrics;
pub(crate) mod options;
mod outbox;
pub mod pool;
mod process_metrics;
mod response;
mod rim;
mod sampler;
mod spill;
mod wire;
pub mod worker;

pub use log::install_logging;
pub use worker::{Budgets, Options};
