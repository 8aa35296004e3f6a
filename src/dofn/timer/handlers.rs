//! What functions do when timers fire.

use crate::dofn::{Cx, DoFn};
use crate::element::{Keyed, Timestamp};
use crate::error::Result;

/// The type of a function's keys.
pub type KeyOf<F> = <<F as DoFn>::In as Keyed>::Key;

/// A timer that has fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fired<'a> {
    /// The time that it was set to: event time, or milliseconds of the wall clock since 1970.
    pub at: Timestamp,
    /// What tells it from the others of its family; empty for a [`Timer`](super::Timer).
    pub tag: &'a str,
}

/// What a function does when the timers of its ports [`Timer<Tag>`](super::Timer) or [`Timers<Tag>`](super::Timers) fire.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what to do when timer `{Tag}` fires",
    label = "missing `impl OnTimer<{Tag}> for {Self}`",
    note = "a port `Timer<{Tag}>` or `Timers<{Tag}>` needs a handler in its function",
    note = "a splittable function cannot have timers, since no one key has all of an element"
)]
pub trait OnTimer<Tag>: DoFn<In: Keyed> {
    /// Runs for each timer that fires, within its key and window: state, side inputs and timers are theirs.
    ///
    /// # Errors
    /// Fails the bundle.
    fn on_timer(
        &mut self,
        key: &KeyOf<Self>,
        fired: Fired<'_>,
        cx: &mut Cx<'_>,
        io: &mut Self::Io,
    ) -> Result<()>;
}

/// What a function with a port [`WindowExpiration`](super::WindowExpiration) does at the end of each window.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what to do when a window expires",
    label = "missing `impl OnWindowExpiration for {Self}`",
    note = "a port `WindowExpiration` needs a handler in its function"
)]
pub trait OnWindowExpiration: DoFn<In: Keyed> {
    /// Runs once for each key and window, right before the runner forgets their state: when the watermark has passed the
    /// end of the window and the lateness that the input allows.
    ///
    /// # Errors
    /// Fails the bundle.
    fn on_window_expiration(
        &mut self,
        key: &KeyOf<Self>,
        cx: &mut Cx<'_>,
        io: &mut Self::Io,
    ) -> Result<()>;
}
