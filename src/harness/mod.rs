//! The async rim: what connects the core to a runner.
//!
//! Invariant: user code never runs on a rim thread, and nothing here waits for user code.

mod ahead;
mod bundles;
mod cache;
mod context;
mod descriptors;
mod failures;
mod finalize;
mod flusher;
mod idle;
mod inbox;
mod input;
mod instructions;
mod jobs;
mod log;
mod lulls;
mod metrics;
pub(crate) mod options;
mod outbox;
mod page;
mod plans;
pub mod pool;
mod process;
mod process_metrics;
mod questions;
mod response;
mod rim;
mod sampler;
mod samples;
mod spill;
mod splits;
mod state;
mod status;
mod stuck;
mod times;
mod watch;
mod wire;
mod work;
pub mod worker;
mod written;

pub use log::install_logging;
pub use samples::Sampling;
pub use stuck::STUCK;
pub use watch::Watch;
pub use worker::{Budgets, Options};
