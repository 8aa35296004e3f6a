//! Input of bundles, encoded before anything is measured.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Bytes, BytesMut};

use crate::scenario::Patch;

/// One bundle's input, cut into messages of the data plane.
pub(crate) struct BundleInput {
    pub(crate) elements: u64,
    pub(crate) bytes: u64,
    pub(crate) chunks: Vec<Bytes>,
}

/// Encoded elements that stand for many.
pub(crate) struct Templates(Vec<Bytes>);

impl Templates {
    /// Reads a file of elements, each after its length as four little-endian bytes.
    ///
    /// # Errors
    /// The file cannot be read, ends early, or is empty.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(file.into()).with_context(|| format!("{} has no elements", path.display()))
    }

    fn parse(file: Bytes) -> Result<Self> {
        let mut templates = Vec::new();
        let mut rest = file;
        while let Some(length) = rest.first_chunk().map(|length| u32::from_le_bytes(*length)) {
            let end = length as usize + 4;
            ensure!(
                end <= rest.len(),
                "element {} ends after the file",
                templates.len()
            );
            templates.push(rest.split_to(end).slice(4..));
        }
        ensure!(rest.is_empty(), "{} bytes are left at the end", rest.len());
        ensure!(!templates.is_empty(), "the file is empty");
        Ok(Templates(templates))
    }

    /// A bundle of `count` elements in messages of `chunk_bytes`, or a little more: elements are not torn.
    ///
    /// # Errors
    /// A patch that does not fit an element.
    pub(crate) fn bundle(
        &self,
        count: u64,
        patches: &[Patch],
        chunk_bytes: usize,
    ) -> Result<BundleInput> {
        let shortest = self.0.iter().map(Bytes::len).min().unwrap_or_default();
        for Patch { offset, width, .. } in patches {
            if *width > 8 || offset.saturating_add(*width) > shortest {
                bail!("a patch of {width} bytes at {offset} does not fit an element of {shortest}");
            }
        }
        let mut input = BundleInput {
            elements: count,
            bytes: 0,
            chunks: Vec::new(),
        };
        let mut chunk = BytesMut::new();
        for (index, template) in (0..count).zip(self.0.iter().cycle()) {
            input.bytes += template.len() as u64;
            if template.len() >= chunk_bytes && patches.is_empty() && chunk.is_empty() {
                // Shared, not copied: a thousand elements of a megabyte need one megabyte.
                input.chunks.push(template.clone());
                continue;
            }
            if chunk.capacity() == 0 {
                chunk.reserve(chunk_bytes.saturating_add(template.len()).min(64 << 20));
            }
            let start = chunk.len();
            chunk.extend_from_slice(template);
            for patch in patches {
                let number = index.checked_rem(patch.modulo).unwrap_or(index);
                let place = start + patch.offset;
                let number = &number.to_be_bytes()[8 - patch.width..];
                chunk[place..place + patch.width].copy_from_slice(number);
            }
            if chunk.len() >= chunk_bytes {
                input.chunks.push(std::mem::take(&mut chunk).freeze());
            }
        }
        if !chunk.is_empty() {
            input.chunks.push(chunk.freeze());
        }
        Ok(input)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn templates(elements: &[&[u8]]) -> Templates {
        let mut file = Vec::new();
        for element in elements {
            file.extend(u32::try_from(element.len()).unwrap().to_le_bytes());
            file.extend_from_slice(element);
        }
        Templates::parse(file.into()).unwrap()
    }

    #[test]
    fn elements_come_in_turn_with_their_index() {
        let patch = Patch {
            offset: 1,
            width: 2,
            modulo: 3,
        };
        let input = templates(&[b"a__", b"b__"]).bundle(5, &[patch], 6).unwrap();
        assert_eq!(input.chunks, ["a\0\0b\0\x01", "a\0\x02b\0\0", "a\0\x01"]);
        assert_eq!((input.elements, input.bytes), (5, 15));
    }

    #[test]
    fn large_elements_are_shared() {
        let templates = templates(&[b"0123456789"]);
        let input = templates.bundle(3, &[], 8).unwrap();
        assert_eq!(input.chunks.len(), 3);
        assert!(
            input
                .chunks
                .iter()
                .all(|chunk| chunk.as_ptr() == templates.0[0].as_ptr())
        );
    }

    #[test]
    fn files_that_end_early_are_refused() {
        for file in [&b""[..], &[1, 0, 0, 0], &[1, 0, 0, 0, 7, 9], &[255; 5]] {
            assert!(Templates::parse(Bytes::copy_from_slice(file)).is_err());
        }
    }

    #[test]
    fn patches_outside_an_element_are_refused() {
        for (offset, width) in [(2, 2), (0, 9), (usize::MAX, 2)] {
            let patch = Patch {
                offset,
                width,
                modulo: 0,
            };
            assert!(templates(&[b"abc"]).bundle(1, &[patch], 8).is_err());
        }
    }
}
