//! What a function knows of the element or bundle in hand.

use std::time::Duration;

use crate::element::{Header, Pane, Timestamp};
use crate::error::{Error, Result};

/// The element or timer in hand: its timestamp and pane, and whether something downstream has failed.
///
/// `emit` returns nothing. When what comes after fails, the error waits here, later emits do nothing, and the bundle
/// fails when `process` returns. A long loop may ask [`Cx::failed`] and stop early.
pub struct Cx<'a> {
    header: &'a Header,
    skew: Duration,
    /// Where it is not the header's timestamp: the event time that things are relative to.
    moment: Option<Timestamp>,
    /// Wants to know the timestamps of outputs.
    observer: Option<&'a dyn Observe>,
    failed: Option<Error>,
}

/// Is told the timestamps of outputs.
pub trait Observe {
    /// There is an output with a timestamp of its own.
    fn observe(&self, timestamp: Timestamp);
}

impl<'a> Cx<'a> {
    /// The context of an element.
    #[inline]
    pub fn new(header: &'a Header, skew: Duration) -> Self {
        Cx {
            header,
            skew,
            moment: None,
            observer: None,
            failed: None,
        }
    }

    /// The context of a timer. `moment` is its time, if that is event time.
    pub fn of_timer(header: &'a Header, skew: Duration, moment: Option<Timestamp>) -> Self {
        Cx {
            moment,
            ..Cx::new(header, skew)
        }
    }

    /// The context of an element, whose outputs `observer` is told of.
    pub fn observed(header: &'a Header, skew: Duration, observer: &'a dyn Observe) -> Self {
        Cx {
            observer: Some(observer),
            ..Cx::new(header, skew)
        }
    }

    /// The element's event time. For a timer, that of what it emits: its [`Hold`](super::Hold).
    #[inline]
    pub fn timestamp(&self) -> Timestamp {
        self.header.timestamp
    }

    /// The event time that timers are set after.
    pub(super) fn moment(&self) -> Timestamp {
        self.moment.unwrap_or(self.header.timestamp)
    }

    /// The earliest timestamp that an output may have.
    pub(super) fn earliest(&self) -> Timestamp {
        self.header.timestamp - self.skew
    }

    /// Which firing of its window the element belongs to; for a timer, the element that set it.
    #[inline]
    pub fn pane(&self) -> Pane {
        self.header.pane
    }

    /// All that is known of the element besides its value.
    #[inline]
    pub fn header(&self) -> &'a Header {
        self.header
    }

    /// Whether the element exists because the pipeline is being drained: its window was closed, or its timer fired,
    /// before event time came that far.
    #[inline]
    pub fn caused_by_drain(&self) -> bool {
        let metadata = self.header.metadata.as_ref();
        metadata.is_some_and(|metadata| metadata.caused_by_drain())
    }

    /// Whether the bundle has failed: nothing that is emitted from now on matters.
    #[inline]
    pub fn failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Fails the bundle; the first error is kept.
    #[cold]
    pub fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// The failure, if there was one.
    #[inline]
    pub fn outcome(self) -> Result<()> {
        match self.failed {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// The header of an output at `timestamp`, unless that is too early.
    pub(super) fn header_at(&mut self, timestamp: Timestamp) -> Option<Header> {
        if timestamp < self.earliest() {
            self.fail(Error::user(format!(
                "an output at {timestamp} is earlier than its input at {} less the allowed skew of {} ms; emit at the \
                 input's time or later, or raise ALLOWED_TIMESTAMP_SKEW",
                self.header.timestamp,
                self.skew.as_millis()
            )));
            return None;
        }
        if let Some(observer) = self.observer {
            observer.observe(timestamp);
        }
        Some(Header {
            timestamp,
            ..self.header.clone()
        })
    }
}

/// The end of a bundle: there is no element whose timestamp and window an output could inherit.
#[derive(Default)]
pub struct BundleCx {
    failed: Option<Error>,
}

impl BundleCx {
    /// The context of a bundle's end.
    pub fn new() -> Self {
        BundleCx::default()
    }

    /// Whether the bundle has failed.
    pub fn failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Fails the bundle; the first error is kept.
    #[cold]
    pub fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// The failure, if there was one.
    pub fn outcome(self) -> Result<()> {
        match self.failed {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }
}
