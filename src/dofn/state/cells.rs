//! The cells of one port: which one is in hand, and what the bundle knows of each.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;

use super::StateProtocol;
use crate::dofn::{CellKey, Scope, StateKey, StatePort, Wiring};
use crate::element::{Page, Pages, put_varint};
use crate::error::{Error, Result};

/// The bytes that the cells of a port may hold before they are sent, and forgotten, in the middle of a bundle.
const BYTES: usize = 16 << 20;

/// The number of cells that a port may hold before the same happens.
const CELLS: usize = 10_000;

/// What a bundle knows of one cell: what it has read, and what it has written but not sent.
pub(super) trait Cell: Default + Send {
    /// Called when another cell comes into hand: how many bytes this one holds.
    fn settle(&mut self) -> usize;

    /// Called before what was written is sent, while the runner's part of the cell can still be read.
    fn prepare(&mut self, _ground: &Ground<'_>) -> Result<()> {
        Ok(())
    }

    /// Sends what was written. The cell is not used any more.
    fn flush(&mut self, ground: &Ground<'_>) -> Result<()>;
}

/// Where a cell's contents are kept.
pub(super) struct Ground<'a> {
    state: &'a Arc<dyn StatePort>,
    key: &'a CellKey,
    lease: &'a Arc<Lease>,
    turns: &'a AtomicU64,
    pub(super) protocol: StateProtocol,
}

impl Ground<'_> {
    /// True for one call in 64, which is not the same one each time that a plan's bundles have the same keys.
    pub(super) fn is_turn(&self) -> bool {
        // Multiples of the golden ratio fall evenly, whatever every how many of them are looked at.
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58 == 63
    }

    /// The cell's key.
    pub(super) fn cell(&self) -> CellKey {
        self.key.clone()
    }

    /// The pages behind a key of the cell.
    pub(super) fn pages(&self, key: StateKey) -> CellPages {
        self.reach().pages(key)
    }

    /// What a reader needs of it.
    pub(super) fn reach(&self) -> Reach {
        Reach {
            state: self.state.clone(),
            key: self.key.clone(),
            lease: self.lease.clone(),
        }
    }

    pub(super) fn append(&self, key: &StateKey, data: Bytes) -> Result<()> {
        self.state.append(key, data)
    }

    pub(super) fn clear(&self, key: &StateKey) -> Result<()> {
        self.state.clear(key)
    }
}

/// Held by all that still reads a cell's pages.
///
/// While there is such a reader, what was written to the cell is not sent: the reader would meet it in the pages, after
/// or before its time.
#[derive(Default)]
pub(super) struct Lease {
    /// The bundle is over.
    ended: AtomicBool,
}

/// A cell's contents, as readers reach them later in the bundle.
#[derive(Clone)]
pub(super) struct Reach {
    state: Arc<dyn StatePort>,
    key: CellKey,
    lease: Arc<Lease>,
}

impl Reach {
    pub(super) fn cell(&self) -> &CellKey {
        &self.key
    }

    pub(super) fn pages(&self, key: StateKey) -> CellPages {
        CellPages {
            reach: self.clone(),
            key,
        }
    }
}

/// The pages behind one key of a cell.
pub(super) struct CellPages {
    reach: Reach,
    key: StateKey,
}

impl Pages for CellPages {
    fn page(&self, _token: &Bytes, continuation: &Bytes) -> Result<Page> {
        let page = if self.reach.lease.ended.load(Ordering::Relaxed) {
            Err(Error::user(
                "values of state are out of reach after their bundle; read them within it",
            ))
        } else {
            self.reach.state.get(&self.key, continuation)
        };
        page.map_err(|error| match error.place("state") {
            Some(_) => error,
            None => error.at("state", &*self.reach.key.state),
        })
    }

    fn prefetch(&self, _token: &Bytes, continuation: &Bytes) {
        if !self.reach.lease.ended.load(Ordering::Relaxed) {
            self.reach.state.prefetch(&self.key, continuation);
        }
    }
}

struct Slot<C> {
    key: CellKey,
    cell: C,
    /// The bytes that it held when it was last left.
    bytes: usize,
    lease: Arc<Lease>,
}

