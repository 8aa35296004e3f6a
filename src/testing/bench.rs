//! Where a function's ports end in a test.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{Capture, Captured, MemoryState};
use crate::dofn::{Meter, OutSlot, Site, StateKey, StatePort, View};
use crate::element::{Element, Input, KvVisitor, Nesting, Page, encoded};
use crate::error::{Error, ErrorKind, Result};

/// The [`Site`] of a test: outputs are [`Captured`], and a side input is a vector of its elements, whatever its view.
#[derive(Default)]
pub struct Bench {
    outs: Vec<(&'static str, OutSlot)>,
    sides: SideInputs,
    cells: Arc<MemoryState>,
}

impl Bench {
    /// The ends of the outputs that were made since the last call.
    pub(super) fn take_outs(&mut self) -> Vec<(&'static str, OutSlot)> {
        std::mem::take(&mut self.outs)
    }

    /// The side inputs that were given.
    pub(super) fn sides(&self) -> &SideInputs {
        &self.sides
    }

    /// The cells of all bundles.
    pub(super) fn cells(&self) -> &Arc<MemoryState> {
        &self.cells
    }

    /// The state that functions reach.
    pub(super) fn state(&self) -> Arc<dyn StatePort> {
        Arc::new(BenchState {
            sides: self.sides.clone(),
            cells: self.cells.clone(),
        })
    }
}

impl Site for Bench {
    type Collection<T: Element> = Captured<T>;
    type View<V: View> = Vec<V::Element>;

    fn output<T: Element>(&mut self, tag: &'static str) -> Captured<T> {
        let (capture, captured) = Capture::<T>::new();
        let slot = OutSlot::new::<T>(Box::new(capture), Meter::default());
        self.outs.push((tag, slot));
        captured
    }

    fn side<V: View>(&mut self, tag: &'static str, view: Vec<V::Element>) {
        let mut side = SideInput::default();
        for element in &view {
            let bytes = encoded(element, Nesting::Nested);
            V::Element::visit(Add {
                side: &mut side,
                bytes: &bytes,
            });
        }
        self.sides.0.insert(tag, side);
    }
}

/// Side inputs in encoded form, the same in every window.
#[derive(Debug, Clone, Default)]
pub(super) struct SideInputs(BTreeMap<&'static str, SideInput>);

#[derive(Debug, Clone, Default)]
struct SideInput {
    /// All elements, one after the other.
    elements: Vec<u8>,
    /// The values of each key, one after the other.
    values: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Adds one encoded element to a side input.
struct Add<'a> {
    side: &'a mut SideInput,
    bytes: &'a [u8],
}

impl KvVisitor for Add<'_> {
    type Output = ();

    fn kv<K: Element, V: Element>(self) {
        let mut input = Input::new(self.bytes);
        // A key that cannot be read back is a fault of its `Element`, which reading the element shows.
        if K::skip(&mut input, Nesting::Nested).is_ok() {
            let key = &self.bytes[..self.bytes.len() - input.remaining()];
            let values = self.side.values.entry(key.to_vec()).or_default();
            values.extend_from_slice(input.rest());
        }
        self.other();
    }

    fn other(self) {
        self.side.elements.extend_from_slice(self.bytes);
    }
}

impl SideInputs {
    /// The tags.
    pub(super) fn tags(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    fn find(&self, tag: &str) -> Result<&SideInput> {
        self.0
            .get(tag)
            .ok_or_else(|| Error::new(ErrorKind::State, format!("there is no side input {tag:?}")))
    }

    fn read(&self, key: &StateKey) -> Result<Vec<u8>> {
        Ok(match key {
            StateKey::IterableSide(side) => self.find(&side.side)?.elements.clone(),
            StateKey::MultimapSide(side, key) => {
                let values = &self.find(&side.side)?.values;
                values.get(&key[..]).cloned().unwrap_or_default()
            }
            StateKey::MultimapKeysSide(side) => {
                let values = &self.find(&side.side)?.values;
                values.keys().flatten().copied().collect()
            }
            _ => {
                return Err(Error::new(
                    ErrorKind::State,
                    "a test bench has no runner that keeps the tails of iterables; make them with Iter::from_iter",
                ));
            }
        })
    }
}

/// Side inputs and cells.
struct BenchState {
    sides: SideInputs,
    cells: Arc<MemoryState>,
}

impl StatePort for BenchState {
    fn get(&self, key: &StateKey, continuation: &Bytes) -> Result<Page> {
        match key {
            StateKey::BagUser(_)
            | StateKey::MultimapUser(..)
            | StateKey::MultimapKeysUser(_)
            | StateKey::OrderedListUser(..) => self.cells.get(key, continuation),
            _ => Ok(Page {
                data: self.sides.read(key)?.into(),
                continuation: Bytes::new(),
            }),
        }
    }

    fn append(&self, key: &StateKey, data: Bytes) -> Result<()> {
        self.cells.append(key, data)
    }

    fn clear(&self, key: &StateKey) -> Result<()> {
        self.cells.clear(key)
    }
}
