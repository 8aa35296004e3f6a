//! State of distinct values.

use std::marker::PhantomData;

use super::StateKind;
use super::cells::Cells;
use super::entries::{Entries, PROTOCOLS};
use super::map_cells::MapCells;
use super::port::state_port;
use crate::element::{Element, Iter};
use crate::error::Result;

/// A port that is state of distinct values, for each key and window. Values are the same if their bytes are.
///
/// Adding and removing read nothing.
///
/// ```
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::DoFnTester;
///
/// /// Lets each order of a customer pass once.
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "shop.Once/v1")]
/// struct Once;
///
/// #[derive(Ports)]
/// struct OnceIo {
///     new: Out<String>,
///     seen: SetState<String>,
/// }
///
/// impl DoFn for Once {
///     type In = Kv<String, String>;
///     type Io = OnceIo;
///
///     fn process(&mut self, Kv(_, order): Self::In, cx: &mut Cx, io: &mut OnceIo) -> Result {
///         if !io.seen.contains(&order)? {
///             io.seen.add(&order)?;
///             io.new.emit(cx, order);
///         }
///         Ok(())
///     }
/// }
///
/// let order = |what: &str| Kv("Ada".to_owned(), what.to_owned());
/// let mut tester = DoFnTester::of(Once);
/// assert_eq!(tester.run(["1", "2", "1"].map(order))?.new.values(), ["1", "2"]);
/// assert_eq!(tester.run(["2", "3"].map(order))?.new.values(), ["3"]);
/// # Ok::<(), ferrobeam::Error>(())
/// ```
pub struct SetState<T>(MapCells, PhantomData<fn() -> T>);

impl<T: Element> SetState<T> {
    /// Adds a value, unless it is there.
    ///
    /// # Errors
    /// Used where there is no key in hand, or what the port has written could not be sent.
    pub fn add(&mut self, value: &T) -> Result<()> {
        self.0.at(value, |entries, ground, key| {
            // What is kept under a value must have bytes, and says no more than that the value is there.
            if entries.has(ground, key) != Some(true) {
                entries.put(ground, key, &true);
            }
            Ok(())
        })
    }

    /// Whether a value is there.
    ///
    /// # Errors
    /// Used where there is no key in hand, or the state cannot be read.
    pub fn contains(&mut self, value: &T) -> Result<bool> {
        self.0.at(value, |entries, ground, key| {
            match entries.has(ground, key) {
                Some(is_there) => Ok(is_there),
                None => {
                    let marks = entries.values::<bool>(ground, key)?;
                    let first = marks.iter().next().transpose()?;
                    Ok(first.is_some())
                }
            }
        })
    }

    /// Removes a value.
    ///
    /// # Errors
    /// As [`SetState::add`].
    pub fn remove(&mut self, value: &T) -> Result<()> {
        self.0.at(value, |entries, ground, key| {
            if entries.has(ground, key) != Some(false) {
                entries.remove(ground, key);
            }
            Ok(())
        })
    }

    /// The values as they are now, in no particular order.
    ///
    /// # Errors
    /// Used where there is no key in hand, or the state cannot be read.
    pub fn read(&mut self) -> Result<Iter<T>> {
        self.0.with(|entries, ground| entries.keys(ground))
    }

    /// Removes all values.
    ///
    /// # Errors
    /// As [`SetState::add`].
    pub fn clear(&mut self) -> Result<()> {
        self.0.with(|entries, ground| {
            entries.clear(ground);
            Ok(())
        })
    }

    fn kind() -> StateKind {
        StateKind::Set(T::coder())
    }

    fn of(cells: Cells<Entries>) -> Self {
        SetState(MapCells::of(cells), PhantomData)
    }

    fn cells(&mut self) -> &mut Cells<Entries> {
        &mut self.0.cells
    }
}

state_port!(SetState<T: Element>, PROTOCOLS);
