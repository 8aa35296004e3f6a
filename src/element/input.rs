//! A cursor over encoded bytes that can never read past them.

use std::sync::Arc;

use bytes::Bytes;

use super::pages::Pages;
use crate::error::{Error, ErrorKind, Result};

/// How deep values may nest in each other: rows in rows, iterables in iterables.
///
/// Each level costs stack, and the bytes come from outside. Protobuf parsers stop at the same depth.
pub const MAX_DEPTH: u16 = 100;

/// A cursor over encoded bytes.
///
/// It remembers the shared chunk that the bytes lie in, so that a large value can be a slice of it, and where the rest
/// of a state-backed iterable can be fetched from.
pub struct Input<'a> {
    rest: &'a [u8],
    chunk: Option<&'a Bytes>,
    pages: Option<&'a Arc<dyn Pages>>,
    depth: u16,
    /// Nothing can follow: what is missing is not yet to come, but wrong.
    is_whole: bool,
}

impl<'a> Input<'a> {
    /// Reads `bytes` from the start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Input {
            rest: bytes,
            chunk: None,
            pages: None,
            depth: 0,
            is_whole: false,
        }
    }

    /// Reads a shared chunk from the start; [`Input::bytes`] then shares instead of copying.
    pub fn of_chunk(chunk: &'a Bytes) -> Self {
        Input {
            rest: chunk,
            chunk: Some(chunk),
            pages: None,
            depth: 0,
            is_whole: false,
        }
    }

    /// Says where the tails of state-backed iterables come from.
    #[must_use]
    pub fn with_pages(mut self, pages: &'a Arc<dyn Pages>) -> Self {
        self.pages = Some(pages);
        self
    }

    /// Says that nothing can follow these bytes: a value that ends early is damaged, and no more input cures it.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.is_whole = true;
        self
    }

    /// A cursor over `bytes`, a [whole](Input::whole) part of this input, with its chunk, pages and depth.
    pub fn part(&self, bytes: &'a [u8]) -> Input<'a> {
        Input {
            rest: bytes,
            chunk: self.chunk,
            pages: self.pages,
            depth: self.depth,
            is_whole: true,
        }
    }

    /// Where the tails of state-backed iterables come from.
    pub fn pages(&self) -> Option<&'a Arc<dyn Pages>> {
        self.pages
    }

    /// The bytes that are left.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes are left.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(n) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.truncated(n)),
        }
    }

    /// All that is left.
    #[inline]
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// The next `n` bytes, as a slice of the shared chunk where there is one.
    pub fn bytes(&mut self, n: usize) -> Result<Bytes> {
        let taken = self.take(n)?;
        Ok(self.share(taken))
    }

    /// `part`, which must come from this input, as shared bytes: a slice of the chunk where there is one.
    pub fn share(&self, part: &'a [u8]) -> Bytes {
        match self.chunk {
            Some(chunk) if !part.is_empty() => chunk.slice_ref(part),
            _ => Bytes::copy_from_slice(part),
        }
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8> {
        match self.rest.split_first() {
            Some((byte, rest)) => {
                self.rest = rest;
                Ok(*byte)
            }
            None => Err(self.truncated(1)),
        }
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(self.truncated(N)),
        }
    }

    /// The next LEB128 number of at most 64 bits.
    #[inline]
    pub fn varint(&mut self) -> Result<u64> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for (i, &byte) in self.rest.iter().enumerate().take(10) {
            let bits = u64::from(byte & 0x7f);
            if i == 9 && bits > 1 {
                return Err(Error::decode("a varint holds more than 64 bits"));
            }
            value |= bits << (7 * i);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        if self.rest.len() < 10 {
            Err(self.truncated(self.rest.len() + 1))
        } else {
            Err(Error::decode("a varint is longer than ten bytes"))
        }
    }

    /// A length: a varint that fits the bytes that are left.
    #[inline]
    pub fn length(&mut self) -> Result<usize> {
        let length = self.varint()?;
        match usize::try_from(length) {
            Ok(n) if n <= self.rest.len() => Ok(n),
            _ => Err(self.too_long(length)),
        }
    }

    /// Goes one level down into a composite value; pair it with [`Input::leave`].
    #[inline]
    pub fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::decode(format!(
                "values nest more than {MAX_DEPTH} deep; flatten the nesting"
            )));
        }
        Ok(())
    }

    /// Comes back up from [`Input::enter`].
    #[inline]
    pub fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    #[cold]
    fn truncated(&self, wanted: usize) -> Error {
        Error::new(
            self.kind_of_end(),
            format!(
                "the encoded value ends early: {wanted} more bytes are needed, {} are left",
                self.rest.len()
            ),
        )
    }

    /// What it means that bytes are missing.
    pub(super) fn kind_of_end(&self) -> ErrorKind {
        if self.is_whole {
            ErrorKind::Decode
        } else {
            ErrorKind::Truncated
        }
    }

    #[cold]
    fn too_long(&self, length: u64) -> Error {
        // A length beyond any message is a lie, not a value that goes on in the next page.
        let kind = if length > i32::MAX as u64 {
            ErrorKind::Decode
        } else {
            self.kind_of_end()
        };
        Error::new(
            kind,
            format!(
                "a length of {length} bytes exceeds the {} bytes that are left",
                self.rest.len()
            ),
        )
    }
}

