//! Timers within a bundle: their records, and the order in which they fire.

mod local;
mod plan;
mod streams;
#[cfg(test)]
mod tests;

pub(crate) use local::LocalTimers;
pub(crate) use plan::{PlanTimers, first_family};
pub(crate) use streams::{Fire, TimerPlace, TimerStreams, emits_at};
