//! The parts that values are made of: text, flags, counts.
//!
//! Invariant: every value in a row has at least one byte, so a count beyond the bytes that are left is a lie, found
//! before anything is allocated for it.

use crate::element::{Input, put_varint};
use crate::error::{Error, ErrorKind, Result};

/// Reads the byte before a nullable value in a container.
#[inline]
pub(super) fn read_presence(input: &mut Input<'_>) -> Result<bool> {
    match input.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        byte => Err(Error::decode(format!(
            "a nullable value begins with {byte}, not 0 or 1"
        ))),
    }
}

/// Reads a 32-bit integer: 32 bits, or as some writers do, their 64-bit sign extension.
#[inline]
pub(super) fn read_int32(input: &mut Input<'_>) -> Result<i32> {
    let wide = input.varint()?;
    if let Ok(low) = u32::try_from(wide) {
        return Ok(low as i32);
    }
    i32::try_from(wide as i64)
        .map_err(|_| Error::decode(format!("{} does not fit 32 bits", wide as i64)))
}

/// Reads text after its length.
#[inline]
pub(super) fn read_text<'a>(input: &mut Input<'a>) -> Result<&'a str> {
    let length = input.length()?;
    std::str::from_utf8(input.take(length)?).map_err(|e| {
        Error::decode(format!(
            "a string is not valid UTF-8 from byte {}",
            e.valid_up_to()
        ))
    })
}

#[inline]
pub(super) fn read_bool(input: &mut Input<'_>) -> Result<bool> {
    match input.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        byte => Err(Error::decode(format!(
            "a bool is encoded as {byte}, not 0 or 1"
        ))),
    }
}

/// Walks over the elements of an array or iterable: a count, or −1 and blocks.
#[inline]
pub(super) fn read_list<'a>(
    input: &mut Input<'a>,
    mut element: impl FnMut(&mut Input<'a>) -> Result<()>,
) -> Result<()> {
    let count = i32::from_be_bytes(input.array()?);
    input.enter()?;
    match count {
        0.. => {
            check_count(input, count as u64)?;
            for _ in 0..count {
                element(input)?;
            }
        }
        -1 => loop {
            match input.varint()? as i64 {
                0 => break,
                block @ 1.. => {
                    check_count(input, block as u64)?;
                    for _ in 0..block {
                        element(input)?;
                    }
                }
                block => {
                    return Err(Error::decode(format!(
                        "an iterable has a block of {block} values; state-backed iterables cannot be in rows"
                    )));
                }
            }
        },
        _ => {
            return Err(Error::decode(format!(
                "an array has the count {count}; only -1 may be negative"
            )));
        }
    }
    input.leave();
    Ok(())
}

/// Walks over the entries of a map.
#[inline]
pub(super) fn read_map<'a>(
    input: &mut Input<'a>,
    mut entry: impl FnMut(&mut Input<'a>) -> Result<()>,
) -> Result<()> {
    let count = i32::from_be_bytes(input.array()?);
    let Ok(count) = u64::try_from(count) else {
        return Err(Error::decode(format!("a map has the count {count}")));
    };
    check_count(input, count.saturating_mul(2))?;
    input.enter()?;
    for _ in 0..count {
        entry(input)?;
    }
    input.leave();
    Ok(())
}

/// Refuses a count of values that the bytes at hand cannot hold.
#[inline]
pub(super) fn check_count(input: &Input<'_>, count: u64) -> Result<()> {
    if count <= input.remaining() as u64 {
        return Ok(());
    }
    let kind = if count > i32::MAX as u64 {
        ErrorKind::Decode
    } else {
        input.kind_of_end()
    };
    Err(Error::new(
        kind,
        format!(
            "{count} values are announced, but only {} bytes are left",
            input.remaining()
        ),
    ))
}

/// Writes bytes after their length.
#[inline]
pub(super) fn put_run(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
