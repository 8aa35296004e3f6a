//! The work of a transcoder: one value from one form to the other.

use super::Step;
use crate::element::coder::urn;
use crate::element::row::DynRow;
use crate::element::values::negative_count;
use crate::element::{Input, Layout, Nesting, Pane, put_varint};
use crate::error::{Error, Result};

/// The most values of zero bytes that may grow in one iterable: four bytes must not become a million.
const MAX_GROWING_VALUES: u64 = 1024;

impl Step {
    /// Reads one value and appends its other form.
    pub(super) fn convert(
        &self,
        input: &mut Input<'_>,
        at: Nesting,
        out: &mut Vec<u8>,
        out_at: Nesting,
    ) -> Result<()> {
        match self {
            Step::Same(layout) => relocate(layout, input, at, out, out_at),
            Step::ToRaw(inner) => {
                let start = out.len();
                inner.convert(input, at, out, Nesting::Nested)?;
                if out_at == Nesting::Nested {
                    put_length_before(out, start);
                }
                Ok(())
            }
            Step::FromRaw(inner) => {
                let bytes = take_bytes(input, at)?;
                let mut content = input.part(bytes);
                inner.convert(&mut content, Nesting::Nested, out, out_at)?;
                if content.is_empty() {
                    Ok(())
                } else {
                    Err(left_over(content.remaining(), bytes.len()))
                }
            }
            Step::Opaque(_) if at == Nesting::Outer => {
                out.extend_from_slice(input.take_rest());
                Ok(())
            }
            Step::Opaque(coder) => Err(Error::decode(format!(
                "a value of {} has no visible end here; the runner must wrap it in {}",
                coder.urn,
                urn::LENGTH_PREFIX
            ))),
            Step::Wrap(inner) => {
                let start = out.len();
                inner.convert(input, at, out, Nesting::Outer)?;
                put_length_before(out, start);
                Ok(())
            }
            Step::Unwrap(inner) => {
                let length = input.length()?;
                let bytes = input.take(length)?;
                let mut content = input.part(bytes);
                inner.convert(&mut content, Nesting::Outer, out, out_at)?;
                if content.is_empty() {
                    Ok(())
                } else {
                    Err(left_over(content.remaining(), length))
                }
            }
            Step::Parts(parts) => {
                let Some((last, first)) = parts.split_last() else {
                    return Ok(());
                };
                input.enter()?;
                for part in first {
                    part.convert(input, Nesting::Nested, out, Nesting::Nested)?;
                }
                last.convert(input, at, out, out_at)?;
                input.leave();
                Ok(())
            }
            Step::NestedParts(parts) => {
                input.enter()?;
                for part in parts {
                    part.convert(input, Nesting::Nested, out, Nesting::Nested)?;
                }
                input.leave();
                Ok(())
            }
            Step::Nullable(value) => match input.byte()? {
                0 => {
                    out.push(0);
                    Ok(())
                }
                1 => {
                    out.push(1);
                    value.convert(input, at, out, out_at)
                }
                byte => Err(Error::decode(format!(
                    "a nullable value begins with {byte}, not 0 or 1"
                ))),
            },
            Step::Iterable(element) => convert_iterable(element, input, out),
            Step::Windowed(value, window) => {
                out.extend_from_slice(input.take(8)?);
                let count = input.array::<4>()?;
                out.extend_from_slice(&count);
                convert_values(window, input, u64::from(u32::from_be_bytes(count)), out)?;
                let before = input.rest();
                let (_, has_metadata) = Pane::decode(input)?;
                if has_metadata {
                    let length = input.length()?;
                    input.take(length)?;
                }
                out.extend_from_slice(&before[..before.len() - input.remaining()]);
                value.convert(input, at, out, out_at)
            }
            Step::Row(schema, adapter) => {
                let row = DynRow::decode(schema, input, at)?;
                adapter.apply(row)?.encode(out)
            }
            Step::Timer(key, window) => {
                key.convert(input, Nesting::Nested, out, Nesting::Nested)?;
                let tag = input.length()?;
                put_varint(out, tag as u64);
                out.extend_from_slice(input.take(tag)?);
                convert_iterable(window, input, out)?;
                let before = input.rest();
                if input.byte()? == 0 {
                    input.array::<16>()?;
                    Pane::decode(input)?;
                }
                out.extend_from_slice(&before[..before.len() - input.remaining()]);
                Ok(())
            }
        }
    }
}

