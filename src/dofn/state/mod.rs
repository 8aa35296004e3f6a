//! State: what a function remembers for each key and window, from one element to the next.

mod additions;
mod bag;
mod cells;
mod combining;
mod kind;
mod ordered;
mod overlay;
mod port;
mod runs;
mod value;

pub use bag::BagState;
pub use combining::{CombiningState, StateCombiner};
pub use kind::{StateKind, StateProtocol};
pub use ordered::{InOrder, OrderedListState};
pub use value::ValueState;
