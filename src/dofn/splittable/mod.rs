//! Functions whose work on one element can be split: while it is planned, and while it is done.

mod claims;
mod offsets;
mod tracker;
mod watermark;

pub use claims::{Claims, Cut};
pub use offsets::{OffsetRange, OffsetTracker};
pub use tracker::{Tracker, Work};
pub use watermark::{Held, Manual, Monotonic, WallTime, WatermarkEstimator};

use std::time::Duration;

use super::{BundleCx, Cx, Ports};
use crate::element::{Element, Timestamp};
use crate::error::Result;

/// The type of the restrictions of `F`.
pub type Restriction<F> = <<F as Splittable>::Tracker as Tracker>::Restriction;

/// The type of the positions that `F` claims.
pub type Position<F> = <<F as Splittable>::Tracker as Tracker>::Position;

/// What the watermark estimator of `F` keeps between bundles.
pub type WatermarkState<F> = <<F as Splittable>::Watermark as WatermarkEstimator>::State;

/// Stops the compiler at a splittable function that has state or timers after all, since it is a `DoFn`, too.
pub(crate) const fn refuse_keyed_splittable<F: Splittable>() {
    assert!(
        !<F::Io as Ports<F>>::KEYED,
        "a splittable function cannot have state or timers: no one key has all of an element"
    );
}

/// Whether `process` is through with a restriction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it says what becomes of the rest"]
pub enum Resume {
    /// All work is claimed, or what is left was taken away.
    Done,
    /// The rest is to be processed later, this long from now or some time after. The runner may do it on another worker.
    After(Duration),
}

