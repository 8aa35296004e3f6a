//! What bundles have read of the runner's state, kept for later ones.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, GuardResult};

use crate::dofn::{CellKey, StateKey};
use crate::element::Page;
use crate::error::Result;

/// Pages of state by token and key, weighed in bytes. All bundles of a worker share it.
///
/// A page is the same for as long as the runner presents the same token, but for what bundles write. Pages that nobody
/// asks for make room for new ones; those that are asked for again and again stay.
pub(crate) struct StateCache {
    entries: Cache<Name, Entry, ByBytes>,
    capacity: u64,
    /// The next era.
    next: AtomicU64,
}

/// What an entry is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Page {
        /// What the runner calls this state of its state.
        token: Bytes,
        key: StateKey,
        /// Which page; the first one where it is empty.
        continuation: Bytes,
        /// The era of the cell. Where a cell has only one key, it is always the same.
        era: u64,
    },
    /// The era of a cell that has many keys: maps and ordered lists. Pages of other eras count for nothing, so one new
    /// number forgets them all.
    Era { token: Bytes, cell: CellKey },
}

#[derive(Clone)]
enum Entry {
    Page(Page),
    Era(u64),
}

/// The era of cells that have only one key.
const ONLY: u64 = 0;

/// What an entry costs besides its bytes.
const ENTRY_BYTES: u64 = 200;

/// The size of entries that the number of entries is guessed by.
const USUAL_BYTES: u64 = 1024;

#[derive(Clone)]
struct ByBytes;

impl Weighter<Name, Entry> for ByBytes {
    fn weight(&self, name: &Name, entry: &Entry) -> u64 {
        let name = match name {
            Name::Page { continuation, .. } => continuation.len(),
            Name::Era { .. } => 0,
        };
        let entry = match entry {
            Entry::Page(page) => page.data.len() + page.continuation.len(),
            Entry::Era(_) => 0,
        };
        ENTRY_BYTES + (name + entry) as u64
    }
}

/// Whether all of a cell is behind one key, or its keys have nothing to do with each other.
fn is_alone(key: &StateKey) -> bool {
    !matches!(
        key,
        StateKey::MultimapUser(..) | StateKey::MultimapKeysUser(_) | StateKey::OrderedListUser(..)
    )
}

fn page_name(token: &Bytes, key: &StateKey, continuation: &Bytes, era: u64) -> Name {
    Name::Page {
        token: token.clone(),
        key: key.clone(),
        continuation: continuation.clone(),
        era,
    }
}

fn era_name(token: &Bytes, cell: &CellKey) -> Name {
    Name::Era {
        token: token.clone(),
        cell: cell.clone(),
    }
}

/// A page whose bytes are its own: a slice of a large message would keep all of it.
fn own(page: &Page) -> Entry {
    Entry::Page(Page {
        data: Bytes::copy_from_slice(&page.data),
        continuation: page.continuation.clone(),
    })
}

impl StateCache {
    /// A cache of at most so many bytes; none keeps nothing.
    pub(crate) fn new(capacity: u64) -> Self {
        let entries = usize::try_from(capacity / USUAL_BYTES).unwrap_or(usize::MAX);
        StateCache {
            entries: Cache::with_weighter(entries.clamp(16, 1 << 20), capacity, ByBytes),
            capacity,
            next: AtomicU64::new(ONLY + 1),
        }
    }

    /// The most bytes of one state key that are worth keeping: a huge value must not push everything else out.
    pub(crate) fn share(&self) -> usize {
        usize::try_from(self.capacity / 8).unwrap_or(usize::MAX)
    }

    /// The era of a key's cell, if anything is kept of it.
    fn era(&self, token: &Bytes, key: &StateKey) -> Option<u64> {
        match key.cell().filter(|_| !is_alone(key)) {
            None => Some(ONLY),
            Some(cell) => match self.entries.get(&era_name(token, cell))? {
                Entry::Era(era) => Some(era),
                Entry::Page(_) => None,
            },
        }
    }

    pub(crate) fn get(&self, token: &Bytes, key: &StateKey, continuation: &Bytes) -> Option<Page> {
        let era = self.era(token, key)?;
        match self
            .entries
            .get(&page_name(token, key, continuation, era))?
        {
            Entry::Page(page) => Some(page),
            Entry::Era(_) => None,
        }
    }

    pub(crate) fn put(&self, token: &Bytes, key: &StateKey, continuation: &Bytes, page: &Page) {
        let era = self.era(token, key).unwrap_or_else(|| {
            let era = self.next.fetch_add(1, Ordering::Relaxed);
            if let Some(cell) = key.cell() {
                self.entries.insert(era_name(token, cell), Entry::Era(era));
            }
            era
        });
        let name = page_name(token, key, continuation, era);
        self.entries.insert(name, own(page));
    }

    /// The first page of a key that nobody writes to. Those who want the same one at the same time wait for the one
    /// who `fetch`es it.
    ///
    /// # Errors
    /// That of `fetch`. The next one who waits tries again.
    pub(crate) fn first_page(
        &self,
        token: &Bytes,
        key: &StateKey,
        fetch: impl FnOnce() -> Result<Page>,
    ) -> Result<Page> {
        if self.capacity == 0 {
            return fetch();
        }
        let name = page_name(token, key, &Bytes::new(), ONLY);
        match self.entries.get_value_or_guard(&name, None) {
            GuardResult::Value(Entry::Page(page)) => Ok(page),
            GuardResult::Guard(guard) => {
                let page = fetch()?;
                if page.data.len() <= self.share() {
                    // Refused if somebody was faster: that page is the same.
                    let _ = guard.insert(own(&page));
                }
                Ok(page)
            }
            GuardResult::Value(Entry::Era(_)) | GuardResult::Timeout => fetch(),
        }
    }

