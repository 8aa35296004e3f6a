//! State: what a function remembers for each key and window, from one element to the next.

mod additions;
mod bag;
mod cells;
mod combining;
mod entries;
mod journal;
mod kind;
mod listing;
mod map;
mod map_cells;
mod multimap;
mod native;
mod ordered;
mod overlay;
mod port;
mod runs;
mod set;
mod value;

pub use bag::BagState;
pub use combining::{CombiningState, StateCombiner};
pub use kind::{StateKind, StateProtocol};
pub use map::MapState;
pub use multimap::MultimapState;
pub use ordered::{InOrder, OrderedListState};
pub use set::SetState;
pub use value::ValueState;
