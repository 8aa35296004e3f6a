//! What is claimed of a restriction, and what is not.

use std::fmt::Debug;

use crate::element::Element;
use crate::error::Result;

/// Work that was done and work that is left, in one unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// What was done.
    pub completed: f64,
    /// What is left.
    pub remaining: f64,
}

impl Work {
    /// How much of the whole is done, between 0 and 1. One half where the numbers say nothing.
    pub fn fraction(self) -> f64 {
        let fraction = self.completed / (self.completed + self.remaining);
        if fraction.is_finite() {
            fraction.clamp(0.0, 1.0)
        } else {
            0.5
        }
    }
}

/// Knows what is claimed of a restriction, and how to cut the rest off.
///
/// The harness calls it under a lock, from the thread that processes and from one that splits: no method may take long,
/// or wait for anything.
///
/// ```
/// use ferrobeam::dofn::{Tracker, Work};
/// use ferrobeam::prelude::*;
///
/// /// Pages that link to each other: each page names the next.
/// struct Pages {
///     /// How many may still be read.
///     left: i64,
///     read: i64,
/// }
///
/// impl Tracker for Pages {
///     type Restriction = i64;
///     type Position = ();
///
///     fn new(left: i64) -> Self {
///         Pages { left, read: 0 }
///     }
///
///     fn restriction(&self) -> i64 {
///         self.read + self.left
///     }
///
///     fn claim(&mut self, (): ()) -> Result<bool> {
///         let claimed = self.left > 0;
///         (self.read, self.left) = (self.read + i64::from(claimed), self.left - i64::from(claimed));
///         Ok(claimed)
///     }
///
///     fn split(&mut self, fraction: f64) -> Option<i64> {
///         let keep = (self.left as f64 * fraction) as i64;
///         let residual = self.left - keep;
///         self.left = keep;
///         (residual > 0).then_some(residual)
///     }
///
///     fn is_done(&self) -> bool {
///         self.left == 0
///     }
///
///     fn work(&self) -> Work {
///         Work { completed: self.read as f64, remaining: self.left as f64 }
///     }
/// }
///
/// let mut pages = Pages::new(5);
/// assert!(pages.claim(())?);
/// assert_eq!(pages.split(0.5), Some(2));
/// assert_eq!(pages.restriction(), 3);
/// # Ok::<(), ferrobeam::Error>(())
/// ```
pub trait Tracker: Sized + Send + 'static {
    /// What it tracks. Runners keep and send it, so it has a coder.
    type Restriction: Element + Debug;
    /// What is claimed.
    type Position;

    /// A tracker of a restriction of which nothing is claimed.
    fn new(restriction: Self::Restriction) -> Self;

    /// What it tracks now: the restriction that it was made of, less what was cut off.
    fn restriction(&self) -> Self::Restriction;

    /// Claims a position, if it is within the restriction.
    ///
    /// # Errors
    /// A position that must not be claimed, as one before another that was claimed. It fails the bundle.
    fn claim(&mut self, position: Self::Position) -> Result<bool>;

    /// Cuts off what lies beyond `fraction` of the work that is not claimed: 0 cuts off all of it. Yields what was cut
    /// off; `None`, and no change, if nothing can be cut off there.
    fn split(&mut self, fraction: f64) -> Option<Self::Restriction>;

    /// Whether all work is claimed, so that nothing is lost when `process` returns.
    fn is_done(&self) -> bool;

    /// How much work is claimed and how much is not: finite numbers, not negative.
    fn work(&self) -> Work;

    /// Whether the work comes to an end by itself.
    fn is_bounded(&self) -> bool {
        true
    }
}
