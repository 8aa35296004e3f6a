//! The names that a file with functions needs.

pub use crate::dofn::{
    AfterCommit, BagState, BoundedTrie, BundleCx, Claims, CombineFn, CombiningState, Counter, Cx,
    Distribution, DoFn, EventTime, Fired, Gauge, Held, Histogram, Hold, InWindow, List, Manual,
    MapState, MapView, Monotonic, MultiMap, MultimapState, OffsetRange, OffsetTracker, OnTimer,
    OnWindowExpiration, Options, OrderedListState, Out, Ports, ProcessingTime, Resume, SetState,
    Side, Single, Splittable, Step, Steps, StringSet, Timer, Timers, ValueState, WallTime,
    WindowExpiration, WindowFunction, steps,
};
pub use crate::element::{Element, Iter, Kv, Timestamp};
pub use crate::error::{Error, Result};
pub use beam_derive::{CombineFn, DoFn, Order, Ports, WindowFunction};
