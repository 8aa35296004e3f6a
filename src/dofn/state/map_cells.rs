//! What ports of values by map key have in common.

use super::cells::{Cells, Ground};
use super::entries::Entries;
use crate::element::{Element, Nesting};
use crate::error::Result;

/// The cells of a port of values by map key.
pub(super) struct MapCells {
    pub(super) cells: Cells<Entries>,
    /// An encoded map key.
    key: Vec<u8>,
}

impl MapCells {
    pub(super) fn of(cells: Cells<Entries>) -> Self {
        MapCells {
            cells,
            key: Vec::new(),
        }
    }

    /// Runs `work` on the cell in hand.
    pub(super) fn with<R>(
        &mut self,
        work: impl FnOnce(&mut Entries, &Ground<'_>) -> Result<R>,
    ) -> Result<R> {
        self.cells.with(work)
    }

    /// Runs `work` on the cell in hand, with an encoded map key.
    pub(super) fn at<K: Element, R>(
        &mut self,
        key: &K,
        work: impl FnOnce(&mut Entries, &Ground<'_>, &[u8]) -> Result<R>,
    ) -> Result<R> {
        self.key.clear();
        key.encode(&mut self.key, Nesting::Nested);
        let key = &self.key;
        let mut outcome = None;
        self.cells.grow(|entries, ground| {
            outcome = Some(work(entries, ground, key)?);
            Ok(entries.bytes())
        })?;
        outcome.ok_or_else(|| crate::error::Error::user("state was not reached"))
    }
}
