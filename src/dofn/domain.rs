//! Which time a timer waits for.

/// The time that a timer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeDomain {
    /// The input's watermark.
    EventTime,
    /// The wall clock.
    ProcessingTime,
}
