//! The values of keys of a multimap side input: asked for one by one, or all at once.

use std::collections::HashMap;

use super::SideReader;
use crate::element::{Element, Iter, Kv, Nesting, encoded};
use crate::error::{ErrorKind, Result};

/// So many keys are asked for one by one. Who looks up more gets all at once, if the runner can do that.
const SINGLE_LOOKUPS: usize = 2;

/// The most keys of a side input that is held as a whole.
const MOST_KEYS: usize = 10_000;

/// The most bytes of a side input that is held as a whole.
const MOST_BYTES: usize = 4 << 20;

/// What holding one key costs besides its bytes and those of its values.
const KEY_COST: usize = 128;

/// What was looked up in one window of one bundle, and whether it is any use to ask for all at once.
pub(super) struct Lookups<V> {
    singles: usize,
    all: All<V>,
}

enum All<V> {
    Unasked,
    /// The values of every key, by its encoding.
    Held(HashMap<Vec<u8>, Iter<V>>),
    /// The runner has no such answer, or it is too much to hold. Most likely that stays so: later bundles do not try again.
    Unfit,
}

impl<V> Default for Lookups<V> {
    fn default() -> Self {
        Lookups {
            singles: 0,
            all: All::Unasked,
        }
    }
}

impl<V: Element> Lookups<V> {
    /// Goes to another window or bundle.
    pub(super) fn forget(&mut self) {
        self.singles = 0;
        if let All::Held(_) = self.all {
            self.all = All::Unasked;
        }
    }

    /// The values of `key`, whose encoding is `bytes`.
    pub(super) fn find<K: Element>(
        &mut self,
        reader: &SideReader,
        key: &K,
        bytes: &[u8],
    ) -> Result<Iter<V>> {
        if self.singles >= SINGLE_LOOKUPS && matches!(self.all, All::Unasked) {
            let held = hold_all::<K, V>(reader)?;
            self.all = held.map_or(All::Unfit, All::Held);
        }
        if let All::Held(values) = &self.all {
            let values = values.get(bytes).cloned();
            return Ok(values.unwrap_or_else(|| Iter::from_iter([])));
        }
        self.singles += 1;
        reader.of_key(key)
    }
}

/// All values by encoded key; `None` where the runner cannot say, or they are too many.
fn hold_all<K: Element, V: Element>(
    reader: &SideReader,
) -> Result<Option<HashMap<Vec<u8>, Iter<V>>>> {
    let Some(entries) = reader.entries::<K, V>()? else {
        return Ok(None);
    };
    let (mut held, mut bytes) = (HashMap::new(), 0);
    for entry in &entries {
        let Kv(key, values) = match entry {
            Ok(entry) => entry,
            // A runner that refuses this may well answer about each key.
            Err(error) if error.kind() == ErrorKind::State => return Ok(None),
            Err(error) => return Err(error),
        };
        let key = encoded(&key, Nesting::Nested);
        bytes += key.len() + values.inline_bytes() + KEY_COST;
        let is_new = held.insert(key, values).is_none();
        if !is_new || held.len() > MOST_KEYS || bytes > MOST_BYTES {
            return Ok(None);
        }
    }
    Ok(Some(held))
}
