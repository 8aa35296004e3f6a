//! Which time a timer waits for.

/// The time that a timer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeDomain {
    /// The input's watermark.
    EventTime,
    /// The wall clock.
    ProcessingTime,
}

/// A [`TimeDomain`] as a type: [`EventTime`] or [`ProcessingTime`].
pub trait Domain: sealed::Sealed + Send + 'static {
    /// The domain.
    const DOMAIN: TimeDomain;
}

/// Timers that wait for the input's watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventTime {}

/// Timers that wait for the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessingTime {}

impl Domain for EventTime {
    const DOMAIN: TimeDomain = TimeDomain::EventTime;
}

impl Domain for ProcessingTime {
    const DOMAIN: TimeDomain = TimeDomain::ProcessingTime;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::EventTime {}
    impl Sealed for super::ProcessingTime {}
}
