//! What a bundle has done to the state of its functions, as far as the runner was told.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::cache::StateCache;
use crate::dofn::{CellKey, StateKey};
use crate::element::Page;

/// The bytes that a bundle may hold of what it has written. Beyond them it forgets, and asks the runner again.
const MOST_BYTES: usize = 16 << 20;

/// What a record costs besides its bytes.
const RECORD_BYTES: usize = 200;

/// Cells that a bundle has written, with what is in them where it knows that.
#[derive(Default)]
pub(super) struct Written {
    bags: HashMap<CellKey, Contents>,
    maps: HashMap<CellKey, Map>,
    lists: HashSet<CellKey>,
    bytes: usize,
    /// Not all that was written has a record.
    has_gaps: bool,
}

/// All that is behind a key; `None` where only the runner knows.
type Contents = Option<Bytes>;

/// What was done to a map.
#[derive(Default)]
struct Map {
    /// Keys without a record have no values.
    is_cleared: bool,
    /// Some key that was written has no record: nothing is known of any.
    is_lost: bool,
    values: HashMap<Bytes, Contents>,
    bytes: usize,
}

/// What a bundle knows of a key by what it has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// It has not written to it.
    Untouched,
    /// It has written to it, and only the runner knows what is there now.
    Changed,
    /// This is all that is there.
    Holds(Bytes),
}

impl From<&Contents> for Known {
    fn from(contents: &Contents) -> Self {
        match contents {
            Some(data) => Known::Holds(data.clone()),
            None => Known::Changed,
        }
    }
}

fn cost(contents: &Contents) -> usize {
    RECORD_BYTES + contents.as_ref().map_or(0, Bytes::len)
}

impl Map {
    fn value(&self, key: &Bytes) -> Known {
        match self.values.get(key) {
            _ if self.is_lost => Known::Changed,
            Some(contents) => contents.into(),
            None if self.is_cleared => Known::Holds(Bytes::new()),
            None => Known::Untouched,
        }
    }

    fn keys(&self) -> Known {
        if self.is_lost || !self.is_cleared || self.values.values().any(Option::is_none) {
            return Known::Changed;
        }
        let values = self.values.iter();
        let left = values.filter(|(_, data)| data.as_ref().is_some_and(|data| !data.is_empty()));
        Known::Holds(left.flat_map(|(key, _)| key).copied().collect())
    }
}

impl Written {
    /// What is known of a key.
    pub(super) fn about(&self, key: &StateKey) -> Known {
        let known = match key {
            StateKey::BagUser(cell) => self.bags.get(cell).map(Known::from),
            StateKey::MultimapUser(cell, key) => self.maps.get(cell).map(|map| map.value(key)),
            StateKey::MultimapKeysUser(cell) => self.maps.get(cell).map(Map::keys),
            StateKey::OrderedListUser(cell, ..) => {
                self.lists.contains(cell).then_some(Known::Changed)
            }
            _ => None,
        };
        known.unwrap_or(Known::Untouched)
    }

    /// Whether something was written that has no record.
    pub(super) fn has_gaps(&self) -> bool {
        self.has_gaps
    }

    /// Records that a key was written, and what is behind it now. False if there is no room for that.
    pub(super) fn note(&mut self, key: &StateKey, contents: Contents) -> bool {
        let is_noted = match key {
            StateKey::BagUser(cell) => self.note_bag(cell, contents),
            StateKey::MultimapUser(cell, key) => self.note_value(cell, key, contents),
            StateKey::MultimapKeysUser(cell) => self.note_cleared(cell),
            StateKey::OrderedListUser(cell, ..) => self.note_list(cell),
            _ => true,
        };
        self.has_gaps |= !is_noted;
        is_noted
    }

    /// How many bytes more there may be; `None` where there may not even be a new record.
    fn room(&self, has_record: bool) -> Option<usize> {
        let room = MOST_BYTES.saturating_sub(self.bytes);
        (has_record || room > 0).then_some(room)
    }

    fn note_bag(&mut self, cell: &CellKey, contents: Contents) -> bool {
        let Some(room) = self.room(self.bags.contains_key(cell)) else {
            return false;
        };
        let contents = contents.filter(|data| data.len() <= room);
        self.bytes += cost(&contents) + cell.key.len();
        if let Some(before) = self.bags.insert(cell.clone(), contents) {
            self.bytes -= cost(&before) + cell.key.len();
        }
        true
    }

    fn note_list(&mut self, cell: &CellKey) -> bool {
        if self.lists.contains(cell) {
            return true;
        }
        if self.room(false).is_none() {
            return false;
        }
        self.bytes += RECORD_BYTES + cell.key.len();
        self.lists.insert(cell.clone());
        true
    }

    fn note_cleared(&mut self, cell: &CellKey) -> bool {
        if let Some(before) = self.maps.remove(cell) {
            self.bytes -= before.bytes;
        }
        if self.room(false).is_none() {
            return false;
        }
        let map = Map {
            is_cleared: true,
            bytes: RECORD_BYTES + cell.key.len(),
            ..Map::default()
        };
        self.bytes += map.bytes;
        self.maps.insert(cell.clone(), map);
        true
    }

