//! State of many values.

use std::marker::PhantomData;

use super::cells::{Cell, Cells, Ground};
use super::overlay::Overlay;
use super::port::state_port;
use super::{StateKind, StateProtocol};
use crate::dofn::StateKey;
use crate::element::{Element, Iter, Nesting};
use crate::error::Result;

/// A port that is state of any number of values, for each key and window, in the order in which they were added.
///
/// Adding reads nothing.
///
/// ```
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::DoFnTester;
///
/// /// Holds orders back until there are enough for a parcel.
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "shop.Parcels/v1")]
/// struct Parcels;
///
/// #[derive(Ports)]
/// struct ParcelsIo {
///     parcels: Out<Kv<String, Vec<String>>>,
///     waiting: BagState<String>,
/// }
///
/// impl DoFn for Parcels {
///     type In = Kv<String, String>;
///     type Io = ParcelsIo;
///
///     fn process(&mut self, Kv(who, order): Self::In, cx: &mut Cx, io: &mut ParcelsIo) -> Result {
///         io.waiting.add(&order)?;
///         let waiting = io.waiting.read()?.to_vec()?;
///         if waiting.len() == 3 {
///             io.waiting.clear()?;
///             io.parcels.emit(cx, Kv(who, waiting));
///         }
///         Ok(())
///     }
/// }
///
/// let order = |what: &str| Kv("Ada".to_owned(), what.to_owned());
/// let mut tester = DoFnTester::of(Parcels);
/// assert_eq!(tester.run(["tea", "salt"].map(order))?.parcels.values(), []);
/// let parcels = tester.run(["rice", "oil"].map(order))?.parcels.values();
/// assert_eq!(parcels, [Kv("Ada".to_owned(), ["tea", "salt", "rice"].map(str::to_owned).to_vec())]);
/// # Ok::<(), ferrobeam::Error>(())
/// ```
pub struct BagState<T>(Cells<BagCell>, PhantomData<fn() -> T>);

impl<T: Element> BagState<T> {
    /// Adds a value.
    ///
    /// # Errors
    /// Used where there is no key in hand, or what the port has written could not be sent.
    #[inline]
    pub fn add(&mut self, value: &T) -> Result<()> {
        self.0.grow(|cell, _| {
            cell.0.push(|out| value.encode(out, Nesting::Nested));
            Ok(cell.0.waiting())
        })
    }

    /// The values as they are now: what happens to the state later does not change them. They are fetched page by page, so
    /// memory does not grow with their number; they may be iterated any number of times within the bundle.
    ///
    /// # Errors
    /// Used where there is no key in hand.
    pub fn read(&mut self) -> Result<Iter<T>> {
        self.0.with(|cell, ground| {
            let key = StateKey::BagUser(ground.cell());
            Ok(Iter::paged(cell.0.pages(ground, &key)))
        })
    }

    /// Removes all values.
    ///
    /// # Errors
    /// As [`BagState::add`].
    pub fn clear(&mut self) -> Result<()> {
        self.0.with(|cell, _| {
            cell.0.clear();
            Ok(())
        })
    }

    fn kind() -> StateKind {
        StateKind::Bag(T::coder())
    }

    fn of(cells: Cells<BagCell>) -> Self {
        BagState(cells, PhantomData)
    }

    fn cells(&mut self) -> &mut Cells<BagCell> {
        &mut self.0
    }
}

state_port!(BagState<T: Element>, [StateProtocol::Bag]);

#[derive(Default)]
struct BagCell(Overlay);

impl Cell for BagCell {
    fn settle(&mut self) -> usize {
        self.0.bytes()
    }

    fn flush(&mut self, ground: &Ground<'_>) -> Result<()> {
        self.0.flush(ground, &StateKey::BagUser(ground.cell()))
    }
}
