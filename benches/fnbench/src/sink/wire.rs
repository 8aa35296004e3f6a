//! As much of Beam's coders as the scenarios need.

use bytes::{BufMut as _, BytesMut};

/// Timestamp, number of windows, one global window, and pane.
const HEADER: usize = 13;

/// The header of what has no timestamp of its own: the earliest time, in the global window.
pub(super) const FIRST_HEADER: &[u8; HEADER] = b"\x80\0\0\0\0\0\0\0\0\0\0\x01\x0f";

/// Reads encoded elements. `None` where they end early.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Everything about an element but its value.
    pub(super) fn header(&mut self) -> Option<&'a [u8]> {
        self.take(HEADER)
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// Bytes after their length.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        self.take(length)
    }

    /// The number with which an iterable begins: how many values, or that it says so in pieces.
    pub(super) fn int32(&mut self) -> Option<i32> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(i32::from_be_bytes(bytes))
    }
}

/// Appends a varint.
pub(super) fn put_varint(out: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        out.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

/// Appends bytes after their length.
pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.put_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_read() {
        let mut out = BytesMut::new();
        put_varint(&mut out, 300);
        put_varint(&mut out, u64::MAX);
        put_bytes(&mut out, b"abc");
        let mut reader = Reader(&out);
        assert_eq!(reader.varint(), Some(300));
        assert_eq!(reader.varint(), Some(u64::MAX));
        assert_eq!(reader.bytes(), Some(&b"abc"[..]));
        assert!(reader.is_empty());
    }

    #[test]
    fn what_ends_early_is_nothing() {
        assert_eq!(Reader(&[0x80]).varint(), None);
        assert_eq!(Reader(&[0xff; 11]).varint(), None);
        assert_eq!(Reader(&[4, 1]).bytes(), None);
        assert_eq!(Reader(&[0; 12]).header(), None);
        assert_eq!(Reader(&[0; 3]).int32(), None);
    }
}
