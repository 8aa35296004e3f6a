//! The runner's side of the Fn API: five services for one worker.

mod bundle;
mod listen;
mod load;
mod logs;
mod outlet;
mod services;
mod session;
mod state;

pub(crate) use listen::{Endpoints, Listeners, Network};
pub(crate) use load::{Load, Tally};
pub(crate) use logs::WorkerLog;
pub(crate) use session::{Session, Setup};
pub(crate) use state::{RunnerPages, StateCounts, StateStore};