    /// Forgets all pages of a key.
    pub(crate) fn forget(&self, token: &Bytes, key: &StateKey) {
        let Some(era) = self.era(token, key) else {
            return;
        };
        let mut continuation = Bytes::new();
        while let Some((_, Entry::Page(page))) =
            self.entries
                .remove(&page_name(token, key, &continuation, era))
        {
            if page.continuation.is_empty() {
                break;
            }
            continuation = page.continuation;
        }
    }

    /// Forgets all pages of a cell that has many keys.
    pub(crate) fn forget_cell(&self, token: &Bytes, cell: &CellKey) {
        self.entries.remove(&era_name(token, cell));
    }

    /// Bytes in use, and how many there may be.
    pub(crate) fn fill(&self) -> (u64, u64) {
        (self.entries.weight(), self.capacity)
    }

    /// How many entries there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::dofn::SideKey;
    use crate::error::{Error, ErrorKind};

    fn tail(name: &str) -> StateKey {
        StateKey::Runner(name.to_owned().into())
    }

    fn page(bytes: usize, continuation: &str) -> Page {
        Page {
            data: vec![7; bytes].into(),
            continuation: continuation.to_owned().into(),
        }
    }

    fn cell(key: &'static str) -> CellKey {
        CellKey {
            transform: "t".into(),
            state: "s".into(),
            window: Bytes::new(),
            key: key.into(),
        }
    }

    const FIRST: Bytes = Bytes::new();

    #[test]
    fn another_token_is_another_state() {
        let cache = StateCache::new(1 << 20);
        cache.put(&"1".into(), &tail("a"), &FIRST, &page(10, ""));
        let kept = cache.get(&"1".into(), &tail("a"), &FIRST);
        assert_eq!(kept.expect("kept").data.len(), 10);
        assert!(cache.get(&"2".into(), &tail("a"), &FIRST).is_none());
    }

    #[test]
    fn all_pages_of_a_key_are_forgotten_together() {
        let cache = StateCache::new(1 << 20);
        let token = Bytes::from("1");
        cache.put(&token, &tail("a"), &FIRST, &page(10, "x"));
        cache.put(&token, &tail("a"), &"x".into(), &page(10, ""));
        cache.put(&token, &tail("b"), &FIRST, &page(10, ""));
        cache.forget(&token, &tail("a"));
        assert_eq!(cache.len(), 1);
        assert!(cache.get(&token, &tail("b"), &FIRST).is_some());
    }

    #[test]
    fn all_keys_of_a_map_are_forgotten_together() {
        let cache = StateCache::new(1 << 20);
        let token = Bytes::from("1");
        let value = |name, key: &'static str| StateKey::MultimapUser(cell(name), key.into());
        let keys = StateKey::MultimapKeysUser(cell("a"));
        for key in [value("a", "1"), value("a", "2"), value("b", "1"), keys] {
            cache.put(&token, &key, &FIRST, &page(1, ""));
            assert!(cache.get(&token, &key, &FIRST).is_some(), "{key:?}");
        }
        let is_kept = |name, key| cache.get(&token, &value(name, key), &FIRST).is_some();
        cache.forget(&token, &value("a", "2"));
        assert!(is_kept("a", "1") && !is_kept("a", "2"));
        cache.forget_cell(&token, &cell("a"));
        assert!(!is_kept("a", "1") && is_kept("b", "1"));
        // What is put there later does not bring back what was there before.
        cache.put(&token, &value("a", "2"), &FIRST, &page(1, ""));
        assert!(!is_kept("a", "1") && is_kept("a", "2"));
    }

    #[test]
    fn it_is_bounded_by_bytes() {
        let cache = StateCache::new(1 << 20);
        for n in 0..10_000 {
            cache.put(&"1".into(), &tail(&n.to_string()), &FIRST, &page(1000, ""));
        }
        let (used, capacity) = cache.fill();
        assert!(used <= capacity && used > capacity / 2, "{used}");
        let none = StateCache::new(0);
        none.put(&"1".into(), &tail("a"), &FIRST, &page(1, ""));
        assert!(none.get(&"1".into(), &tail("a"), &FIRST).is_none());
    }

    #[test]
    fn one_fetches_for_all() {
        let cache = StateCache::new(1 << 20);
        let side = StateKey::IterableSide(SideKey {
            transform: "t".into(),
            side: "s".into(),
            window: Bytes::new(),
        });
        // The first one fails: those who wait do not.
        let (fetches, start) = (AtomicUsize::new(0), Barrier::new(8));
        let fetch = || match fetches.fetch_add(1, Ordering::Relaxed) {
            0 => Err(Error::new(ErrorKind::State, "the backend is down")),
            _ => Ok(page(3, "")),
        };
        let outcomes: Vec<bool> = std::thread::scope(|scope| {
            let one = || {
                start.wait();
                cache.first_page(&"1".into(), &side, fetch).is_ok()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            let ends = threads.into_iter();
            ends.map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        assert_eq!(outcomes.iter().filter(|is_ok| !**is_ok).count(), 1);
        assert_eq!(fetches.into_inner(), 2);
    }
}