/// A function whose work on one element can be split.
///
/// The work on an element is a *restriction*: a range of offsets, or whatever a [`Tracker`] of one's own knows.
/// [`initial`](Self::initial) says all of it, [`split`](Self::split) cuts it before it begins, and the runner may cut it
/// at any time: so [`process`](Self::process) works on nothing that it has not [claimed](Claims::claim).
///
/// Derive `DoFn` to name it, and place it by [`par_do_splittable`](crate::pipeline::PCollection::par_do_splittable).
/// State and timers are not for splittable functions: no one key has all of an element.
///
/// All methods that take `&self` work from the configuration: they may be called on instances that were not
/// [set up](Self::setup), and on any thread, [`size`](Self::size) while `process` runs.
///
/// ```
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::SplittableTester;
///
/// /// The numbers below the one that comes in.
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "math.Below/v1")]
/// struct Below;
///
/// impl Splittable for Below {
///     type In = i64;
///     type Tracker = OffsetTracker;
///     type Watermark = Held;
///     type Io = Out<i64>;
///
///     fn initial(&self, n: &i64) -> Result<OffsetRange> {
///         Ok(OffsetRange::new(0, *n))
///     }
///
///     fn process(
///         &mut self,
///         _n: &i64,
///         claims: &Claims<Self>,
///         cx: &mut Cx,
///         out: &mut Out<i64>,
///     ) -> Result<Resume> {
///         let mut next = claims.restriction().start;
///         while claims.claim(next) {
///             out.emit(cx, next);
///             next += 1;
///         }
///         Ok(Resume::Done)
///     }
/// }
///
/// let mut tester = SplittableTester::of(Below);
/// assert_eq!(tester.run([3, 2])?.values(), [0, 1, 2, 0, 1]);
/// # Ok::<(), ferrobeam::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a splittable function",
    label = "`Splittable` is not implemented for this type",
    note = "`#[derive(DoFn)]` only names it; write `impl Splittable` to say what it does"
)]
pub trait Splittable: Sized + Send + 'static {
    /// The elements that it takes.
    type In: Element;
    /// Knows what is claimed of a restriction, and how to cut it.
    type Tracker: Tracker;
    /// Says how far event time has come in the outputs for an element: [`Held`] if that does not matter before all of it
    /// is processed.
    type Watermark: WatermarkEstimator;
    /// Its outputs, side inputs and metrics: a derived [`Ports`] struct, or `Out<T>` for one output and nothing else.
    type Io: Ports<Self>;

    /// How far an output's timestamp may lie before that of the element it comes from.
    const ALLOWED_TIMESTAMP_SKEW: Duration = Duration::ZERO;

    /// Whether the work on each element ends by itself. If not, its outputs are unbounded collections.
    const IS_BOUNDED: bool = true;

    /// All the work on an element.
    ///
    /// # Errors
    /// Fails the bundle.
    fn initial(&self, element: &Self::In) -> Result<Restriction<Self>>;

    /// Cuts the work on an element before it begins, into parts that may be processed anywhere at the same time. Together
    /// they must be the whole.
    ///
    /// # Errors
    /// Fails the bundle.
    fn split(
        &self,
        element: &Self::In,
        restriction: Restriction<Self>,
    ) -> Result<Vec<Restriction<Self>>> {
        let _ = element;
        Ok(vec![restriction])
    }

    /// How much work a restriction is, in any unit: not negative, and finite. Runners compare the sizes of restrictions.
    ///
    /// # Errors
    /// Fails the bundle.
    fn size(&self, element: &Self::In, restriction: &Restriction<Self>) -> Result<f64> {
        let tracker = self.tracker(element, restriction.clone())?;
        Ok(tracker.work().remaining)
    }

    /// What is left to do of a restriction when the pipeline is drained: nothing, or a part that comes to an end. By
    /// default, bounded restrictions are kept and others are dropped.
    ///
    /// # Errors
    /// Fails the bundle.
    fn truncate(
        &self,
        element: &Self::In,
        restriction: Restriction<Self>,
    ) -> Result<Option<Restriction<Self>>> {
        let tracker = self.tracker(element, restriction.clone())?;
        Ok(tracker.is_bounded().then_some(restriction))
    }

    /// The tracker of a restriction. Override it for a tracker that needs to know more than its restriction.
    ///
    /// # Errors
    /// Fails the bundle.
    fn tracker(&self, element: &Self::In, restriction: Restriction<Self>) -> Result<Self::Tracker> {
        let _ = element;
        Ok(Self::Tracker::new(restriction))
    }

    /// What the watermark estimator begins with, for an element of this timestamp.
    ///
    /// # Errors
    /// Fails the bundle.
    fn initial_watermark(
        &self,
        element: &Self::In,
        restriction: &Restriction<Self>,
        timestamp: Timestamp,
    ) -> Result<WatermarkState<Self>> {
        let _ = (element, restriction);
        Ok(Self::Watermark::initial(timestamp))
    }

    /// Runs once for each instance that processes, before its first bundle.
    ///
    /// # Errors
    /// Fails the bundle that the instance was made for.
    fn setup(&mut self) -> Result<()> {
        Ok(())
    }

    /// Runs at the start of each bundle, before its first element.
    ///
    /// # Errors
    /// Fails the bundle.
    fn start_bundle(&mut self, io: &mut Self::Io) -> Result<()> {
        let _ = io;
        Ok(())
    }

    /// Runs for each restriction of an element; once for each of its windows, if a port looks at windows.
    ///
    /// Claims come first, work second: a position that could not be claimed belongs to somebody else. It ends when a
    /// claim fails, or, with [`Resume::After`], when there is nothing to do for now. To return [`Resume::Done`] with work
    /// left unclaimed is an error.
    ///
    /// # Errors
    /// Fails the bundle.
    fn process(
        &mut self,
        element: &Self::In,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        io: &mut Self::Io,
    ) -> Result<Resume>;

    /// Runs at the end of each bundle, after its last element.
    ///
    /// # Errors
    /// Fails the bundle.
    fn finish_bundle(&mut self, cx: &mut BundleCx, io: &mut Self::Io) -> Result<()> {
        let _ = (cx, io);
        Ok(())
    }

    /// Runs once for each instance that was set up, after its last bundle, if the worker ends in good order.
    fn teardown(&mut self) {}
}
