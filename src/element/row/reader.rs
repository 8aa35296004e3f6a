//! Reading the rows of a struct: its schema is known, so nothing is looked up.

use super::FieldValue;
use super::header::{FieldState, Header};
use super::read::name_field;
use crate::element::{Input, Nesting};
use crate::error::{Error, Result};

/// Reads the fields of one row in the order in which they are declared.
#[doc(hidden)]
pub struct RowReader<'i, 'a> {
    input: &'i mut Input<'a>,
    header: Header<'a>,
    known: usize,
    rank: usize,
    at: Nesting,
}

impl<'i, 'a> RowReader<'i, 'a> {
    /// Reads the header of a row with `known` fields.
    ///
    /// # Errors
    /// A header that lies, or rows that nest too deep.
    #[inline]
    pub fn new(input: &'i mut Input<'a>, known: usize, at: Nesting) -> Result<Self> {
        let header = Header::read(input, known, at)?;
        input.enter()?;
        Ok(RowReader {
            input,
            header,
            known,
            rank: 0,
            at,
        })
    }

    /// Reads the next field, which is called `name`.
    ///
    /// # Errors
    /// Bytes that end early or that the type does not allow, or null where the type is not nullable.
    #[inline]
    pub fn field<T: FieldValue>(&mut self, name: &'static str) -> Result<T> {
        match self.next_state() {
            FieldState::Present => self.read(name),
            state => T::null().ok_or_else(|| no_value(state, name)),
        }
    }

    /// Reads the next field, which has a default.
    ///
    /// # Errors
    /// Bytes that end early or that the type does not allow.
    #[inline]
    pub fn field_or<T: FieldValue>(
        &mut self,
        name: &'static str,
        default: impl FnOnce() -> T,
    ) -> Result<T> {
        match self.next_state() {
            FieldState::Present => self.read(name),
            _ => Ok(default()),
        }
    }

    /// Ends the row. At the end of all bytes it may have fields that are not known here.
    #[inline]
    pub fn finish(self) {
        self.input.leave();
        if self.at == Nesting::Outer && self.header.has_more_than(self.known) {
            self.input.take_rest();
        }
    }

    #[inline]
    fn next_state(&mut self) -> FieldState {
        let state = self.header.state(self.rank, self.rank);
        self.rank += 1;
        state
    }

    #[inline]
    fn read<T: FieldValue>(&mut self, name: &'static str) -> Result<T> {
        T::read_field(self.input).map_err(|error| name_field(&error, name))
    }
}

#[cold]
fn no_value(state: FieldState, name: &str) -> Error {
    let what = match state {
        FieldState::Absent => "missing",
        _ => "null",
    };
    Error::decode(format!(
        "field `{name}`: it is {what}, but its type is not nullable"
    ))
}
