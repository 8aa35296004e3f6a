//! The state of cells, in memory.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::dofn::{CellKey, StateKey, StatePort};
use crate::element::{Input, Page, put_varint};
use crate::error::{Error, ErrorKind, Result};

/// Keeps cells in memory, as a runner would. It serves no side inputs.
#[derive(Debug, Default)]
pub struct MemoryState(Mutex<Store>);

#[derive(Debug, Default)]
struct Store {
    bags: HashMap<CellKey, Vec<u8>>,
    multimaps: HashMap<CellKey, BTreeMap<Bytes, Vec<u8>>>,
    /// Encoded values, with their lengths, by sort key.
    lists: HashMap<CellKey, BTreeMap<i64, Vec<Vec<u8>>>>,
    /// The bytes of a page; all of them where this is zero.
    page: usize,
    requests: Requests,
}

/// How often a [`MemoryState`] was asked for something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Pages.
    pub gets: usize,
    /// Writes of values.
    pub appends: usize,
    /// Removals.
    pub clears: usize,
}

impl MemoryState {
    /// Cuts what is read into pages of so many bytes, anywhere, with pages of none between them.
    pub fn cut(&self, page: usize) {
        self.store().page = page;
    }

    /// How often it was asked since the last call.
    pub fn take_requests(&self) -> Requests {
        std::mem::take(&mut self.store().requests)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// All that is behind a key.
    fn read(&self, key: &StateKey) -> Result<Vec<u8>> {
        Ok(match key {
            StateKey::BagUser(cell) => self.bags.get(cell).cloned().unwrap_or_default(),
            StateKey::MultimapUser(cell, key) => {
                let values = self.multimaps.get(cell).and_then(|map| map.get(key));
                values.cloned().unwrap_or_default()
            }
            StateKey::MultimapKeysUser(cell) => {
                let keys = self.multimaps.get(cell).into_iter().flatten();
                keys.flat_map(|(key, _)| key.iter().copied()).collect()
            }
            StateKey::OrderedListUser(cell, from, to) if from < to => {
                let list = self.lists.get(cell).into_iter();
                let mut data = Vec::new();
                for (sort, values) in list.flat_map(|list| list.range(*from..*to)) {
                    for value in values {
                        put_varint(&mut data, *sort as u64);
                        data.extend_from_slice(value);
                    }
                }
                data
            }
            StateKey::OrderedListUser(..) => Vec::new(),
            _ => return Err(no_cell()),
        })
    }

    fn append(&mut self, key: &StateKey, data: &[u8]) -> Result<()> {
        match key {
            StateKey::BagUser(cell) => {
                let bag = self.bags.entry(cell.clone()).or_default();
                bag.extend_from_slice(data);
            }
            StateKey::MultimapUser(cell, key) => {
                let map = self.multimaps.entry(cell.clone()).or_default();
                map.entry(key.clone()).or_default().extend_from_slice(data);
            }
            StateKey::OrderedListUser(cell, ..) => {
                let list = self.lists.entry(cell.clone()).or_default();
                let mut input = Input::new(data).whole();
                while !input.is_empty() {
                    let sort = input.varint()? as i64;
                    let before = input.rest();
                    let length = input.length()?;
                    input.take(length)?;
                    let value = &before[..before.len() - input.remaining()];
                    list.entry(sort).or_default().push(value.to_vec());
                }
            }
            _ => return Err(no_cell()),
        }
        Ok(())
    }

    fn clear(&mut self, key: &StateKey) -> Result<()> {
        match key {
            StateKey::BagUser(cell) => {
                self.bags.remove(cell);
            }
            StateKey::MultimapUser(cell, key) => {
                if let Some(map) = self.multimaps.get_mut(cell) {
                    map.remove(key);
                }
            }
            StateKey::MultimapKeysUser(cell) => {
                self.multimaps.remove(cell);
            }
            StateKey::OrderedListUser(cell, from, to) => {
                if let Some(list) = self.lists.get_mut(cell) {
                    list.retain(|sort, _| sort < from || sort >= to);
                }
            }
            _ => return Err(no_cell()),
        }
        Ok(())
    }
}

#[cold]
fn no_cell() -> Error {
    Error::new(
        ErrorKind::State,
        "only state that a function keeps can be had and changed here",
    )
}

impl StatePort for MemoryState {
    fn get(&self, key: &StateKey, continuation: &Bytes) -> Result<Page> {
        let mut store = self.store();
        store.requests.gets += 1;
        let data = store.read(key)?;
        if store.page == 0 {
            let continuation = Bytes::new();
            let data = data.into();
            return Ok(Page { data, continuation });
        }
        // A continuation says where its page begins, and whether it has bytes.
        let (at, is_empty) = match &continuation[..] {
            [] => (0, true),
            [is_empty, at @ ..] => {
                let at = at.try_into().map(u64::from_be_bytes);
                let at = at.ok().and_then(|at| usize::try_from(at).ok());
                let at = at.filter(|at| *at <= data.len());
                let at = at.ok_or_else(|| {
                    Error::new(ErrorKind::State, "the continuation was not given out here")
                })?;
                (at, *is_empty == 1)
            }
        };
        let end = if is_empty {
            at
        } else {
            (at + store.page).min(data.len())
        };
        let mut next = Vec::new();
        if is_empty || end < data.len() {
            next.push(u8::from(!is_empty));
            next.extend_from_slice(&(end as u64).to_be_bytes());
        }
        Ok(Page {
            data: Bytes::copy_from_slice(&data[at..end]),
            continuation: next.into(),
        })
    }

    fn append(&self, key: &StateKey, data: Bytes) -> Result<()> {
        let mut store = self.store();
        store.requests.appends += 1;
        store.append(key, &data)
    }

    fn clear(&self, key: &StateKey) -> Result<()> {
        let mut store = self.store();
        store.requests.clears += 1;
        store.clear(key)
    }
}
