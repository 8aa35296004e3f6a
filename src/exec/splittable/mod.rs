//! Runs the stages of splittable functions, and cuts the element in hand.

mod before;
mod gate;
mod hand;
mod maker;
mod process;
mod roots;

pub(crate) use before::BeforePlace;
pub use gate::{BundleGate, Ticket};
pub(crate) use hand::HandPlace;
pub use hand::{AtElement, InHand};
pub(crate) use maker::SplittableMaker;
pub(crate) use process::ProcessPlace;
pub use roots::{Residual, Root};

use crate::dofn::{Restriction, Splittable, WatermarkState};
use crate::element::Kv;

/// A restriction, and what the watermark estimator goes on with.
type Begun<F> = Kv<Restriction<F>, WatermarkState<F>>;

/// An element with work on it.
type Paired<F> = Kv<<F as Splittable>::In, Begun<F>>;

/// An element with work on it, and how much that is.
type Parts<F> = Kv<Paired<F>, f64>;