/// All cells of a port that the bundle has touched.
pub(super) struct Cells<C> {
    state: Arc<dyn StatePort>,
    transform: Arc<str>,
    name: Arc<str>,
    protocol: StateProtocol,
    /// In the order in which they were touched, which is the order in which they are sent.
    slots: Vec<Slot<C>>,
    /// Slots by [`Cells::scope`].
    by_scope: HashMap<Box<[u8]>, usize>,
    /// The window after its length, and the key, of the element in hand.
    scope: Vec<u8>,
    window_at: usize,
    key_at: usize,
    is_inside: bool,
    /// The slot of the scope, once it was looked up.
    current: Option<usize>,
    /// The bytes of all slots but the current one.
    bytes: usize,
    /// When cells are sent in the middle of a bundle.
    most: Most,
    /// Counts the questions of [`Ground::is_turn`], over all bundles.
    turns: AtomicU64,
}

/// Limits of what a port holds. They grow in a bundle where readers keep cells from being sent.
struct Most {
    cells: usize,
    bytes: usize,
}

impl Default for Most {
    fn default() -> Self {
        Most {
            cells: CELLS,
            bytes: BYTES,
        }
    }
}

impl<C: Cell> Cells<C> {
    /// The cells of the port `name`.
    pub(super) fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
        Ok(Cells {
            protocol: wiring.state(name)?,
            state: wiring.services().state.clone(),
            transform: wiring.transform().clone(),
            name: name.into(),
            slots: Vec::new(),
            by_scope: HashMap::new(),
            scope: Vec::new(),
            window_at: 0,
            key_at: 0,
            is_inside: false,
            current: None,
            bytes: 0,
            most: Most::default(),
            turns: AtomicU64::new(0),
        })
    }

    /// Refuses a protocol that a kind of state knows nothing of.
    pub(super) fn kept_as(self, known: &[StateProtocol]) -> Result<Self> {
        if known.contains(&self.protocol) {
            return Ok(self);
        }
        let error = Error::descriptor(format!(
            "the pipeline has the runner keep the state as {:?}, but the function knows it as {known:?}; expand the \
             transform again with this version",
            self.protocol
        ));
        Err(error
            .at("state", &*self.name)
            .at("transform", &*self.transform))
    }

    /// Begins a bundle.
    pub(super) fn start(&mut self) {
        self.forget();
        self.is_inside = false;
    }

    /// Goes to a key and window. Looks nothing up: few functions touch all their state for every element.
    #[inline]
    pub(super) fn enter(&mut self, scope: &Scope<'_>) {
        if self.is_inside
            && self.scope[self.key_at..] == *scope.key
            && self.scope[self.window_at..self.key_at] == *scope.window
        {
            return;
        }
        self.go_to(scope);
    }

    fn go_to(&mut self, scope: &Scope<'_>) {
        self.settle();
        self.scope.clear();
        put_varint(&mut self.scope, scope.window.len() as u64);
        self.window_at = self.scope.len();
        self.scope.extend_from_slice(scope.window);
        self.key_at = self.scope.len();
        self.scope.extend_from_slice(scope.key);
        self.is_inside = true;
    }

    /// There is no element in hand any more.
    pub(super) fn leave(&mut self) {
        self.settle();
        self.is_inside = false;
    }

    /// The cell in hand, and where its contents are kept.
    #[inline]
    pub(super) fn cell(&mut self) -> Result<(&mut C, Ground<'_>)> {
        let current = match self.current {
            Some(current) => current,
            None => self.look_up()?,
        };
        let slot = &mut self.slots[current];
        let ground = Ground {
            state: &self.state,
            key: &slot.key,
            lease: &slot.lease,
            turns: &self.turns,
            protocol: self.protocol,
        };
        Ok((&mut slot.cell, ground))
    }

    /// Runs `work` on the cell in hand; errors name the state.
    #[inline]
    pub(super) fn with<R>(
        &mut self,
        work: impl FnOnce(&mut C, &Ground<'_>) -> Result<R>,
    ) -> Result<R> {
        let (cell, ground) = self.cell()?;
        match work(cell, &ground) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.named(error)),
        }
    }

    /// As [`Cells::with`], for work that makes the cell hold up to `more` bytes more.
    #[inline]
    pub(super) fn grow(
        &mut self,
        work: impl FnOnce(&mut C, &Ground<'_>) -> Result<usize>,
    ) -> Result<()> {
        let held = self.with(work)?;
        if self.bytes + held > self.most.bytes {
            self.settle();
            self.relieve()?;
        }
        Ok(())
    }

    #[cold]
    fn named(&self, error: Error) -> Error {
        match error.place("state") {
            Some(_) => error,
            None => error.at("state", &*self.name),
        }
    }

    fn look_up(&mut self) -> Result<usize> {
        if !self.is_inside {
            let error = Error::user(
                "state belongs to a key and a window, so it can be used in `process` and in handlers of timers only",
            );
            return Err(error.at("state", &*self.name));
        }
        if let Some(&slot) = self.by_scope.get(&*self.scope) {
            self.bytes -= self.slots[slot].bytes;
            self.current = Some(slot);
            return Ok(slot);
        }
        if self.slots.len() >= self.most.cells || self.bytes > self.most.bytes {
            self.relieve()?;
        }
        let scope = Bytes::copy_from_slice(&self.scope);
        let slot = self.slots.len();
        self.slots.push(Slot {
            key: CellKey {
                transform: self.transform.clone(),
                state: self.name.clone(),
                window: scope.slice(self.window_at..self.key_at),
                key: scope.slice(self.key_at..),
            },
            cell: C::default(),
            bytes: 0,
            lease: Arc::default(),
        });
        self.by_scope.insert(self.scope.as_slice().into(), slot);
        self.current = Some(slot);
        Ok(slot)
    }

    /// Counts the bytes of the cell in hand, which is left.
    fn settle(&mut self) {
        if let Some(current) = self.current.take() {
            let slot = &mut self.slots[current];
            slot.bytes = slot.cell.settle();
            self.bytes += slot.bytes;
        }
    }

    /// Sends and forgets all cells whose pages nobody reads.
    #[cold]
    fn relieve(&mut self) -> Result<()> {
        let slots = std::mem::take(&mut self.slots);
        self.by_scope.clear();
        self.bytes = 0;
        for mut slot in slots {
            if Arc::strong_count(&slot.lease) == 1 {
                self.flush(&mut slot, false)?;
                continue;
            }
            let mut scope = Vec::with_capacity(self.scope.len());
            put_varint(&mut scope, slot.key.window.len() as u64);
            scope.extend_from_slice(&slot.key.window);
            scope.extend_from_slice(&slot.key.key);
            self.by_scope.insert(scope.into(), self.slots.len());
            self.bytes += slot.bytes;
            self.slots.push(slot);
        }
        self.most.cells = CELLS.max(2 * self.slots.len());
        self.most.bytes = BYTES.max(2 * self.bytes);
        Ok(())
    }

    /// Sends what was written to a cell. Where the bundle `ends` with that, its readers have no more to read.
    fn flush(&self, slot: &mut Slot<C>, ends: bool) -> Result<()> {
        let ground = Ground {
            state: &self.state,
            key: &slot.key,
            lease: &slot.lease,
            turns: &self.turns,
            protocol: self.protocol,
        };
        let outcome = slot.cell.prepare(&ground);
        if ends {
            slot.lease.ended.store(true, Ordering::Relaxed);
        }
        outcome
            .and_then(|()| slot.cell.flush(&ground))
            .map_err(|error| self.named(error))
    }

    /// Ends a bundle: all that was written is sent, cell by cell.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.leave();
        let mut slots = std::mem::take(&mut self.slots);
        let outcome = slots.iter_mut().try_for_each(|slot| self.flush(slot, true));
        slots.clear();
        self.slots = slots;
        self.forget();
        outcome
    }

    fn forget(&mut self) {
        self.slots.clear();
        self.by_scope.clear();
        self.current = None;
        self.bytes = 0;
        self.most = Most::default();
    }
}
