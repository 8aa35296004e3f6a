//! State of many values for each map key.

use std::marker::PhantomData;

use super::StateKind;
use super::cells::Cells;
use super::entries::{Entries, PROTOCOLS};
use super::map_cells::MapCells;
use super::port::state_port;
use crate::element::{Element, Iter, Kv};
use crate::error::Result;

/// A port that is state of any number of values for each map key, for each key and window. Map keys are the same if
/// their bytes are.
///
/// Adding and removing read nothing.
///
/// ```
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::DoFnTester;
///
/// /// Tells what else was bought with the same card.
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "shop.Cards/v1")]
/// struct Cards;
///
/// #[derive(Ports)]
/// struct CardsIo {
///     before: Out<Vec<String>>,
///     bought: MultimapState<i64, String>,
/// }
///
/// impl DoFn for Cards {
///     type In = Kv<String, Kv<i64, String>>;
///     type Io = CardsIo;
///
///     fn process(&mut self, Kv(_, Kv(card, what)): Self::In, cx: &mut Cx, io: &mut CardsIo) -> Result {
///         io.before.emit(cx, io.bought.get(&card)?.to_vec()?);
///         io.bought.add(&card, &what)
///     }
/// }
///
/// let bought = |(card, what): (i64, &str)| Kv("corner".to_owned(), Kv(card, what.to_owned()));
/// let mut tester = DoFnTester::of(Cards);
/// tester.run([(1, "tea"), (2, "oil")].map(bought))?;
/// let before = tester.run([(1, "salt"), (3, "rice"), (1, "milk")].map(bought))?.before;
/// assert_eq!(before.values(), [vec!["tea"], vec![], vec!["tea", "salt"]]);
/// # Ok::<(), ferrobeam::Error>(())
/// ```
pub struct MultimapState<K, V>(MapCells, PhantomData<fn() -> (K, V)>);

impl<K: Element, V: Element> MultimapState<K, V> {
    /// The values of a map key as they are now, in the order in which they were added. They are fetched page by page.
    ///
    /// # Errors
    /// Used where there is no key in hand, or the state cannot be read.
    pub fn get(&mut self, key: &K) -> Result<Iter<V>> {
        self.0
            .at(key, |entries, ground, key| entries.values(ground, key))
    }

    /// Adds a value to those of a map key.
    ///
    /// # Errors
    /// Used where there is no key in hand, or what the port has written could not be sent.
    pub fn add(&mut self, key: &K, value: &V) -> Result<()> {
        self.0.at(key, |entries, ground, key| {
            entries.add(ground, key, value);
            Ok(())
        })
    }

    /// Removes all values of a map key.
    ///
    /// # Errors
    /// As [`MultimapState::add`].
    pub fn remove(&mut self, key: &K) -> Result<()> {
        self.0.at(key, |entries, ground, key| {
            entries.remove(ground, key);
            Ok(())
        })
    }

    /// The map keys that have values now, in no particular order.
    ///
    /// # Errors
    /// As [`MultimapState::get`].
    pub fn keys(&mut self) -> Result<Iter<K>> {
        self.0.with(|entries, ground| entries.keys(ground))
    }

    /// Map keys and values as they are now; those of one map key in the order in which they were added.
    ///
    /// # Errors
    /// As [`MultimapState::get`].
    pub fn entries(&mut self) -> Result<Iter<Kv<K, V>>> {
        self.0.with(|entries, ground| entries.entries(ground))
    }

    /// Removes all values of all map keys.
    ///
    /// # Errors
    /// As [`MultimapState::add`].
    pub fn clear(&mut self) -> Result<()> {
        self.0.with(|entries, ground| {
            entries.clear(ground);
            Ok(())
        })
    }

    fn kind() -> StateKind {
        StateKind::Multimap(K::coder(), V::coder())
    }

    fn of(cells: Cells<Entries>) -> Self {
        MultimapState(MapCells::of(cells), PhantomData)
    }

    fn cells(&mut self) -> &mut Cells<Entries> {
        &mut self.0.cells
    }
}

state_port!(MultimapState<K: Element, V: Element>, PROTOCOLS);
