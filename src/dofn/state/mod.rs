//! State: what a function remembers for each key and window, from one element to the next.

mod kind;

pub use kind::{StateKind, StateProtocol};
