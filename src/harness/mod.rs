//! The async rim: what connects the core to a runner.
//!
//! Invariant: user code never runs on a rim thread, and nothing here waits for user code.

mod bundles;
mod context;
mod descriptors;
mod finalize;
mod idle;
mod inbox;
mod instructions;
mod jobs;
mod memory;
mod metrics;
mod outbox;
pub mod pool;
mod response;
mod rim;
mod sampler;
mod spill;
mod wire;
pub mod worker;

pub use context::install_logging;
pub use worker::{Budgets, Options};
