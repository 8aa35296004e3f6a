//! Encoded values that a bundle has added.

use std::convert::Infallible;

use bytes::Bytes;

/// The most bytes of one append, unless a single value has more: runners have limits on messages.
pub(super) const LARGEST_APPEND: usize = 10 << 20;

/// Encoded values, one after the other, cut between values into parts that one append can take.
#[derive(Debug, Default)]
pub(super) struct Additions {
    parts: Vec<Bytes>,
    /// The last part, while it grows.
    open: Vec<u8>,
    bytes: usize,
}

impl Additions {
    /// Adds one value, which `encode` appends.
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let encoded = self.try_push(|out| {
            encode(out);
            Ok::<(), Infallible>(())
        });
        match encoded {
            Ok(()) => {}
        }
    }

    /// As [`Additions::push`], for what may fail.
    pub(super) fn try_push<E>(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = self.open.len();
        encode(&mut self.open)?;
        self.bytes += self.open.len() - before;
        if before > 0 && self.open.len() > LARGEST_APPEND {
            let last = self.open.split_off(before);
            self.freeze();
            self.open = last;
        }
        Ok(())
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.open.clear();
        self.bytes = 0;
    }

    /// What there is now. Cheap: later values do not change it, and nothing is copied.
    pub(super) fn parts(&mut self) -> &[Bytes] {
        self.freeze();
        &self.parts
    }

    /// All values, to be appended.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Bytes> + use<> {
        self.freeze();
        self.bytes = 0;
        joined(std::mem::take(&mut self.parts)).into_iter()
    }

    fn freeze(&mut self) {
        if !self.open.is_empty() {
            self.parts.push(std::mem::take(&mut self.open).into());
        }
    }
}

/// Joins neighbours as far as one append can take them: reading in between cuts values into small parts.
fn joined(parts: Vec<Bytes>) -> Vec<Bytes> {
    if parts.len() <= 1 {
        return parts;
    }
    let mut appends = Vec::new();
    let mut open: Vec<u8> = Vec::new();
    for part in parts {
        if !open.is_empty() && open.len() + part.len() > LARGEST_APPEND {
            appends.push(std::mem::take(&mut open).into());
        }
        open.extend_from_slice(&part);
    }
    appends.push(open.into());
    appends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_are_cut_between_values() {
        let mut additions = Additions::default();
        let value = vec![7u8; 3 << 20];
        for _ in 0..7 {
            additions.push(|out| out.extend_from_slice(&value));
        }
        assert_eq!(additions.len(), 21 << 20);
        let sizes: Vec<usize> = additions.take().map(|part| part.len() >> 20).collect();
        assert_eq!(sizes, [9, 9, 3]);
        assert!(additions.is_empty());
        assert_eq!(additions.take().count(), 0);
    }

    #[test]
    fn what_was_read_in_between_is_one_append() {
        let mut additions = Additions::default();
        for n in 0..5u8 {
            additions.push(|out| out.push(n));
            assert_eq!(additions.parts().len(), usize::from(n) + 1);
        }
        let parts: Vec<Bytes> = additions.take().collect();
        assert_eq!(parts, [Bytes::from_static(&[0, 1, 2, 3, 4])]);
    }
}
