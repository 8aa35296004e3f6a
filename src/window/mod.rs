//! Windows: how event time is cut, and how a window of one collection maps to one of another.

mod custom;
mod functions;
mod types;

pub use custom::CustomWindow;
pub use functions::{FixedWindows, SessionWindows, SlidingWindows, WindowFn, merge_sessions};
pub use types::{GlobalWindow, IntervalWindow, Window};
