//! State of one value for each map key.

use std::marker::PhantomData;

use super::StateKind;
use super::cells::Cells;
use super::entries::{Entries, PROTOCOLS};
use super::map_cells::MapCells;
use super::port::state_port;
use crate::element::{Element, Iter, Kv};
use crate::error::{Error, Result};

/// A port that is state of one value for each map key, for each key and window. Map keys are the same if their bytes are.
///
/// Putting and removing read nothing.
///
/// ```
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::DoFnTester;
///
/// /// Tells the last price of each good that a shop sells, and how many goods that are.
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "shop.Prices/v1")]
/// struct Prices;
///
/// #[derive(Ports)]
/// struct PricesIo {
///     goods: Out<i64>,
///     last: MapState<String, i64>,
/// }
///
/// impl DoFn for Prices {
///     type In = Kv<String, Kv<String, i64>>;
///     type Io = PricesIo;
///
///     fn process(&mut self, Kv(_, Kv(what, price)): Self::In, cx: &mut Cx, io: &mut PricesIo) -> Result {
///         io.last.put(&what, &price)?;
///         io.goods.emit(cx, io.last.keys()?.iter().count() as i64);
///         Ok(())
///     }
/// }
///
/// let sold = |(what, price): (&str, i64)| Kv("corner".to_owned(), Kv(what.to_owned(), price));
/// let mut tester = DoFnTester::of(Prices);
/// let goods = tester.run([("tea", 7), ("salt", 2), ("tea", 8)].map(sold))?.goods;
/// assert_eq!(goods.values(), [1, 2, 2]);
/// let corner = "corner".to_owned();
/// let tea = tester.state("last", &corner, |last: &mut MapState<_, _>| last.get(&"tea".to_owned()))?;
/// assert_eq!(tea, Some(8));
/// # Ok::<(), ferrobeam::Error>(())
/// ```
pub struct MapState<K, V>(MapCells, PhantomData<fn() -> (K, V)>);

impl<K: Element, V: Element> MapState<K, V> {
    /// The value of a map key, if there is one.
    ///
    /// # Errors
    /// Used where there is no key in hand, or the value cannot be read.
    pub fn get(&mut self, key: &K) -> Result<Option<V>> {
        self.0.at(key, |entries, ground, key| {
            let values = entries.values::<V>(ground, key)?;
            let mut values = values.iter();
            let value = values.next().transpose()?;
            match values.next().transpose()? {
                None => Ok(value),
                Some(_) => Err(Error::decode(
                    "the runner keeps several values where there is one; was this state another kind of state before?",
                )),
            }
        })
    }

    /// Whether a map key has a value.
    ///
    /// # Errors
    /// As [`MapState::get`].
    pub fn contains(&mut self, key: &K) -> Result<bool> {
        self.get(key).map(|value| value.is_some())
    }

    /// Sets the value of a map key.
    ///
    /// # Errors
    /// Used where there is no key in hand, or what the port has written could not be sent.
    pub fn put(&mut self, key: &K, value: &V) -> Result<()> {
        self.0.at(key, |entries, ground, key| {
            entries.put(ground, key, value);
            Ok(())
        })
    }

    /// Removes the value of a map key.
    ///
    /// # Errors
    /// As [`MapState::put`].
    pub fn remove(&mut self, key: &K) -> Result<()> {
        self.0.at(key, |entries, ground, key| {
            entries.remove(ground, key);
            Ok(())
        })
    }

    /// The map keys as they are now, in no particular order.
    ///
    /// # Errors
    /// As [`MapState::get`].
    pub fn keys(&mut self) -> Result<Iter<K>> {
        self.0.with(|entries, ground| entries.keys(ground))
    }

    /// Map keys and values as they are now, in no particular order.
    ///
    /// # Errors
    /// As [`MapState::get`].
    pub fn entries(&mut self) -> Result<Iter<Kv<K, V>>> {
        self.0.with(|entries, ground| entries.entries(ground))
    }

    /// Removes all values.
    ///
    /// # Errors
    /// As [`MapState::put`].
    pub fn clear(&mut self) -> Result<()> {
        self.0.with(|entries, ground| {
            entries.clear(ground);
            Ok(())
        })
    }

    fn kind() -> StateKind {
        StateKind::Map(K::coder(), V::coder())
    }

    fn of(cells: Cells<Entries>) -> Self {
        MapState(MapCells::of(cells), PhantomData)
    }

    fn cells(&mut self) -> &mut Cells<Entries> {
        &mut self.0.cells
    }
}

state_port!(MapState<K: Element, V: Element>, PROTOCOLS);