/// Appends a LEB128 number.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, value);
        out
    }

    #[test]
    fn varints_round_trip() {
        for value in [
            0,
            1,
            127,
            128,
            300,
            u64::from(u32::MAX),
            i64::MAX as u64,
            u64::MAX,
        ] {
            let bytes = encoded(value);
            let mut input = Input::new(&bytes);
            assert_eq!(input.varint().expect("valid"), value);
            assert!(input.is_empty());
        }
        assert_eq!(encoded(300), [0xac, 0x02]);
        assert_eq!(encoded(-1i64 as u64).len(), 10);
    }

    #[test]
    fn varints_that_lie_are_errors() {
        let kind = |bytes: &[u8]| Input::new(bytes).varint().expect_err("invalid").kind();
        assert_eq!(kind(&[]), ErrorKind::Truncated);
        assert_eq!(kind(&[0x80; 3]), ErrorKind::Truncated);
        assert_eq!(kind(&[0xff; 10]), ErrorKind::Decode);
        assert_eq!(kind(&[0x80; 11]), ErrorKind::Decode);
    }

    #[test]
    fn a_length_beyond_the_input_is_an_error() {
        let mut bytes = encoded(u64::MAX >> 1);
        bytes.extend_from_slice(b"abc");
        assert_eq!(
            Input::new(&bytes).length().expect_err("too long").kind(),
            ErrorKind::Decode
        );
        assert_eq!(
            Input::new(&[4, b'a'])
                .length()
                .expect_err("too long")
                .kind(),
            ErrorKind::Truncated
        );
    }

    #[test]
    fn what_is_missing_in_a_part_will_not_come() {
        let input = Input::new(&[1, 2, 3]);
        let kind = |mut input: Input<'_>| input.take(4).expect_err("too few").kind();
        assert_eq!(kind(input.part(&[2])), ErrorKind::Decode);
        assert_eq!(kind(Input::new(&[2]).whole()), ErrorKind::Decode);
        assert_eq!(kind(input), ErrorKind::Truncated);
    }

    #[test]
    fn shares_the_chunk() {
        let chunk = Bytes::from(vec![7u8; 64]);
        let mut input = Input::of_chunk(&chunk);
        input.take(8).expect("enough");
        let part = input.bytes(16).expect("enough");
        assert_eq!(part.as_ptr(), chunk[8..].as_ptr());
    }

    #[test]
    fn depth_is_bounded() {
        let mut input = Input::new(&[]);
        for _ in 0..MAX_DEPTH {
            input.enter().expect("still shallow");
        }
        assert!(
            input
                .enter()
                .expect_err("too deep")
                .to_string()
                .contains("nest")
        );
    }
}
