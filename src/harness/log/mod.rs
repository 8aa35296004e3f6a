//! Log events on their way from user code to the runner.

pub(super) mod fields;
mod layer;
pub(crate) mod queue;
mod verbosity;

pub use layer::install_logging;
pub(crate) use layer::process_level;
