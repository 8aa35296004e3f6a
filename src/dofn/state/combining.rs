//! State that values are combined into.

use std::sync::Arc;

use serde_json::Value;

use super::cells::{Cell, Cells, Ground};
use super::port::state_port;
use super::{StateKind, StateProtocol};
use crate::dofn::{CombineFn, FunctionPayload, Named, StateKey};
use crate::element::{Element, Iter, Nesting};
use crate::error::Result;

/// The most accumulators that are left with the runner once they were read. Adding without reading appends one for each
/// bundle, so some of the cells that a bundle only adds to are read when it ends.
const ACCUMULATORS: usize = 8;

/// A combiner that state can be made of: it has a name, and a configuration that goes without saying.
///
/// Every combiner that derives [`CombineFn`](macro@crate::CombineFn) and has a default is one.
pub trait StateCombiner: CombineFn + Named + Default {}

impl<C: CombineFn + Named + Default> StateCombiner for C {}

/// A port that is state of all values that were added, combined by `C`, for each key and window.
///
/// Adding reads nothing, but for a few of the keys that a bundle only adds to: what was added to them before is read when
/// the bundle ends, and kept as one.
///
/// ```
/// use ferrobeam::dofn::Sum;
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::DoFnTester;
///
/// /// Says how much a customer has spent so far.
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "shop.Spent/v1")]
/// struct Spent;
///
/// #[derive(Ports)]
/// struct SpentIo {
///     so_far: Out<i64>,
///     total: CombiningState<Sum<i64>>,
/// }
///
/// impl DoFn for Spent {
///     type In = Kv<String, i64>;
///     type Io = SpentIo;
///
///     fn process(&mut self, Kv(_, price): Self::In, cx: &mut Cx, io: &mut SpentIo) -> Result {
///         io.total.add(price)?;
///         io.so_far.emit(cx, io.total.read()?);
///         Ok(())
///     }
/// }
///
/// let paid = |price: i64| Kv("Ada".to_owned(), price);
/// let mut tester = DoFnTester::of(Spent);
/// assert_eq!(tester.run([3, 4].map(paid))?.so_far.values(), [3, 7]);
/// assert_eq!(tester.run([5].map(paid))?.so_far.values(), [12]);
/// # Ok::<(), ferrobeam::Error>(())
/// ```
pub struct CombiningState<C: StateCombiner> {
    combiner: C,
    cells: Cells<CombiningCell<C>>,
}

impl<C: StateCombiner> CombiningState<C> {
    /// Adds a value.
    ///
    /// # Errors
    /// Used where there is no key in hand, or what the port has written could not be sent.
    #[inline]
    pub fn add(&mut self, value: C::In) -> Result<()> {
        let combiner = &self.combiner;
        self.cells.with(|cell, _| {
            let added = cell.added.get_or_insert_with(|| combiner.zero());
            combiner.add(added, value);
            cell.encoded = None;
            Ok(())
        })
    }

    /// What all values are combined into; without any, what the combiner makes of none.
    ///
    /// # Errors
    /// Used where there is no key in hand, or the accumulators cannot be read.
    pub fn read(&mut self) -> Result<C::Out> {
        let combiner = &self.combiner;
        self.cells.with(|cell, ground| {
            cell.load(combiner, ground)?;
            Ok(combiner.finish(cell.merged(combiner)))
        })
    }

    /// Removes all values.
    ///
    /// # Errors
    /// As [`CombiningState::add`].
    pub fn clear(&mut self) -> Result<()> {
        self.cells.with(|cell, _| {
            cell.stored = Stored::Cleared;
            cell.added = None;
            cell.encoded = None;
            Ok(())
        })
    }

    fn kind() -> StateKind {
        let combiner = FunctionPayload::of(&C::default()).unwrap_or_else(|_| FunctionPayload {
            format: FunctionPayload::FORMAT,
            name: C::NAME.into(),
            config: Value::Null,
        });
        StateKind::Combining(C::Acc::coder(), combiner)
    }

