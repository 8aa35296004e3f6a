//! Collections of hand-built descriptors.

use std::time::Duration;

use crate::element::Coder;
use crate::element::coder::urn;
use crate::model::descriptor::OutputTime;
use crate::window::WindowFn;

/// How a collection is windowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Windowing {
    /// Which windows its elements are in.
    pub window_fn: WindowFn,
    /// Which timestamp a combined element has.
    pub output_time: OutputTime,
    /// How long after the end of a window elements of it are still taken.
    pub allowed_lateness: Duration,
}

impl Default for Windowing {
    fn default() -> Self {
        WindowFn::Global.into()
    }
}

impl From<WindowFn> for Windowing {
    fn from(window_fn: WindowFn) -> Self {
        Windowing {
            window_fn,
            output_time: OutputTime::EndOfWindow,
            allowed_lateness: Duration::ZERO,
        }
    }
}

/// A collection of a [`Descriptor`](super::Descriptor).
#[derive(Debug, Clone)]
pub struct Collection {
    /// Its id.
    pub id: String,
    /// The coder of its elements.
    pub coder: Coder,
    /// How it is windowed.
    pub windowing: Windowing,
}

impl Collection {
    /// The coder of its elements with their headers.
    pub fn windowed(&self) -> Coder {
        let window = self.windowing.window_fn.coder();
        Coder::standard(urn::WINDOWED_VALUE, [self.coder.clone(), window])
    }
}
