//! The names that a file with functions needs.

pub use crate::dofn::{
    AfterCommit, BundleCx, CombineFn, Counter, Cx, Distribution, DoFn, Gauge, InWindow, List,
    MapView, MultiMap, Out, Ports, Side, Single, Step, Steps, WindowFunction, steps,
};
pub use crate::element::{Element, Iter, Kv, Timestamp};
pub use crate::error::{Error, Result};
pub use beam_derive::{CombineFn, DoFn, Ports, WindowFunction};
