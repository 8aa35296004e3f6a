//! What users write: functions over elements, and the typed ports they reach the pipeline through.

mod after_commit;
pub mod builtin;
pub mod checks;
mod closure;
mod combine;
mod context;
mod edge;
mod lookups;
mod metric;
mod named;
mod options;
mod out;
mod ports;
mod scope;
mod services;
mod side;
mod site;
mod splittable;
mod state;
pub mod timer;
mod views;
mod window_function;

pub use after_commit::{AfterCommit, Commit, Commits};
pub use closure::{Filter, FlatMap, Map, Start, Step, Steps, Then, TryMap, steps};
pub use combine::{
    CombineFn, Count, Max, Mean, Merge, Min, Natural, Numeric, Order, Plain, Sample, Sum, Top,
};
pub use context::{BundleCx, Cx, Observe};
pub use edge::{Consumer, Discard, Link};
pub use metric::{
    ApiCall, ApiCounts, BoundedTrie, BoundedTrieCell, BoundedTrieData, BucketOptions, Buckets,
    Counter, CounterCell, Distribution, DistributionCell, DoubleDistribution,
    DoubleDistributionCell, DoubleGauge, DoubleGaugeCell, DoubleSpread, DoubleSum, DoubleSumCell,
    Exponential, Gauge, GaugeCell, Histogram, HistogramCell, HistogramData, Linear, MetricCell,
    MetricId, MetricSet, Spread, StringSet, StringSetCell, TrieNode, TriePath,
};
pub use named::{FUNCTION_URN, FunctionPayload, Named, TypeName, namespace};
pub use options::{OptionValues, Options};
pub use out::{Meter, Out, Sampler};
pub use ports::{Describe, InWindow, OutSlot, Port, Ports, Wiring};
pub use scope::Scope;
pub use services::{CellKey, Clock, Services, SideKey, StateKey, StatePort};
pub use side::{EncodeKey, Reframe, Side, SideAccess, SideReader, SideWindows, View};
pub use site::Site;
pub(crate) use splittable::refuse_keyed_splittable;
pub use splittable::{
    Claims, Cut, Held, Manual, Monotonic, OffsetRange, OffsetTracker, Position, Restriction,
    Resume, Splittable, Tracker, WallTime, WatermarkEstimator, WatermarkState, Work,
};
pub use state::{
    BagState, CombiningState, InOrder, MapState, MultimapState, OrderedListState, SetState,
    StateCombiner, StateKind, StateProtocol, ValueState,
};
pub use timer::{
    EventTime, Fired, Hold, OnTimer, OnWindowExpiration, ProcessingTime, TimeDomain, Timer, Timers,
    WindowExpiration,
};
pub use views::{List, Map as MapView, MultiMap, Single};
pub use window_function::{MergedWindow, WindowFunction};

use std::time::Duration;

use crate::element::Element;
use crate::error::Result;

/// A function over the elements of a collection.
///
/// `self` holds configuration, which travels in the pipeline, and scratch, which does not (`#[serde(skip)]`). All
/// that connects the function to its pipeline — outputs, side inputs, metrics — is in its [`Ports`].
///
/// An instance works on one bundle at a time and may be used for many bundles, one after the other. An error or a
/// panic fails the bundle, and the instance is dropped.
///
/// ```
/// use ferrobeam::prelude::*;
///
/// /// Splits lines into words.
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "text.Words/v1")]
/// struct Words {
///     min_len: usize,
/// }
///
/// impl DoFn for Words {
///     type In = String;
///     type Io = Out<String>;
///
///     fn process(&mut self, line: String, cx: &mut Cx, out: &mut Out<String>) -> Result {
///         for word in line.split_whitespace().filter(|w| w.len() >= self.min_len) {
///             out.emit(cx, word.to_owned());
///         }
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a DoFn",
    label = "this type has no `process`",
    note = "`#[derive(DoFn)]` only names it; write `impl DoFn` to say what it does",
    note = "a splittable function is no DoFn: it cannot have state or timers, since no one key has all of an element"
)]
pub trait DoFn: Sized + Send + 'static {
    /// The elements that it takes.
    type In: Element;
    /// Its outputs, side inputs and metrics: a derived [`Ports`] struct, or `Out<T>` for one output and nothing else.
    type Io: Ports<Self>;

    /// How far an output's timestamp may lie before that of the element it comes from.
    const ALLOWED_TIMESTAMP_SKEW: Duration = Duration::ZERO;

    /// Runs once for each instance, before its first bundle.
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

    /// Runs for each element; once for each of its windows, if a port looks at windows.
    ///
    /// # Errors
    /// Fails the bundle.
    fn process(&mut self, element: Self::In, cx: &mut Cx<'_>, io: &mut Self::Io) -> Result<()>;

    /// Runs at the end of each bundle, after its last element.
    ///
    /// # Errors
    /// Fails the bundle.
    fn finish_bundle(&mut self, cx: &mut BundleCx, io: &mut Self::Io) -> Result<()> {
        let _ = (cx, io);
        Ok(())
    }

    /// Runs once for each instance, after its last bundle, if the worker ends in good order.
    fn teardown(&mut self) {}
}
