//! What stands before the values of a row.

use crate::element::{Input, Nesting, put_varint};
use crate::error::{Error, Result};

/// What stands before the values of a row: how many there are, and which of them are null.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header<'a> {
    count: u64,
    nulls: &'a [u8],
}

impl<'a> Header<'a> {
    /// Reads the header of a row with `known` fields.
    #[inline]
    pub(super) fn read(input: &mut Input<'a>, known: usize, at: Nesting) -> Result<Self> {
        let count = input.varint()?;
        let length = input.length()?;
        let nulls = input.take(length)?;
        if count > known as u64 && (at == Nesting::Nested || count > i32::MAX as u64) {
            return Err(Error::decode(format!(
                "a row has {count} fields, but only {known} are known and the rest has no visible end; \
                 use the schema that it was written with"
            )));
        }
        Ok(Header { count, nulls })
    }

    /// What is known of the field that is encoded at `rank` and has the null bit `bit`.
    #[inline]
    pub(super) fn state(&self, rank: usize, bit: usize) -> FieldState {
        if rank as u64 >= self.count {
            FieldState::Absent
        } else if self
            .nulls
            .get(bit / 8)
            .is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
        {
            FieldState::Null
        } else {
            FieldState::Present
        }
    }

    /// Whether the row has values after those of `known` fields.
    #[inline]
    pub(super) fn has_more_than(&self, known: usize) -> bool {
        self.count > known as u64
    }
}

/// Whether a field has a value in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldState {
    /// Its value follows.
    Present,
    /// It is null.
    Null,
    /// The row was written before the field was added.
    Absent,
}

/// Writes what stands before the values of a row of `fields` fields.
#[inline]
pub(super) fn put_header(out: &mut Vec<u8>, fields: usize, is_null: impl Fn(usize) -> bool) {
    put_varint(out, fields as u64);
    if (0..fields).any(&is_null) {
        let bytes = fields.div_ceil(8);
        put_varint(out, bytes as u64);
        let start = out.len();
        out.resize(start + bytes, 0);
        for bit in (0..fields).filter(|bit| is_null(*bit)) {
            out[start + bit / 8] |= 1 << (bit % 8);
        }
    } else {
        out.push(0);
    }
}
