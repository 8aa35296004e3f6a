//! Stepping over values of a type that only its coder describes.

use super::coder::{Coder, urn};
use super::{Input, Nesting, RAW_CODER};
use crate::error::{Error, Result};

/// The shape of a coder's bytes: enough to find where a value ends.
#[derive(Debug, Clone)]
pub enum Layout {
    /// Always this many bytes.
    Fixed(usize),
    /// A LEB128 number.
    Varint,
    /// Raw bytes; a varint length before them where nested.
    Bytes,
    /// A varint length and that many bytes, nested or not.
    Prefixed,
    /// Parts one after the other; the last inherits the nesting.
    Parts(Vec<Layout>),
    /// Parts one after the other, all nested.
    NestedParts(Vec<Layout>),
    /// One presence byte, then perhaps the value.
    Nullable(Box<Layout>),
    /// A count and elements, or blocks of them, perhaps with the token of a state-backed tail.
    Iterable(Box<Layout>),
    /// Eight bytes and a varint.
    IntervalWindow,
    /// Timestamp, windows, pane, value.
    Windowed(Box<Layout>, Box<Layout>),
    /// Key, tag, windows, and if it sets a timer: two timestamps and a pane. The parts are key and window.
    Timer(Box<Layout>, Box<Layout>),
    /// A row of a schema.
    Row(super::row::RowLayout),
    /// What one type knows to step over.
    Own(fn(&mut Input<'_>) -> Result<()>),
}

impl Layout {
    /// The shape of `coder`'s bytes.
    ///
    /// # Errors
    /// A coder that is not a standard one: only its own SDK knows where its values end, so runners must length-prefix
    /// it.
    pub fn of(coder: &Coder) -> Result<Self> {
        let part = |index| Layout::of(coder.component(index)?).map(Box::new);
        Ok(match coder.urn.as_ref() {
            urn::BYTES | urn::STRING_UTF8 | RAW_CODER => Layout::Bytes,
            urn::VARINT => Layout::Varint,
            urn::BOOL => Layout::Fixed(1),
            urn::DOUBLE => Layout::Fixed(8),
            urn::GLOBAL_WINDOW => Layout::Fixed(0),
            urn::INTERVAL_WINDOW => Layout::IntervalWindow,
            urn::LENGTH_PREFIX => Layout::Prefixed,
            urn::KV => Layout::Parts(vec![*part(0)?, *part(1)?]),
            urn::SHARDED_KEY => Layout::NestedParts(vec![Layout::Bytes, *part(0)?]),
            urn::NULLABLE => Layout::Nullable(part(0)?),
            urn::ITERABLE | urn::STATE_BACKED_ITERABLE => Layout::Iterable(part(0)?),
            urn::CUSTOM_WINDOW => Layout::NestedParts(vec![Layout::Fixed(8), *part(0)?]),
            urn::WINDOWED_VALUE => Layout::Windowed(part(0)?, part(1)?),
            urn::TIMER => Layout::Timer(part(0)?, part(1)?),
            urn::PARAM_WINDOWED_VALUE => *part(0)?,
            urn::ROW => Layout::Row(super::row::RowLayout::of(coder)?),
            _ => {
                if let Some(skip) = coder.ends.0 {
                    return Ok(Layout::Own(skip));
                }
                return Err(Error::descriptor(format!(
                    "the coder {} is unknown to this worker and not length-prefixed, so its values have no visible end; \
                     the runner must wrap it in {}",
                    coder.urn,
                    urn::LENGTH_PREFIX
                )));
            }
        })
    }

    /// Steps over one value.
    ///
    /// # Errors
    /// Bytes that end early or that the coder does not allow.
    pub fn skip(&self, input: &mut Input<'_>, at: Nesting) -> Result<()> {
        match self {
            Layout::Fixed(n) => input.take(*n).map(drop),
            Layout::Varint => input.varint().map(drop),
            Layout::Bytes if at == Nesting::Outer => {
                input.take_rest();
                Ok(())
            }
            Layout::Bytes | Layout::Prefixed => {
                let length = input.length()?;
                input.take(length).map(drop)
            }
            Layout::Parts(parts) => {
                let Some((last, first)) = parts.split_last() else {
                    return Ok(());
                };
                input.enter()?;
                for part in first {
                    part.skip(input, Nesting::Nested)?;
                }
                last.skip(input, at)?;
                input.leave();
                Ok(())
            }
            Layout::NestedParts(parts) => {
                input.enter()?;
                for part in parts {
                    part.skip(input, Nesting::Nested)?;
                }
                input.leave();
                Ok(())
            }
            Layout::Nullable(value) => match input.byte()? {
                0 => Ok(()),
                1 => value.skip(input, at),
                byte => Err(Error::decode(format!(
                    "a nullable value begins with {byte}, not 0 or 1"
                ))),
            },
            Layout::Iterable(element) => {
                super::values::skip_with(input, |input| element.skip(input, Nesting::Nested))
            }
            Layout::IntervalWindow => {
                input.array::<8>()?;
                input.varint().map(drop)
            }
            Layout::Windowed(value, window) => {
                Layout::skip_header(window, input)?;
                value.skip(input, at)
            }
            Layout::Timer(key, window) => {
                key.skip(input, Nesting::Nested)?;
                let tag = input.length()?;
                input.take(tag)?;
                super::values::skip_with(input, |input| window.skip(input, Nesting::Nested))?;
                match input.byte()? {
                    0 => {
                        input.array::<16>()?;
                        super::Pane::decode(input).map(drop)
                    }
                    1 => Ok(()),
                    byte => Err(Error::decode(format!(
                        "the clear bit of a timer is {byte}, not 0 or 1"
                    ))),
                }
            }
            Layout::Row(row) => row.skip(input, at),
            Layout::Own(skip) => skip(input),
        }
    }

    /// Steps over what stands before the value of a windowed value.
    pub(super) fn skip_header(window: &Layout, input: &mut Input<'_>) -> Result<()> {
        input.array::<8>()?;
        let windows = u32::from_be_bytes(input.array::<4>()?);
        for _ in 0..windows {
            let before = input.remaining();
            window.skip(input, Nesting::Nested)?;
            if before == input.remaining() {
                break;
            }
        }
        let (_, has_metadata) = super::Pane::decode(input)?;
        if has_metadata {
            let length = input.length()?;
            input.take(length)?;
        }
        Ok(())
    }
}
