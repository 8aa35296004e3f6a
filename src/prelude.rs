//! The names that a file with functions needs.

pub use crate::dofn::{
    BundleCx, CombineFn, Counter, Cx, Distribution, DoFn, EventTime, Fired, Gauge, Hold, InWindow,
    List, MapView, MultiMap, OnTimer, OnWindowExpiration, Out, Ports, ProcessingTime, Side, Single,
    Step, Steps, Timer, Timers, WindowExpiration, WindowFunction, steps,
};
pub use crate::element::{Element, Iter, Kv, Timestamp};
pub use crate::error::{Error, Result};
pub use beam_derive::{CombineFn, DoFn, Ports, WindowFunction};