    fn note_value(&mut self, cell: &CellKey, key: &Bytes, contents: Contents) -> bool {
        let room = MOST_BYTES.saturating_sub(self.bytes);
        let map = match self.maps.get_mut(cell) {
            Some(map) => map,
            None if room == 0 => return false,
            None => {
                let bytes = RECORD_BYTES + cell.key.len();
                self.bytes += bytes;
                let map = Map {
                    bytes,
                    ..Map::default()
                };
                self.maps.entry(cell.clone()).or_insert(map)
            }
        };
        if map.is_lost || room == 0 && !map.values.contains_key(key) {
            self.bytes -= map.values.values().map(cost).sum::<usize>();
            self.bytes -= map.values.keys().map(Bytes::len).sum::<usize>();
            *map = Map {
                is_lost: true,
                bytes: RECORD_BYTES + cell.key.len(),
                ..Map::default()
            };
            return true;
        }
        let contents = contents.filter(|data| data.len() <= room);
        let mut bytes = map.bytes + cost(&contents) + key.len();
        if let Some(before) = map.values.insert(key.clone(), contents) {
            bytes -= cost(&before) + key.len();
        }
        self.bytes = self.bytes + bytes - map.bytes;
        map.bytes = bytes;
        true
    }

    /// Makes what later bundles remember under `token` agree with what this one has written.
    pub(super) fn commit(&self, cache: &StateCache, token: &Bytes) {
        let keep = |key: &StateKey, contents: &Contents| {
            if let Some(data) = contents
                && data.len() <= cache.share()
            {
                let page = Page {
                    data: data.clone(),
                    continuation: Bytes::new(),
                };
                cache.put(token, key, &Bytes::new(), &page);
            }
        };
        for (cell, contents) in &self.bags {
            let key = StateKey::BagUser(cell.clone());
            cache.forget(token, &key);
            keep(&key, contents);
        }
        for (cell, map) in &self.maps {
            let keys = StateKey::MultimapKeysUser(cell.clone());
            if map.is_cleared || map.is_lost {
                cache.forget_cell(token, cell);
            } else {
                cache.forget(token, &keys);
            }
            for (key, contents) in &map.values {
                let key = StateKey::MultimapUser(cell.clone(), key.clone());
                cache.forget(token, &key);
                keep(&key, contents);
            }
            if let Known::Holds(data) = map.keys() {
                keep(&keys, &Some(data));
            }
        }
        for cell in &self.lists {
            cache.forget_cell(token, cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(key: &str) -> CellKey {
        CellKey {
            transform: "t".into(),
            state: "s".into(),
            window: Bytes::new(),
            key: key.to_owned().into(),
        }
    }

    fn value(key: &'static str) -> StateKey {
        StateKey::MultimapUser(cell("k"), key.into())
    }

    fn keys() -> StateKey {
        StateKey::MultimapKeysUser(cell("k"))
    }

    fn holds(data: &'static str) -> Known {
        Known::Holds(data.into())
    }

    #[test]
    fn what_a_cleared_map_holds_is_known() {
        let mut written = Written::default();
        assert!(written.note(&value("a"), None));
        assert_eq!(written.about(&value("a")), Known::Changed);
        assert_eq!(written.about(&value("b")), Known::Untouched);
        assert_eq!(written.about(&keys()), Known::Changed);
        assert!(written.note(&keys(), Some(Bytes::new())));
        assert_eq!(written.about(&value("a")), holds(""));
        assert_eq!(written.about(&keys()), holds(""));
        assert!(written.note(&value("b"), Some("1".into())));
        assert!(written.note(&value("c"), Some("".into())));
        assert_eq!(written.about(&value("b")), holds("1"));
        assert_eq!(written.about(&keys()), holds("b"));
        assert!(written.note(&value("a"), None));
        assert_eq!(written.about(&keys()), Known::Changed);
    }

    #[test]
    fn what_is_written_without_end_is_forgotten() {
        let mut written = Written::default();
        let bag = |n: usize| StateKey::BagUser(cell(&n.to_string()));
        let data = Bytes::from(vec![0; 1 << 20]);
        for n in 0..20 {
            assert!(written.note(&bag(n), Some(data.clone())));
        }
        assert_eq!(written.about(&bag(14)), Known::Holds(data.clone()));
        // There is no room for what is in the rest, but it is known that they were written.
        assert_eq!(written.about(&bag(15)), Known::Changed);
        assert_eq!(written.about(&bag(19)), Known::Changed);
        assert!(!written.has_gaps());
        let mut more = 20..1_000_000;
        let lost = more.find(|n| !written.note(&bag(*n), None));
        let lost = lost.expect("memory has an end");
        assert_eq!(written.about(&bag(lost)), Known::Untouched);
        assert!(written.has_gaps());
        // What has a record goes on having one.
        assert!(written.note(&bag(15), Some(Bytes::new())));
        assert_eq!(written.about(&bag(15)), holds(""));
        assert!(written.bytes < MOST_BYTES + 1000, "{}", written.bytes);
    }

    #[test]
    fn a_map_of_too_many_keys_is_given_up_as_a_whole() {
        let mut written = Written::default();
        assert!(written.note(&keys(), Some(Bytes::new())));
        for n in 0..100_000 {
            let key = StateKey::MultimapUser(cell("k"), n.to_string().into());
            assert!(written.note(&key, Some("1".into())));
        }
        assert_eq!(written.about(&value("none")), Known::Changed);
        assert_eq!(written.about(&value("0")), Known::Changed);
        assert_eq!(written.about(&keys()), Known::Changed);
        assert!(written.bytes < 1000, "{}", written.bytes);
        assert!(written.note(&keys(), Some(Bytes::new())));
        assert_eq!(written.about(&value("none")), holds(""));
    }
}