/// A run of bytes: as many as a length says, or all that is left.
fn take_bytes<'a>(input: &mut Input<'a>, at: Nesting) -> Result<&'a [u8]> {
    match at {
        Nesting::Outer => Ok(input.take_rest()),
        Nesting::Nested => {
            let length = input.length()?;
            input.take(length)
        }
    }
}

#[cold]
fn left_over(bytes: usize, of: usize) -> Error {
    Error::decode(format!(
        "{bytes} bytes are left over after a value in {of} bytes"
    ))
}

/// Copies one value as it is.
fn copy(layout: &Layout, input: &mut Input<'_>, at: Nesting, out: &mut Vec<u8>) -> Result<()> {
    let before = input.rest();
    layout.skip(input, at)?;
    out.extend_from_slice(&before[..before.len() - input.remaining()]);
    Ok(())
}

/// Copies one value into a place of perhaps other nesting, which its last part then follows.
fn relocate(
    layout: &Layout,
    input: &mut Input<'_>,
    at: Nesting,
    out: &mut Vec<u8>,
    out_at: Nesting,
) -> Result<()> {
    if at == out_at {
        return copy(layout, input, at, out);
    }
    match layout {
        Layout::Bytes => {
            let bytes = take_bytes(input, at)?;
            if out_at == Nesting::Nested {
                put_varint(out, bytes.len() as u64);
            }
            out.extend_from_slice(bytes);
            Ok(())
        }
        Layout::Parts(parts) => {
            let Some((last, first)) = parts.split_last() else {
                return Ok(());
            };
            input.enter()?;
            for part in first {
                copy(part, input, Nesting::Nested, out)?;
            }
            relocate(last, input, at, out, out_at)?;
            input.leave();
            Ok(())
        }
        Layout::Nullable(value) => {
            let byte = input.byte()?;
            out.push(byte);
            match byte {
                0 => Ok(()),
                1 => relocate(value, input, at, out, out_at),
                _ => Err(Error::decode(format!(
                    "a nullable value begins with {byte}, not 0 or 1"
                ))),
            }
        }
        Layout::Windowed(value, window) => {
            let before = input.rest();
            Layout::skip_header(window, input)?;
            out.extend_from_slice(&before[..before.len() - input.remaining()]);
            relocate(value, input, at, out, out_at)
        }
        _ => copy(layout, input, at, out),
    }
}

/// Converts one iterable: counted or in blocks, perhaps with the token of a state-backed tail.
///
/// The tail's values stay in the source's form, see [`Transcoder::tail_pages`](super::Transcoder::tail_pages).
fn convert_iterable(element: &Step, input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<()> {
    let count = input.array::<4>()?;
    out.extend_from_slice(&count);
    input.enter()?;
    match i32::from_be_bytes(count) {
        count @ 0.. => convert_values(element, input, count as u64, out)?,
        -1 => loop {
            let block = input.varint()?;
            put_varint(out, block);
            match block as i64 {
                0 => break,
                -1 => {
                    let length = input.length()?;
                    put_varint(out, length as u64);
                    out.extend_from_slice(input.take(length)?);
                    break;
                }
                1.. => convert_values(element, input, block, out)?,
                count => return Err(negative_count(count)),
            }
        },
        count => return Err(negative_count(i64::from(count))),
    }
    input.leave();
    Ok(())
}

/// Converts `count` nested values, which must have bytes: an element that differs by a length prefix has some.
fn convert_values(
    element: &Step,
    input: &mut Input<'_>,
    count: u64,
    out: &mut Vec<u8>,
) -> Result<()> {
    for _ in 0..count {
        let before = (input.remaining(), out.len());
        element.convert(input, Nesting::Nested, out, Nesting::Nested)?;
        if input.remaining() == before.0 {
            if out.len() == before.1 {
                // Values of zero bytes on both sides: the count says it all.
                return Ok(());
            }
            if count > MAX_GROWING_VALUES {
                return Err(Error::decode(format!(
                    "{count} values of zero bytes are announced; at most {MAX_GROWING_VALUES} can get lengths"
                )));
            }
        }
    }
    Ok(())
}

/// Puts the length of what follows `start` at `start`.
fn put_length_before(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    put_varint(out, length as u64);
    let added = out.len() - start - length;
    out[start..].rotate_right(added);
}
