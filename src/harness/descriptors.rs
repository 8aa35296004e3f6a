//! The descriptors that a worker has read, those of late use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::model::descriptor::PlanSpec;

/// Descriptors that are kept; the runner can always be asked again.
const MAX_DESCRIPTORS: usize = 1000;

/// Bytes of all descriptors that are kept, as the runner sent them.
const MAX_BYTES: usize = 64 << 20;

/// Filled by the first bundle that needs it, while others wait.
pub(crate) type Slot = Arc<Mutex<Option<Arc<PlanSpec>>>>;

/// Descriptors by id, within a bound of number and one of bytes. What was not used for longest goes first.
pub(crate) struct SpecCache {
    kept: HashMap<String, Kept>,
    max_count: usize,
    max_bytes: usize,
    bytes: usize,
    uses: u64,
}

struct Kept {
    slot: Slot,
    bytes: usize,
    last_use: u64,
}

impl Default for SpecCache {
    fn default() -> Self {
        SpecCache::new(MAX_DESCRIPTORS, MAX_BYTES)
    }
}

impl SpecCache {
    /// How many descriptors are kept.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    fn new(max_count: usize, max_bytes: usize) -> Self {
        SpecCache {
            kept: HashMap::new(),
            max_count,
            max_bytes,
            bytes: 0,
            uses: 0,
        }
    }

    /// The slot of a descriptor, which may have to be filled.
    pub(crate) fn slot(&mut self, id: &str) -> Slot {
        self.uses += 1;
        if let Some(kept) = self.kept.get_mut(id) {
            kept.last_use = self.uses;
            return kept.slot.clone();
        }
        let slot = Slot::default();
        let kept = Kept {
            slot: slot.clone(),
            bytes: 0,
            last_use: self.uses,
        };
        self.kept.insert(id.to_owned(), kept);
        self.shrink(id);
        slot
    }

    /// Says how large the descriptor is that a slot was filled with.
    pub(crate) fn filled(&mut self, id: &str, bytes: usize) {
        if let Some(kept) = self.kept.get_mut(id) {
            self.bytes = self.bytes - kept.bytes + bytes;
            kept.bytes = bytes;
            self.shrink(id);
        }
    }

    /// Drops descriptors until the bounds hold, but not the one in hand.
    fn shrink(&mut self, in_hand: &str) {
        while self.kept.len() > self.max_count || self.bytes > self.max_bytes {
            let others = self.kept.iter().filter(|(id, _)| *id != in_hand);
            let Some((oldest, _)) = others.min_by_key(|(_, kept)| kept.last_use) else {
                return;
            };
            let oldest = oldest.clone();
            if let Some(kept) = self.kept.remove(&oldest) {
                self.bytes -= kept.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(cache: &SpecCache) -> Vec<&str> {
        let mut ids: Vec<_> = cache.kept.keys().map(String::as_str).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut cache = SpecCache::new(3, 100);
        let first = cache.slot("a");
        cache.slot("b");
        cache.slot("c");
        assert!(Arc::ptr_eq(&cache.slot("a"), &first));
        cache.slot("d");
        assert_eq!(ids(&cache), ["a", "c", "d"]);
        cache.slot("e");
        assert_eq!(ids(&cache), ["a", "d", "e"]);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut cache = SpecCache::new(10, 100);
        for id in ["a", "b", "c"] {
            cache.slot(id);
            cache.filled(id, 40);
        }
        assert_eq!((ids(&cache), cache.bytes), (vec!["b", "c"], 80));
        // A bundle needs this one now, however large it is.
        cache.slot("huge");
        cache.filled("huge", 1000);
        assert_eq!((ids(&cache), cache.bytes), (vec!["huge"], 1000));
        cache.slot("d");
        assert_eq!((ids(&cache), cache.bytes), (vec!["d"], 0));
        cache.filled("huge", 5);
        assert_eq!(cache.bytes, 0);
    }
}
