//! Stepping over many values in a row, whatever their number claims to be.

use bytes::Bytes;

use super::Input;
use crate::error::{Error, Result};

/// The most values of zero bytes that one iterable may claim: nothing in the input bounds their number.
const MAX_EMPTY_VALUES: u64 = 1 << 20;

#[cold]
pub(super) fn negative_count(count: i64) -> Error {
    Error::decode(format!(
        "an iterable has the count {count}; only -1 may be negative"
    ))
}

/// Steps over `count` values.
pub(super) fn skip_values(
    input: &mut Input<'_>,
    count: u64,
    skip: &mut impl FnMut(&mut Input<'_>) -> Result<()>,
) -> Result<()> {
    for _ in 0..count {
        let before = input.remaining();
        skip(input)?;
        if input.remaining() == before {
            if count > MAX_EMPTY_VALUES {
                return Err(Error::decode(format!(
                    "an iterable claims {count} values of zero bytes; at most {MAX_EMPTY_VALUES} are allowed"
                )));
            }
            // The next value would begin where this one began: stepping over one is stepping over all.
            return Ok(());
        }
    }
    Ok(())
}

/// Steps over blocks. Yields the length of the blocks without their end mark, and the token of a tail.
pub(super) fn skip_blocks(
    input: &mut Input<'_>,
    skip: &mut impl FnMut(&mut Input<'_>) -> Result<()>,
) -> Result<(usize, Option<Bytes>)> {
    let before = input.remaining();
    loop {
        let used = before - input.remaining();
        match input.varint()? as i64 {
            0 => return Ok((used, None)),
            -1 => {
                let length = input.length()?;
                let token = input.take(length)?;
                return Ok((used, Some(Bytes::copy_from_slice(token))));
            }
            count @ 1.. => skip_values(input, count as u64, skip)?,
            count => return Err(negative_count(count)),
        }
    }
}

/// Steps over one iterable whose elements `skip` steps over.
pub(super) fn skip_with(
    input: &mut Input<'_>,
    mut skip: impl FnMut(&mut Input<'_>) -> Result<()>,
) -> Result<()> {
    let count = i32::from_be_bytes(input.array::<4>()?);
    input.enter()?;
    match count {
        0.. => skip_values(input, count as u64, &mut skip)?,
        -1 => {
            skip_blocks(input, &mut skip)?;
        }
        _ => return Err(negative_count(i64::from(count))),
    }
    input.leave();
    Ok(())
}
