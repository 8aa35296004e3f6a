//! State: what a function remembers for each key and window, from one element to the next.

mod additions;
mod bag;
mod cells;
mod kind;
mod overlay;
mod port;
mod value;

pub use bag::BagState;
pub use kind::{StateKind, StateProtocol};
pub use value::ValueState;
