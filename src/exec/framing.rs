//! Between the coder of a type and the runner's variant of it, which may have length prefixes in places.

use crate::element::{Coder, Element, Input, Nesting, Transcoder, coder::urn, put_varint};
use crate::error::{Error, Result};

/// How the nested bytes of one value stand on the wire.
pub(crate) enum Framing {
    /// As the type's own coder has them.
    Same,
    /// The type's outer form after its length.
    Prefixed { scratch: Vec<u8> },
    /// With prefixes in places: converted piece by piece.
    Converted(Pieces),
}

/// A conversion with its scratch space.
pub(crate) struct Pieces {
    transcoder: Transcoder,
    scratch: Vec<u8>,
}

impl Pieces {
    pub(crate) fn new(transcoder: Transcoder) -> Self {
        Pieces {
            transcoder,
            scratch: Vec::new(),
        }
    }

    /// Converts one nested value.
    pub(crate) fn convert(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.transcoder.convert(
            &mut Input::new(bytes),
            Nesting::Nested,
            out,
            Nesting::Nested,
        )
    }
}

impl Framing {
    /// The framing of values that have the coder `from` on one side and `to` on the other.
    pub(crate) fn between(from: &Coder, to: &Coder) -> Result<Self> {
        let wraps = |outer: &Coder, inner: &Coder| {
            outer.is(urn::LENGTH_PREFIX) && outer.components.first() == Some(inner)
        };
        if from == to {
            Ok(Framing::Same)
        } else if wraps(from, to) || wraps(to, from) {
            Ok(Framing::Prefixed {
                scratch: Vec::new(),
            })
        } else {
            Ok(match Transcoder::between(from, to)? {
                None => Framing::Same,
                Some(transcoder) => Framing::Converted(Pieces::new(transcoder)),
            })
        }
    }

    #[inline(always)]
    pub(crate) fn read<T: Element>(&mut self, input: &mut Input<'_>) -> Result<T> {
        match self {
            Framing::Same => T::decode(input, Nesting::Nested),
            Framing::Prefixed { .. } => {
                let length = input.length()?;
                let part = input.take(length)?;
                let mut part = input.part(part);
                let value = T::decode(&mut part, Nesting::Outer)?;
                if part.is_empty() {
                    Ok(value)
                } else {
                    Err(left_over::<T>(part.remaining()))
                }
            }
            Framing::Converted(pieces) => {
                let Pieces {
                    transcoder,
                    scratch,
                } = pieces;
                scratch.clear();
                transcoder.convert(input, Nesting::Nested, scratch, Nesting::Nested)?;
                let mut own = Input::new(scratch).whole();
                let tails = input.pages().and_then(|p| transcoder.tail_pages(p));
                if let Some(pages) = tails.as_ref().or(input.pages()) {
                    own = own.with_pages(pages);
                }
                T::decode(&mut own, Nesting::Nested)
            }
        }
    }

    #[inline]
    pub(crate) fn write<T: Element>(&mut self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Framing::Same => value.encode(out, Nesting::Nested),
            Framing::Prefixed { scratch } => {
                scratch.clear();
                value.encode(scratch, Nesting::Outer);
                put_varint(out, scratch.len() as u64);
                out.extend_from_slice(scratch);
            }
            Framing::Converted(pieces) => {
                let mut own = std::mem::take(&mut pieces.scratch);
                own.clear();
                value.encode(&mut own, Nesting::Nested);
                let outcome = pieces.convert(&own, out);
                pieces.scratch = own;
                outcome?;
            }
        }
        Ok(())
    }
}

#[cold]
fn left_over<T: Element>(bytes: usize) -> Error {
    Error::decode(format!(
        "{bytes} bytes are left over after a length-prefixed value of {}",
        T::coder()
    ))
}
