//! Cells of values by map key: what sets, maps and multimaps are made of.

use std::sync::Arc;

use super::StateProtocol;
use super::cells::{Cell, Ground};
use super::journal::Journal;
use super::listing::{Whole, put_entries};
use super::native::Native;
use crate::element::{Element, Iter, Kv, Nesting};
use crate::error::Result;

/// The protocols that such cells can be kept by.
pub(super) const PROTOCOLS: [StateProtocol; 2] = [StateProtocol::Multimap, StateProtocol::Bag];

/// Values by encoded map key, as a bundle has left them.
#[derive(Default)]
pub(super) struct Entries {
    native: Native,
    /// Used in place of `native` where the runner only knows lists.
    journal: Journal,
}

fn is_list(ground: &Ground<'_>) -> bool {
    ground.protocol == StateProtocol::Bag
}

impl Entries {
    /// Adds a value to those of a map key.
    pub(super) fn add<V: Element>(&mut self, ground: &Ground<'_>, key: &[u8], value: &V) {
        let encode = |out: &mut Vec<u8>| value.encode(out, Nesting::Nested);
        if is_list(ground) {
            self.journal.add(key, encode);
        } else {
            self.native.add(key, encode);
        }
    }

    /// Replaces the values of a map key by one.
    pub(super) fn put<V: Element>(&mut self, ground: &Ground<'_>, key: &[u8], value: &V) {
        let encode = |out: &mut Vec<u8>| value.encode(out, Nesting::Nested);
        if is_list(ground) {
            self.journal.put(key, encode);
        } else {
            self.native.put(key, encode);
        }
    }

    /// Removes the values of a map key.
    pub(super) fn remove(&mut self, ground: &Ground<'_>, key: &[u8]) {
        if is_list(ground) {
            self.journal.remove(key);
        } else {
            self.native.remove(key);
        }
    }

    /// Removes all values.
    pub(super) fn clear(&mut self, ground: &Ground<'_>) {
        if is_list(ground) {
            self.journal.clear();
        } else {
            self.native.clear();
        }
    }

    /// Whether a map key has values, if that is known without asking the runner.
    pub(super) fn has(&self, ground: &Ground<'_>, key: &[u8]) -> Option<bool> {
        if is_list(ground) {
            self.journal.has(key)
        } else {
            self.native.has(key)
        }
    }

    /// The values of a map key.
    pub(super) fn values<V: Element>(
        &mut self,
        ground: &Ground<'_>,
        key: &[u8],
    ) -> Result<Iter<V>> {
        if !is_list(ground) {
            return Ok(Iter::paged(self.native.values(ground, key)));
        }
        let contents = self.journal.contents(ground)?;
        Ok(whole(contents.get(key).cloned().unwrap_or_default()))
    }

    /// The distinct map keys.
    pub(super) fn keys<K: Element>(&mut self, ground: &Ground<'_>) -> Result<Iter<K>> {
        if !is_list(ground) {
            return Ok(Iter::paged(self.native.keys::<K>(ground)));
        }
        let contents = self.journal.contents(ground)?;
        Ok(whole(contents.keys().flatten().copied().collect()))
    }

    /// All values with their map keys.
    pub(super) fn entries<K: Element, V: Element>(
        &mut self,
        ground: &Ground<'_>,
    ) -> Result<Iter<Kv<K, V>>> {
        if !is_list(ground) {
            return Ok(Iter::paged(self.native.entries::<K, V>(ground)));
        }
        let mut out = Vec::new();
        for (key, values) in self.journal.contents(ground)? {
            put_entries::<V>(key, values, &mut out)?;
        }
        Ok(whole(out))
    }

    /// How many bytes it holds in memory.
    pub(super) fn bytes(&self) -> usize {
        self.native.bytes() + self.journal.bytes()
    }
}

fn whole<T: Element>(bytes: Vec<u8>) -> Iter<T> {
    Iter::paged(Arc::new(Whole(bytes.into())))
}

impl Cell for Entries {
    fn settle(&mut self) -> usize {
        self.bytes()
    }

    fn flush(&mut self, ground: &Ground<'_>) -> Result<()> {
        if is_list(ground) {
            self.journal.flush(ground)
        } else {
            self.native.flush(ground)
        }
    }
}
