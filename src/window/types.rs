//! The standard windows.

use crate::element::coder::{Coder, urn};
use crate::element::{Element, Input, Nesting, NotAByte, Timestamp, put_varint};
use crate::error::Result;

/// A stretch of event time that elements are grouped in.
pub trait Window: Element + Eq {
    /// The last timestamp that lies in the window.
    fn max_timestamp(&self) -> Timestamp;
}

/// All of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct GlobalWindow;

impl Window for GlobalWindow {
    fn max_timestamp(&self) -> Timestamp {
        Timestamp::GLOBAL_WINDOW_END
    }
}

impl Element for GlobalWindow {
    fn coder() -> Coder {
        Coder::standard(urn::GLOBAL_WINDOW, [])
    }

    fn encode(&self, _out: &mut Vec<u8>, _at: Nesting) {}

    fn decode(_input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
        Ok(GlobalWindow)
    }
}

impl NotAByte for GlobalWindow {}
impl NotAByte for IntervalWindow {}

/// The half-open interval `[start, end)`, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntervalWindow {
    /// The first timestamp inside.
    pub start: Timestamp,
    /// The first timestamp after.
    pub end: Timestamp,
}

impl IntervalWindow {
    /// From milliseconds since 1970.
    pub fn from_millis(start: i64, end: i64) -> Self {
        IntervalWindow {
            start: Timestamp::from_millis(start),
            end: Timestamp::from_millis(end),
        }
    }
}

impl Window for IntervalWindow {
    fn max_timestamp(&self) -> Timestamp {
        Timestamp::from_millis(self.end.millis().saturating_sub(1))
    }
}

impl Element for IntervalWindow {
    fn coder() -> Coder {
        Coder::standard(urn::INTERVAL_WINDOW, [])
    }

    fn encode(&self, out: &mut Vec<u8>, _at: Nesting) {
        self.end.encode(out);
        put_varint(
            out,
            self.end.millis().saturating_sub(self.start.millis()) as u64,
        );
    }

    fn decode(input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
        let end = Timestamp::decode(input)?;
        let span = i64::try_from(input.varint()?).unwrap_or(i64::MAX);
        Ok(IntervalWindow {
            start: Timestamp::from_millis(end.millis().saturating_sub(span)),
            end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::{decoded, encoded};

    #[test]
    fn golden_bytes() {
        let window = IntervalWindow::from_millis(0, 10_000);
        let bytes = encoded(&window, Nesting::Nested);
        assert_eq!(bytes, [0x80, 0, 0, 0, 0, 0, 0x27, 0x10, 0x90, 0x4e]);
        assert_eq!(
            decoded::<IntervalWindow>(&bytes, Nesting::Nested).expect("valid"),
            window
        );
        assert_eq!(window.max_timestamp().millis(), 9_999);
        assert!(encoded(&GlobalWindow, Nesting::Nested).is_empty());
    }
}
