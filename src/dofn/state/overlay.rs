//! The values behind one state key, with what a bundle has done to them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::additions::Additions;
use super::cells::{CellPages, Ground};
use crate::dofn::StateKey;
use crate::element::{Page, Pages};
use crate::error::{Error, Result};

/// The largest first page that is kept for the rest of the bundle.
const KEPT: usize = 1 << 20;

/// A list of encoded values that the runner keeps, as the bundle has left it.
#[derive(Default)]
pub(super) struct Overlay {
    /// What the runner has counts for nothing any more.
    is_cleared: bool,
    first: Arc<First>,
    added: Additions,
}

/// The runner's first page, once it was read.
#[derive(Default)]
struct First {
    page: Mutex<Option<Page>>,
    /// The bytes of all pages that the cell keeps.
    kept: Arc<AtomicUsize>,
}

impl First {
    fn page(&self) -> MutexGuard<'_, Option<Page>> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, page: &Page) {
        if page.data.len() > KEPT {
            return;
        }
        if self.page().replace(page.clone()).is_none() {
            self.kept.fetch_add(page.data.len(), Ordering::Relaxed);
        }
    }
}

impl Overlay {
    /// A list of which nothing is known. It adds the bytes of pages that it keeps to `kept`.
    pub(super) fn counting(kept: &Arc<AtomicUsize>) -> Self {
        Overlay {
            first: Arc::new(First {
                page: Mutex::default(),
                kept: kept.clone(),
            }),
            ..Overlay::default()
        }
    }

    /// Adds one value, which `encode` appends.
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.added.push(encode);
    }

    /// Removes all values.
    pub(super) fn clear(&mut self) {
        let is_new = !self.is_cleared && !self.has_added() && self.is_empty() == Some(true);
        self.is_cleared |= !is_new;
        self.added.clear();
    }

    /// Whether the bundle has changed the list.
    pub(super) fn is_changed(&self) -> bool {
        self.is_cleared || !self.added.is_empty()
    }

    /// Whether the bundle has added values that are still there.
    pub(super) fn has_added(&self) -> bool {
        !self.added.is_empty()
    }

    /// Whether there are no values, if that is known without asking the runner.
    pub(super) fn is_empty(&self) -> Option<bool> {
        if self.has_added() || self.is_cleared {
            return Some(!self.has_added());
        }
        let first = self.first.page();
        let first = first.as_ref()?;
        let is_empty = first.data.is_empty();
        (!is_empty || first.continuation.is_empty()).then_some(is_empty)
    }

    /// How many bytes of values wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.added.len()
    }

    /// How many bytes it holds in memory, with the pages of all that count together.
    pub(super) fn bytes(&self) -> usize {
        self.added.len() + self.first.kept.load(Ordering::Relaxed)
    }

    /// All values as they are now: the runner's, page by page, and then what the bundle has added.
    pub(super) fn pages(&mut self, ground: &Ground<'_>, key: &StateKey) -> Arc<dyn Pages> {
        let stored = (!self.is_cleared).then(|| Stored {
            pages: ground.pages(key.clone()),
            first: self.first.clone(),
        });
        Arc::new(Overlaid {
            stored,
            added: self.added.parts().to_vec(),
        })
    }

    /// Sends what the bundle has changed.
    pub(super) fn flush(&mut self, ground: &Ground<'_>, key: &StateKey) -> Result<()> {
        if self.is_cleared {
            ground.clear(key)?;
        }
        self.append(ground, key)
    }

    /// Sends what was added, of a list that is empty at the runner's or will be.
    pub(super) fn append(&mut self, ground: &Ground<'_>, key: &StateKey) -> Result<()> {
        for data in self.added.take() {
            ground.append(key, data)?;
        }
        Ok(())
    }
}

/// The runner's pages, of which the first may be known.
struct Stored {
    pages: CellPages,
    first: Arc<First>,
}

impl Stored {
    fn page(&self, continuation: &Bytes) -> Result<Page> {
        if !continuation.is_empty() {
            return self.pages.page(&Bytes::new(), continuation);
        }
        if let Some(first) = &*self.first.page() {
            return Ok(first.clone());
        }
        let page = self.pages.page(&Bytes::new(), continuation)?;
        self.first.keep(&page);
        Ok(page)
    }
}

/// The runner's pages and then those of the bundle.
struct Overlaid {
    stored: Option<Stored>,
    added: Vec<Bytes>,
}

/// What the continuations of [`Overlaid`] begin with: the runner's go on, or those of the bundle do.
const STORED: u8 = 0;
const ADDED: u8 = 1;

impl Overlaid {
    fn added(&self, index: usize) -> Page {
        let next = index + 1;
        let mut continuation = Vec::new();
        if next < self.added.len() {
            continuation.push(ADDED);
            continuation.extend_from_slice(&(next as u64).to_be_bytes());
        }
        Page {
            data: self.added.get(index).cloned().unwrap_or_default(),
            continuation: continuation.into(),
        }
    }

    fn stored(&self, stored: &Stored, continuation: &Bytes) -> Result<Page> {
        let page = stored.page(continuation)?;
        let mut next = Vec::new();
        if !page.continuation.is_empty() {
            next.reserve_exact(1 + page.continuation.len());
            next.push(STORED);
            next.extend_from_slice(&page.continuation);
        } else if !self.added.is_empty() {
            next.push(ADDED);
            next.extend_from_slice(&0u64.to_be_bytes());
        }
        Ok(Page {
            data: page.data,
            continuation: next.into(),
        })
    }
}

impl Pages for Overlaid {
    fn page(&self, _token: &Bytes, continuation: &Bytes) -> Result<Page> {
        match (&self.stored, continuation.split_first()) {
            (Some(stored), None) => self.stored(stored, &Bytes::new()),
            (None, None) => Ok(self.added(0)),
            (Some(stored), Some((&STORED, _))) => self.stored(stored, &continuation.slice(1..)),
            (_, Some((&ADDED, index))) => {
                let index = <[u8; 8]>::try_from(index).map_err(|_| foreign())?;
                let index = usize::try_from(u64::from_be_bytes(index)).map_err(|_| foreign())?;
                Ok(self.added(index))
            }
            _ => Err(foreign()),
        }
    }

    fn prefetch(&self, token: &Bytes, continuation: &Bytes) {
        if let (Some(stored), Some(&STORED)) = (&self.stored, continuation.first()) {
            stored.pages.prefetch(token, &continuation.slice(1..));
        }
    }
}

#[cold]
fn foreign() -> Error {
    Error::decode("a continuation of state is none that was given out")
}
