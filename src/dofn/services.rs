//! What the core needs from outside.

use std::sync::Arc;

use bytes::Bytes;

use super::OptionValues;
use crate::element::Page;
use crate::error::Result;

/// What nodes are given when they are linked.
#[derive(Clone)]
pub struct Services {
    /// State of the bundle in hand.
    pub state: Arc<dyn StatePort>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// The options of the pipeline.
    pub options: OptionValues,
}

/// Wall time.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn now_millis(&self) -> i64;
}

/// The runner's state, for the bundle in hand. Calls block the bundle thread.
pub trait StatePort: Send + Sync {
    /// The page of `key` that `continuation` names; the first one where it is empty.
    ///
    /// # Errors
    /// The runner refused, or the connection broke.
    fn get(&self, key: &StateKey, continuation: &Bytes) -> Result<Page>;

    /// Appends encoded values. Does not wait: the runner's refusal fails the bundle at its end.
    ///
    /// # Errors
    /// The connection broke.
    fn append(&self, key: &StateKey, data: Bytes) -> Result<()>;

    /// Removes what is behind a key. Does not wait: the runner's refusal fails the bundle at its end.
    ///
    /// # Errors
    /// The connection broke.
    fn clear(&self, key: &StateKey) -> Result<()>;
}

/// A side input of a transform, in one window of the side input.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SideKey {
    /// The transform's id in the descriptor.
    pub transform: Arc<str>,
    /// The side input's local name.
    pub side: Arc<str>,
    /// The encoded window of the side input.
    pub window: Bytes,
}

/// A cell: one key's one state, in one window.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CellKey {
    /// The transform's id in the descriptor.
    pub transform: Arc<str>,
    /// The state's local name.
    pub state: Arc<str>,
    /// The encoded window.
    pub window: Bytes,
    /// The encoded key.
    pub key: Bytes,
}

/// What a state request is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StateKey {
    /// The tail of a state-backed iterable.
    Runner(Bytes),
    /// All values of an iterable side input.
    IterableSide(SideKey),
    /// The values of one encoded key of a multimap side input.
    MultimapSide(SideKey, Bytes),
    /// The distinct keys of a multimap side input.
    MultimapKeysSide(SideKey),
    /// The values of a cell.
    BagUser(CellKey),
    /// The values of one nested map key of a cell.
    MultimapUser(CellKey, Bytes),
    /// The distinct map keys of a cell. Clearing it clears the whole cell.
    MultimapKeysUser(CellKey),
    /// The values of a cell whose sort keys are from the first number on, and before the second.
    OrderedListUser(CellKey, i64, i64),
}
