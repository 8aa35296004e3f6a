//! The names that a file with functions needs.

pub use crate::dofn::{
    AfterCommit, BagState, BoundedTrie, BundleCx, CombineFn, CombiningState, Counter, Cx,
    Distribution, DoFn, EventTime, Fired, Gauge, Histogram, Hold, InWindow, List, MapState,
    MapView, MultiMap, MultimapState, OnTimer, OnWindowExpiration, Options, OrderedListState, Out,
    Ports, ProcessingTime, SetState, Side, Single, Step, Steps, StringSet, Timer, Timers,
    ValueState, WindowExpiration, WindowFunction, steps,
};
pub use crate::element::{Element, Iter, Kv, Timestamp};
pub use crate::error::{Error, Result};
pub use beam_derive::{CombineFn, DoFn, Ports, WindowFunction};
