//! What the core needs from outside.

use std::sync::Arc;

use bytes::Bytes;

use super::{Commits, OptionValues};
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
    /// Takes what functions want done after the bundle in hand is committed.
    pub commits: Commits,
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

    /// Says that a page will most likely be wanted soon. Does not wait for it; what goes wrong shows when it is wanted.
    fn prefetch(&self, _key: &StateKey, _continuation: &Bytes) {}

    /// Whether [`StateKey::MultimapEntriesSide`] can be asked for.
    fn has_whole_multimaps(&self) -> bool {
        false
    }

    /// Adds encoded values to what the runner keeps under `key`. Does not wait for the runner: what it refuses fails the
    /// bundle at its end.
    ///
    /// # Errors
    /// The connection broke, or the state cannot be written.
    fn append(&self, key: &StateKey, data: Bytes) -> Result<()>;

    /// Forgets what the runner keeps under `key`. Does not wait, as [`append`](Self::append) does not.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn clear(&self, key: &StateKey) -> Result<()>;
}

/// The state of one key in one window.
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
    /// The keys of a multimap side input, each with an iterable of its values. Only some runners serve it.
    MultimapEntriesSide(SideKey),
    /// The values of a bag.
    BagUser(CellKey),
    /// The values of one encoded map key of a multimap.
    MultimapUser(CellKey, Bytes),
    /// The distinct map keys of a multimap. To clear them is to clear the whole multimap.
    MultimapKeysUser(CellKey),
    /// The values of an ordered list whose sort keys lie within `[from, to)`.
    OrderedListUser(CellKey, i64, i64),
}

impl StateKey {
    /// The cell, if this is state of a function's own.
    pub fn cell(&self) -> Option<&CellKey> {
        match self {
            StateKey::BagUser(cell)
            | StateKey::MultimapUser(cell, _)
            | StateKey::MultimapKeysUser(cell)
            | StateKey::OrderedListUser(cell, ..) => Some(cell),
            StateKey::Runner(_)
            | StateKey::IterableSide(_)
            | StateKey::MultimapSide(..)
            | StateKey::MultimapKeysSide(_)
            | StateKey::MultimapEntriesSide(_) => None,
        }
    }

    /// The side input, if this is about one.
    pub fn side(&self) -> Option<&SideKey> {
        match self {
            StateKey::IterableSide(side)
            | StateKey::MultimapSide(side, _)
            | StateKey::MultimapKeysSide(side)
            | StateKey::MultimapEntriesSide(side) => Some(side),
            StateKey::Runner(_)
            | StateKey::BagUser(_)
            | StateKey::MultimapUser(..)
            | StateKey::MultimapKeysUser(_)
            | StateKey::OrderedListUser(..) => None,
        }
    }
}
