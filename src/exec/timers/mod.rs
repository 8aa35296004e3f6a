//! Timers within a bundle: their records, and the order in which they fire.

mod local;
mod streams;
#[cfg(test)]
mod tests;

pub(crate) use local::LocalTimers;
pub(crate) use streams::{Fire, TimerPlace, TimerStreams, emits_at};