    fn of(cells: Cells<CombiningCell<C>>) -> Self {
        CombiningState {
            combiner: C::default(),
            cells,
        }
    }

    fn cells(&mut self) -> &mut Cells<CombiningCell<C>> {
        &mut self.cells
    }
}

state_port!(CombiningState<C: StateCombiner>, [StateProtocol::Bag]);

/// What a bundle knows of the runner's accumulators.
enum Stored<A> {
    Unread,
    /// All of them merged, and how many there are.
    Read(A, usize),
    /// They count for nothing any more.
    Cleared,
}

struct CombiningCell<C: StateCombiner> {
    stored: Stored<C::Acc>,
    /// What the bundle has added.
    added: Option<C::Acc>,
    /// What is to be appended, if it is known.
    encoded: Option<Vec<u8>>,
}

impl<C: StateCombiner> Default for CombiningCell<C> {
    fn default() -> Self {
        CombiningCell {
            stored: Stored::Unread,
            added: None,
            encoded: None,
        }
    }
}

impl<C: StateCombiner> CombiningCell<C> {
    /// Reads the runner's accumulators, unless that was done.
    fn load(&mut self, combiner: &C, ground: &Ground<'_>) -> Result<()> {
        let Stored::Unread = self.stored else {
            return Ok(());
        };
        let pages = ground.pages(StateKey::BagUser(ground.cell()));
        let (mut all, mut count) = (combiner.zero(), 0);
        for accumulator in &Iter::<C::Acc>::paged(Arc::new(pages)) {
            combiner.merge(&mut all, accumulator?);
            count += 1;
        }
        self.stored = Stored::Read(all, count);
        // Whether the runner's are replaced is known only now.
        self.encoded = None;
        Ok(())
    }

    /// All that is known.
    fn merged(&self, combiner: &C) -> C::Acc {
        let mut total = match &self.stored {
            Stored::Read(all, _) => all.clone(),
            Stored::Unread | Stored::Cleared => combiner.zero(),
        };
        if let Some(added) = &self.added {
            combiner.merge(&mut total, added.clone());
        }
        total
    }

    /// Whether there are so many accumulators that they are replaced by one.
    fn is_crowded(&self) -> bool {
        matches!(self.stored, Stored::Read(_, count)
            if count + usize::from(self.added.is_some()) > ACCUMULATORS)
    }

    /// What is to be appended; nothing if that is all there was.
    fn encode(&mut self) -> Option<&mut Vec<u8>> {
        let combiner = C::default();
        if self.encoded.is_none() {
            let mut accumulator = if self.is_crowded() {
                self.merged(&combiner)
            } else {
                self.added.clone()?
            };
            combiner.compact(&mut accumulator);
            let mut bytes = Vec::new();
            accumulator.encode(&mut bytes, Nesting::Nested);
            self.encoded = Some(bytes);
        }
        self.encoded.as_mut()
    }
}

impl<C: StateCombiner> Cell for CombiningCell<C> {
    fn settle(&mut self) -> usize {
        let bytes = self.encode().map_or(0, |bytes| bytes.len());
        2 * bytes + size_of::<C::Acc>()
    }

    fn prepare(&mut self, ground: &Ground<'_>) -> Result<()> {
        let is_unread = matches!(self.stored, Stored::Unread) && self.added.is_some();
        if is_unread && ground.is_turn() {
            self.load(&C::default(), ground)?;
        }
        Ok(())
    }

    fn flush(&mut self, ground: &Ground<'_>) -> Result<()> {
        let key = StateKey::BagUser(ground.cell());
        if self.is_crowded() || matches!(self.stored, Stored::Cleared) {
            ground.clear(&key)?;
        }
        if let Some(bytes) = self.encode() {
            ground.append(&key, std::mem::take(bytes).into())?;
        }
        Ok(())
    }
}
