//! Values by map key where the runner knows such cells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::cells::Ground;
use super::listing::{Listed, Listing, Whole};
use super::overlay::Overlay;
use super::runs::Runs;
use crate::dofn::StateKey;
use crate::element::{Element, Pages};
use crate::error::Result;

/// The bytes that keeping one key costs besides its own and its values.
const KEY_COST: usize = 256;

/// What a bundle knows of the lists that the runner keeps for each map key.
#[derive(Default)]
pub(super) struct Native {
    /// What the runner has counts for nothing any more. All overlays begin cleared then.
    is_cleared: bool,
    overlays: BTreeMap<Bytes, Overlay>,
    /// The bytes of pages that overlays keep.
    kept: Arc<AtomicUsize>,
    /// The bytes of keys and of values that wait.
    bytes: usize,
}

impl Native {
    /// Changes or reads the values of a map key.
    fn with<R>(&mut self, key: &[u8], work: impl FnOnce(&mut Overlay) -> R) -> R {
        let Some(overlay) = self.overlays.get_mut(key) else {
            let mut overlay = Overlay::counting(&self.kept);
            if self.is_cleared {
                overlay.clear();
            }
            let outcome = work(&mut overlay);
            self.bytes += key.len() + KEY_COST + overlay.waiting();
            self.overlays.insert(Bytes::copy_from_slice(key), overlay);
            return outcome;
        };
        let before = overlay.waiting();
        let outcome = work(overlay);
        self.bytes = self.bytes + overlay.waiting() - before;
        outcome
    }

    pub(super) fn add(&mut self, key: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        self.with(key, |overlay| overlay.push(value));
    }

    pub(super) fn put(&mut self, key: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        self.with(key, |overlay| {
            overlay.clear();
            overlay.push(value);
        });
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        self.with(key, Overlay::clear);
    }

    pub(super) fn clear(&mut self) {
        *self = Native {
            is_cleared: true,
            ..Native::default()
        };
    }

    /// Whether a map key has values, if that is known without asking the runner.
    pub(super) fn has(&self, key: &[u8]) -> Option<bool> {
        match self.overlays.get(key) {
            Some(overlay) => overlay.is_empty().map(|is_empty| !is_empty),
            None => self.is_cleared.then_some(false),
        }
    }

    pub(super) fn values(&mut self, ground: &Ground<'_>, key: &[u8]) -> Arc<dyn Pages> {
        let state_key = StateKey::MultimapUser(ground.cell(), Bytes::copy_from_slice(key));
        self.with(key, |overlay| overlay.pages(ground, &state_key))
    }

    pub(super) fn keys<K: Element>(&mut self, ground: &Ground<'_>) -> Arc<dyn Pages> {
        self.list(ground, |changed| {
            Listing::<K, K>::new(changed, Listed::Keys)
        })
    }

    pub(super) fn entries<K: Element, V: Element>(
        &mut self,
        ground: &Ground<'_>,
    ) -> Arc<dyn Pages> {
        let listed = Listed::Entries(ground.reach());
        self.list(ground, |changed| Listing::<K, V>::new(changed, listed))
    }

    fn list<K: Element, V: Element>(
        &mut self,
        ground: &Ground<'_>,
        listing: impl FnOnce(BTreeMap<Bytes, Option<Arc<dyn Pages>>>) -> Listing<K, V>,
    ) -> Arc<dyn Pages> {
        let overlays = self.overlays.iter_mut();
        let changed = overlays.filter(|(_, overlay)| overlay.is_changed());
        let changed = changed.map(|(key, overlay)| {
            let state_key = StateKey::MultimapUser(ground.cell(), key.clone());
            let is_left = overlay.has_added();
            let pages = is_left.then(|| overlay.pages(ground, &state_key));
            (key.clone(), pages)
        });
        let listing = listing(changed.collect());
        let stored: Arc<dyn Pages> = if self.is_cleared {
            Arc::new(Whole(Bytes::new()))
        } else {
            Arc::new(ground.pages(StateKey::MultimapKeysUser(ground.cell())))
        };
        Arc::new(Runs::new(stored, listing))
    }

    /// How many bytes it holds in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.kept.load(Ordering::Relaxed)
    }

    pub(super) fn flush(&mut self, ground: &Ground<'_>) -> Result<()> {
        if self.is_cleared {
            ground.clear(&StateKey::MultimapKeysUser(ground.cell()))?;
        }
        for (key, overlay) in &mut self.overlays {
            let key = StateKey::MultimapUser(ground.cell(), key.clone());
            if self.is_cleared {
                overlay.append(ground, &key)?;
            } else {
                overlay.flush(ground, &key)?;
            }
        }
        Ok(())
    }
}
