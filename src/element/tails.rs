//! Values whose state-backed iterables are to leave their bundle: tokens end with it, so the values must be whole.

use std::sync::Arc;

use super::coder::{Coder, urn};
use super::pages::{PagedReader, Pages};
use super::values::negative_count;
use super::{Input, Layout, Nesting, put_varint};
use crate::error::{Error, ErrorKind, Result};

/// Copies values with the tails of their iterables.
pub struct WholeCopy {
    layout: Layout,
    pages: Arc<dyn Pages>,
}

impl WholeCopy {
    /// A copier of values of `coder`, whose tails come from `pages`; `None` where there can be none.
    ///
    /// # Errors
    /// A coder whose values have no visible end.
    pub fn of(coder: &Coder, pages: &Arc<dyn Pages>) -> Result<Option<Self>> {
        if !has_iterables(coder) {
            return Ok(None);
        }
        Ok(Some(WholeCopy {
            layout: Layout::of(coder)?,
            pages: pages.clone(),
        }))
    }

    /// Appends one nested value.
    ///
    /// # Errors
    /// Bytes that the coder does not allow, or a tail that cannot be had.
    pub fn copy(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut input = Input::new(bytes).with_pages(&self.pages).whole();
        copy(&self.layout, &mut input, Nesting::Nested, out)
    }
}

/// Rows and length prefixes hide nothing that a runner could have taken apart.
fn has_iterables(coder: &Coder) -> bool {
    match coder.urn.as_ref() {
        urn::ITERABLE | urn::STATE_BACKED_ITERABLE => true,
        urn::LENGTH_PREFIX => false,
        _ => coder.components.iter().any(has_iterables),
    }
}

fn copy(layout: &Layout, input: &mut Input<'_>, at: Nesting, out: &mut Vec<u8>) -> Result<()> {
    match layout {
        Layout::Parts(parts) => {
            let last = parts.len().saturating_sub(1);
            input.enter()?;
            for (index, part) in parts.iter().enumerate() {
                let at = if index == last { at } else { Nesting::Nested };
                copy(part, input, at, out)?;
            }
            input.leave();
            Ok(())
        }
        Layout::Nullable(value) => {
            let is_there = input.byte()?;
            out.push(is_there);
            match is_there {
                0 => Ok(()),
                1 => copy(value, input, at, out),
                byte => Err(Error::decode(format!(
                    "a nullable value begins with {byte}, not 0 or 1"
                ))),
            }
        }
        Layout::Iterable(element) => {
            input.enter()?;
            iterable(element, input, out)?;
            input.leave();
            Ok(())
        }
        _ => {
            let before = input.rest();
            layout.skip(input, at)?;
            out.extend_from_slice(&before[..before.len() - input.remaining()]);
            Ok(())
        }
    }
}

fn iterable(element: &Layout, input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<()> {
    let count = input.array::<4>()?;
    out.extend_from_slice(&count);
    match i32::from_be_bytes(count) {
        count @ 0.. => values(element, count as u64, input, out),
        -1 => loop {
            match input.varint()? as i64 {
                0 => {
                    out.push(0);
                    return Ok(());
                }
                -1 => {
                    let length = input.length()?;
                    let token = input.bytes(length)?;
                    let pages = input.pages().ok_or_else(|| {
                        Error::new(ErrorKind::State, "the tail of an iterable is out of reach")
                    })?;
                    let mut paged = PagedReader::new(pages, &token);
                    let mut skip = |input: &mut Input<'_>| element.skip(input, Nesting::Nested);
                    while let Some((run, count)) = paged.next_run_with(&mut skip)? {
                        put_varint(out, count);
                        out.extend_from_slice(&run);
                    }
                    out.push(0);
                    return Ok(());
                }
                count @ 1.. => {
                    put_varint(out, count as u64);
                    values(element, count as u64, input, out)?;
                }
                count => return Err(negative_count(count)),
            }
        },
        count => Err(negative_count(i64::from(count))),
    }
}

fn values(element: &Layout, count: u64, input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<()> {
    for _ in 0..count {
        let before = input.remaining();
        copy(element, input, Nesting::Nested, out)?;
        if input.remaining() == before {
            // Values of no bytes are all alike, and their copies have none either.
            return Ok(());
        }
    }
    Ok(())
}
