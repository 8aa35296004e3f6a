//! The names that a file with functions needs.

pub use crate::dofn::{
    BoundedTrie, BundleCx, CombineFn, Counter, Cx, Distribution, DoFn, Gauge, Histogram, InWindow,
    List, MapView, MultiMap, Options, Out, Ports, Side, Single, Step, Steps, StringSet,
    WindowFunction, steps,
};
pub use crate::element::{Element, Iter, Kv, Timestamp};
pub use crate::error::{Error, Result};
pub use beam_derive::{CombineFn, DoFn, Ports, WindowFunction};
