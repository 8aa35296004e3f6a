//! What happens to elements that need no state.

use std::collections::HashMap;

use bytes::{BufMut as _, BytesMut};

use super::wire::{FIRST_HEADER, Reader, put_bytes, put_varint};

/// How often each word occurred in a bundle.
pub(super) type Counts = HashMap<Vec<u8>, u64>;

/// Decodes pairs of bytes and encodes those that `keep` wants. `None` if the data ends early.
pub(super) fn recode(data: &[u8], out: &mut BytesMut, keep: impl Fn(&[u8]) -> bool) -> Option<()> {
    let mut reader = Reader(data);
    while !reader.is_empty() {
        let header = reader.header()?;
        let (key, value) = (reader.bytes()?, reader.bytes()?);
        if keep(value) {
            out.put_slice(header);
            put_bytes(out, key);
            put_bytes(out, value);
        }
    }
    Some(())
}

/// Counts the words of lines. `None` if the data ends early or is not text.
pub(super) fn count_words(data: &[u8], counts: &mut Counts) -> Option<()> {
    let mut reader = Reader(data);
    while !reader.is_empty() {
        reader.header()?;
        let line = std::str::from_utf8(reader.bytes()?).ok()?;
        for word in line.split(' ') {
            match counts.get_mut(word.as_bytes()) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(word.as_bytes().to_vec(), 1);
                }
            }
        }
    }
    Some(())
}

/// Appends each word with its count, and forgets them.
pub(super) fn put_counts(counts: &mut Counts, out: &mut BytesMut) {
    for (word, count) in counts.drain() {
        out.put_slice(FIRST_HEADER);
        put_bytes(out, &word);
        put_varint(out, count);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn element(parts: &[&[u8]]) -> Vec<u8> {
        let mut out = BytesMut::from(&FIRST_HEADER[..]);
        parts.iter().for_each(|part| put_bytes(&mut out, part));
        out.to_vec()
    }

    #[test]
    fn pairs_come_out_as_they_went_in() {
        let (kept, dropped) = (element(&[b"k", &[0, 9]]), element(&[b"k", &[1, 9]]));
        let data = [kept.clone(), dropped.clone()].concat();
        let mut out = BytesMut::new();
        recode(&data, &mut out, |_| true).unwrap();
        assert_eq!(out, data);
        out.clear();
        recode(&data, &mut out, |value| value.first() == Some(&0)).unwrap();
        assert_eq!(out, kept);
        assert_eq!(recode(&data[..20], &mut out, |_| true), None);
    }

    #[test]
    fn words_are_counted() {
        let mut counts = Counts::new();
        count_words(&element(&[b"a b a"]), &mut counts).unwrap();
        assert_eq!(counts[&b"a"[..]], 2);
        counts.remove(&b"b"[..]);
        let mut out = BytesMut::new();
        put_counts(&mut counts, &mut out);
        assert_eq!(out, [&element(&[b"a"])[..], &[2]].concat());
        assert_eq!(count_words(&element(&[&[0xff]]), &mut counts), None);
    }
}
