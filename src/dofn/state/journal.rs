//! Values by map key where the runner only knows lists: the cell is a list of what was done to it.
//!
//! So changes need no reading, as with runners that know maps. Once the list was read and has many more steps than keys, it
//! is replaced by the shortest one that comes to the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::additions::Additions;
use super::cells::Ground;
use crate::dofn::StateKey;
use crate::element::{Coder, Element, Input, Iter, Nesting, put_varint};
use crate::error::{Error, Result};

/// How many more steps than twice its keys a list may have.
const SPARE_STEPS: usize = 8;

/// The bytes that keeping one key costs besides its own.
const KEY_COST: usize = 64;

/// What was done to a cell, and what it comes to.
#[derive(Default)]
pub(super) struct Journal {
    is_cleared: bool,
    contents: Option<Contents>,
    added: Additions,
}

/// What all steps come to.
#[derive(Default)]
struct Contents {
    /// Encoded values, one after the other, by encoded map key.
    values: BTreeMap<Bytes, Vec<u8>>,
    /// How many steps the runner's list has, with those that wait.
    steps: usize,
    bytes: usize,
}

impl Journal {
    /// Adds a value to those of a map key.
    pub(super) fn add(&mut self, key: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        self.write(Does::Add, key, value);
    }

    /// Replaces the values of a map key by one.
    pub(super) fn put(&mut self, key: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        self.write(Does::Put, key, value);
    }

    /// Removes the values of a map key.
    pub(super) fn remove(&mut self, key: &[u8]) {
        self.write(Does::Put, key, |_| ());
    }

    /// Removes all values.
    pub(super) fn clear(&mut self) {
        self.is_cleared = true;
        self.added.clear();
        self.contents = Some(Contents::default());
    }

    fn write(&mut self, does: Does, key: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        let mut values = Vec::new();
        value(&mut values);
        let step = Step {
            does,
            key: Bytes::copy_from_slice(key),
            values: values.into(),
        };
        self.added.push(|out| step.encode(out, Nesting::Nested));
        if let Some(contents) = &mut self.contents {
            contents.apply(step);
        }
    }

    /// Whether a map key has values, if that is known without asking the runner.
    pub(super) fn has(&self, key: &[u8]) -> Option<bool> {
        let contents = self.contents.as_ref()?;
        Some(contents.values.contains_key(key))
    }

    /// All values by map key.
    pub(super) fn contents(&mut self, ground: &Ground<'_>) -> Result<&BTreeMap<Bytes, Vec<u8>>> {
        if self.contents.is_none() {
            let mut contents = Contents::default();
            let pages = ground.pages(StateKey::BagUser(ground.cell()));
            for step in &Iter::<Step>::paged(Arc::new(pages)) {
                contents.apply(step?);
            }
            for part in self.added.parts() {
                let mut input = Input::of_chunk(part).whole();
                while !input.is_empty() {
                    contents.apply(Step::decode(&mut input, Nesting::Nested)?);
                }
            }
            self.contents = Some(contents);
        }
        Ok(&self.contents.get_or_insert_default().values)
    }

    /// How many bytes it holds in memory.
    pub(super) fn bytes(&self) -> usize {
        let contents = self.contents.as_ref();
        self.added.len() + contents.map_or(0, |contents| contents.bytes)
    }

    pub(super) fn flush(&mut self, ground: &Ground<'_>) -> Result<()> {
        let key = StateKey::BagUser(ground.cell());
        if let Some(contents) = &self.contents
            && contents.steps > 2 * contents.values.len() + SPARE_STEPS
        {
            self.is_cleared = true;
            self.added = contents.shortest();
        }
        if self.is_cleared {
            ground.clear(&key)?;
        }
        self.added
            .take()
            .try_for_each(|data| ground.append(&key, data))
    }
}

impl Contents {
    fn apply(&mut self, step: Step) {
        self.steps += 1;
        if let Does::Put = step.does
            && let Some(values) = self.values.remove(&step.key)
        {
            self.bytes -= values.len() + step.key.len() + KEY_COST;
        }
        if step.values.is_empty() {
            return;
        }
        self.bytes += step.values.len();
        match self.values.get_mut(&step.key) {
            Some(values) => values.extend_from_slice(&step.values),
            None => {
                self.bytes += step.key.len() + KEY_COST;
                // A key that shares the bytes of its page would keep the page.
                let key = Bytes::copy_from_slice(&step.key);
                self.values.insert(key, step.values.to_vec());
            }
        }
    }

    /// The steps that make these contents of nothing.
    fn shortest(&self) -> Additions {
        let mut steps = Additions::default();
        for (key, values) in &self.values {
            let step = Step {
                does: Does::Put,
                key: key.clone(),
                values: Bytes::copy_from_slice(values),
            };
            steps.push(|out| step.encode(out, Nesting::Nested));
        }
        steps
    }
}

/// What a step does to the values of its map key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Add,
    /// Replaces them; by none, if the step has none.
    Put,
}

/// One step, as the runner keeps it: a byte that says what it does, and key and values after their lengths.
#[derive(Clone)]
struct Step {
    does: Does,
    key: Bytes,
    values: Bytes,
}

impl Element for Step {
    fn coder() -> Coder {
        Coder::own::<Step>("ferrobeam:coder:step:v1", Bytes::new())
    }

    fn encode(&self, out: &mut Vec<u8>, _at: Nesting) {
        out.push(self.does as u8);
        for part in [&self.key, &self.values] {
            put_varint(out, part.len() as u64);
            out.extend_from_slice(part);
        }
    }

    fn decode(input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
        let does = match input.byte()? {
            0 => Does::Add,
            1 => Does::Put,
            byte => {
                return Err(Error::decode(format!(
                    "a step of a map's list begins with {byte}, not 0 or 1; was this state another kind of state before?"
                )));
            }
        };
        let key = input.length()?;
        let key = input.bytes(key)?;
        let values = input.length()?;
        let values = input.bytes(values)?;
        Ok(Step { does, key, values })
    }

    fn skip(input: &mut Input<'_>, _at: Nesting) -> Result<()> {
        input.byte()?;
        for _ in 0..2 {
            let length = input.length()?;
            input.take(length)?;
        }
        Ok(())
    }
}
