//! Windows of a window function that only its author's SDK knows.

use super::Window;
use crate::element::coder::{Coder, urn};
use crate::element::{Element, Input, Nesting, NotAByte, Timestamp};
use crate::error::Result;

/// A window of any shape, with its last timestamp in a form that every SDK reads (`beam:coder:custom_window:v1`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CustomWindow<W> {
    /// The last timestamp that lies in the window.
    pub max_timestamp: Timestamp,
    /// The window itself. `Vec<u8>` keeps a foreign window's bytes where the runner has put a length before them.
    pub window: W,
}

impl<W: Window> From<W> for CustomWindow<W> {
    fn from(window: W) -> Self {
        CustomWindow {
            max_timestamp: window.max_timestamp(),
            window,
        }
    }
}

impl<W: Element + Eq> Window for CustomWindow<W> {
    fn max_timestamp(&self) -> Timestamp {
        self.max_timestamp
    }
}

impl<W: Element> Element for CustomWindow<W> {
    fn coder() -> Coder {
        Coder::standard(urn::CUSTOM_WINDOW, [W::coder()])
    }

    fn encode(&self, out: &mut Vec<u8>, _at: Nesting) {
        self.max_timestamp.encode(out);
        self.window.encode(out, Nesting::Nested);
    }

    fn decode(input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
        Ok(CustomWindow {
            max_timestamp: Timestamp::decode(input)?,
            window: W::decode(input, Nesting::Nested)?,
        })
    }
}

impl<W: Element> NotAByte for CustomWindow<W> {}
