//! State of one value.

use super::cells::{Cell, Cells, Ground};
use super::port::state_port;
use super::{StateKind, StateProtocol};
use crate::dofn::StateKey;
use crate::element::{Element, Iter, Nesting};
use crate::error::{Error, Result};

/// A port that is state of one value or none, for each key and window.
///
/// ```
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::DoFnTester;
///
/// /// Numbers the orders of each customer.
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "shop.Number/v1")]
/// struct Number;
///
/// #[derive(Ports)]
/// struct NumberIo {
///     numbered: Out<Kv<i64, String>>,
///     last: ValueState<i64>,
/// }
///
/// impl DoFn for Number {
///     type In = Kv<String, String>;
///     type Io = NumberIo;
///
///     fn process(&mut self, Kv(_, order): Self::In, cx: &mut Cx, io: &mut NumberIo) -> Result {
///         let number = io.last.read()?.copied().unwrap_or(0) + 1;
///         io.last.write(number)?;
///         io.numbered.emit(cx, Kv(number, order));
///         Ok(())
///     }
/// }
///
/// let order = |who: &str, what: &str| Kv(who.to_owned(), what.to_owned());
/// let mut tester = DoFnTester::of(Number);
/// tester.run([order("Ada", "tea")])?;
/// let numbered = tester.run([order("Ada", "salt"), order("Bob", "tea")])?.numbered;
/// assert_eq!(numbered.values(), [Kv(2, "salt".to_owned()), Kv(1, "tea".to_owned())]);
/// # Ok::<(), ferrobeam::Error>(())
/// ```
pub struct ValueState<T>(Cells<ValueCell<T>>);

impl<T: Element> ValueState<T> {
    /// The value, if there is one.
    ///
    /// # Errors
    /// Used where there is no key in hand, or the value cannot be read.
    pub fn read(&mut self) -> Result<Option<&T>> {
        self.0.with(ValueCell::load)?;
        let (cell, _) = self.0.cell()?;
        Ok(match &cell.value {
            Known::Stored(value) | Known::Written(value) => value.as_ref(),
            Known::Nothing => None,
        })
    }

    /// Replaces the value.
    ///
    /// # Errors
    /// Used where there is no key in hand, or what the port has written could not be sent.
    #[inline]
    pub fn write(&mut self, value: T) -> Result<()> {
        self.0.with(|cell, _| {
            cell.set(Some(value));
            Ok(())
        })
    }

    /// Removes the value.
    ///
    /// # Errors
    /// As [`ValueState::write`].
    pub fn clear(&mut self) -> Result<()> {
        self.0.with(|cell, _| {
            cell.set(None);
            Ok(())
        })
    }

    fn kind() -> StateKind {
        StateKind::Value(T::coder())
    }

    fn of(cells: Cells<ValueCell<T>>) -> Self {
        ValueState(cells)
    }

    fn cells(&mut self) -> &mut Cells<ValueCell<T>> {
        &mut self.0
    }
}

state_port!(ValueState<T: Element>, [StateProtocol::Bag]);

/// What a bundle knows of the value.
enum Known<T> {
    Nothing,
    /// The runner has it so.
    Stored(Option<T>),
    /// The bundle has written it.
    Written(Option<T>),
}

struct ValueCell<T> {
    value: Known<T>,
    /// The runner is known to have no value.
    is_new: bool,
    /// The encoded value, where `is_encoded`.
    bytes: Vec<u8>,
    is_encoded: bool,
}

impl<T> Default for ValueCell<T> {
    fn default() -> Self {
        ValueCell {
            value: Known::Nothing,
            is_new: false,
            bytes: Vec::new(),
            is_encoded: false,
        }
    }
}

impl<T: Element> ValueCell<T> {
    fn load(&mut self, ground: &Ground<'_>) -> Result<()> {
        if !matches!(self.value, Known::Nothing) {
            return Ok(());
        }
        let pages = ground.pages(StateKey::BagUser(ground.cell()));
        let stored = Iter::<T>::paged(std::sync::Arc::new(pages));
        let mut values = stored.iter();
        let value = values.next().transpose()?;
        if values.next().transpose()?.is_some() {
            return Err(Error::decode(
                "the runner keeps several values where there is one; was this state another kind of state before?",
            ));
        }
        self.is_new = value.is_none();
        self.value = Known::Stored(value);
        Ok(())
    }

    #[inline]
    fn set(&mut self, value: Option<T>) {
        self.value = Known::Written(value);
        self.is_encoded = false;
    }

    fn encode(&mut self) {
        if let (Known::Written(Some(value)), false) = (&self.value, self.is_encoded) {
            self.bytes.clear();
            value.encode(&mut self.bytes, Nesting::Nested);
            self.is_encoded = true;
        }
    }
}

impl<T: Element> Cell for ValueCell<T> {
    fn settle(&mut self) -> usize {
        self.encode();
        self.bytes.len() + size_of::<T>()
    }

    fn flush(&mut self, ground: &Ground<'_>) -> Result<()> {
        self.encode();
        let Known::Written(value) = &self.value else {
            return Ok(());
        };
        let key = StateKey::BagUser(ground.cell());
        if !self.is_new {
            ground.clear(&key)?;
        }
        if value.is_some() {
            ground.append(&key, std::mem::take(&mut self.bytes).into())?;
        }
        Ok(())
    }
}
