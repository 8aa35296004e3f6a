//! What bundles have read of the runner's state, kept for later ones.

use std::hash::Hash;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::dofn::StateKey;
use crate::element::Page;

/// A page of state is the same for as long as the runner presents the same token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PageKey {
    /// What the runner calls this state of its state.
    pub(crate) token: Bytes,
    pub(crate) key: StateKey,
    /// Which page; the first one where it is empty.
    pub(crate) continuation: Bytes,
}

/// Pages of state by token and key, weighed in bytes. All bundles of a worker share it.
///
/// Pages that nobody asks for make room for new ones; those that are asked for again and again stay.
pub(crate) struct StateCache {
    pages: Cache<PageKey, Page, ByBytes>,
    capacity: u64,
}

/// What an entry costs besides its bytes.
const ENTRY_BYTES: u64 = 200;

/// The size of entries that the number of entries is guessed by.
const USUAL_BYTES: u64 = 1024;

#[derive(Clone)]
struct ByBytes;

impl Weighter<PageKey, Page> for ByBytes {
    fn weight(&self, key: &PageKey, page: &Page) -> u64 {
        let bytes = page.data.len() + page.continuation.len() + key.continuation.len();
        ENTRY_BYTES + bytes as u64
    }
}

impl StateCache {
    /// A cache of at most so many bytes; none keeps nothing.
    pub(crate) fn new(capacity: u64) -> Self {
        let entries = usize::try_from(capacity / USUAL_BYTES).unwrap_or(usize::MAX);
        StateCache {
            pages: Cache::with_weighter(entries.clamp(16, 1 << 20), capacity, ByBytes),
            capacity,
        }
    }

    /// The most bytes of one state key that are worth keeping: a huge value must not push everything else out.
    pub(crate) fn share(&self) -> usize {
        usize::try_from(self.capacity / 8).unwrap_or(usize::MAX)
    }

    pub(crate) fn get(&self, key: &PageKey) -> Option<Page> {
        self.pages.get(key)
    }

    pub(crate) fn put(&self, key: PageKey, mut page: Page) {
        // A slice of a large message would keep all of it.
        page.data = Bytes::copy_from_slice(&page.data);
        self.pages.insert(key, page);
    }

    /// Forgets all pages of a state key.
    pub(crate) fn forget(&self, token: &Bytes, key: &StateKey) {
        let mut page_key = PageKey {
            token: token.clone(),
            key: key.clone(),
            continuation: Bytes::new(),
        };
        while let Some((_, page)) = self.pages.remove(&page_key) {
            if page.continuation.is_empty() {
                break;
            }
            page_key.continuation = page.continuation;
        }
    }

    /// Bytes in use, and how many there may be.
    pub(crate) fn fill(&self) -> (u64, u64) {
        (self.pages.weight(), self.capacity)
    }

    /// How many pages are kept.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.pages.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(token: &str, key: &str, continuation: &str) -> PageKey {
        PageKey {
            token: token.to_owned().into(),
            key: StateKey::Runner(key.to_owned().into()),
            continuation: continuation.to_owned().into(),
        }
    }

    fn page(bytes: usize, continuation: &str) -> Page {
        Page {
            data: vec![7; bytes].into(),
            continuation: continuation.to_owned().into(),
        }
    }

    #[test]
    fn another_token_is_another_state() {
        let cache = StateCache::new(1 << 20);
        cache.put(key("1", "a", ""), page(10, ""));
        assert_eq!(cache.get(&key("1", "a", "")).expect("kept").data.len(), 10);
        assert!(cache.get(&key("2", "a", "")).is_none());
    }

    #[test]
    fn all_pages_of_a_key_are_forgotten_together() {
        let cache = StateCache::new(1 << 20);
        cache.put(key("1", "a", ""), page(10, "x"));
        cache.put(key("1", "a", "x"), page(10, ""));
        cache.put(key("1", "b", ""), page(10, ""));
        cache.forget(&"1".into(), &StateKey::Runner("a".into()));
        assert_eq!(cache.len(), 1);
        assert!(cache.get(&key("1", "b", "")).is_some());
    }

    #[test]
    fn it_is_bounded_by_bytes() {
        let cache = StateCache::new(1 << 20);
        for n in 0..10_000 {
            cache.put(key("1", &n.to_string(), ""), page(1000, ""));
        }
        let (used, capacity) = cache.fill();
        assert!(used <= capacity && used > capacity / 2, "{used}");
        let none = StateCache::new(0);
        none.put(key("1", "a", ""), page(1, ""));
        assert!(none.get(&key("1", "a", "")).is_none());
    }
}
