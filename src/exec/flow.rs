//! What can travel along an edge: typed elements, typed values under opaque keys, or opaque bytes.

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;

use super::framing::{Framing, Pieces};
use crate::dofn::Consumer;
use crate::element::{
    Coder, Element, Input, Kv, Layout, Nesting, Pages, Transcoder, WholeCopy, coder::urn,
};
use crate::error::Result;

/// A kind of item that travels along edges.
pub(crate) trait Flow: Send + Sync + 'static {
    /// One item.
    type Item<'a>: Clone;
    /// Reads items from a wire coder.
    type Reader: Send + 'static;
    /// Writes items in a wire coder.
    type Writer: Send + 'static;

    /// The coder that items have after they were read from `wire`.
    fn coder(wire: &Coder) -> Result<Coder>;

    /// A reader of nested values of `wire`.
    fn reader(wire: &Coder) -> Result<Self::Reader>;

    /// A writer of nested values of `wire`, for items of `own`. The tails of opaque iterables come from `pages`.
    fn writer(own: &Coder, wire: &Coder, pages: &Arc<dyn Pages>) -> Result<Self::Writer>;

    /// Reads one item.
    fn read<'a>(reader: &mut Self::Reader, input: &mut Input<'a>) -> Result<Self::Item<'a>>;

    /// Appends one item.
    fn write(writer: &mut Self::Writer, item: &Self::Item<'_>, out: &mut Vec<u8>) -> Result<()>;
}

/// An edge that carries items of `F`.
pub(crate) type FlowLink<F> = Box<dyn for<'a> Consumer<<F as Flow>::Item<'a>>>;

/// Elements of type `T`.
pub(crate) struct Typed<T>(PhantomData<fn() -> T>);

impl<T: Element> Flow for Typed<T> {
    type Item<'a> = T;
    type Reader = Framing;
    type Writer = Framing;

    fn coder(_wire: &Coder) -> Result<Coder> {
        Ok(T::coder())
    }

    fn reader(wire: &Coder) -> Result<Framing> {
        Framing::between(wire, &T::coder())
    }

    fn writer(own: &Coder, wire: &Coder, _pages: &Arc<dyn Pages>) -> Result<Framing> {
        Framing::between(own, wire)
    }

    #[inline(always)]
    fn read<'a>(reader: &mut Framing, input: &mut Input<'a>) -> Result<T> {
        reader.read(input)
    }

    #[inline]
    fn write(writer: &mut Framing, item: &T, out: &mut Vec<u8>) -> Result<()> {
        writer.write(item, out)
    }
}

/// Values of type `V` under keys that stay encoded.
///
/// Combining needs no more of a key than its bytes, so its nodes need not know the key's type.
pub(crate) struct Keyed<V>(PhantomData<fn() -> V>);

impl<V: Element> Flow for Keyed<V> {
    type Item<'a> = Kv<&'a [u8], V>;
    type Reader = (Layout, Framing);
    type Writer = (Option<Pieces>, Framing);

    fn coder(wire: &Coder) -> Result<Coder> {
        Ok(Coder::kv(kv(wire)?.0.clone(), V::coder()))
    }

    fn reader(wire: &Coder) -> Result<Self::Reader> {
        let (key, value) = kv(wire)?;
        Ok((Layout::of(key)?, Framing::between(value, &V::coder())?))
    }

    fn writer(own: &Coder, wire: &Coder, _pages: &Arc<dyn Pages>) -> Result<Self::Writer> {
        let ((own_key, own_value), (wire_key, wire_value)) = (kv(own)?, kv(wire)?);
        let key = Transcoder::between(own_key, wire_key)?.map(Pieces::new);
        Ok((key, Framing::between(own_value, wire_value)?))
    }

    #[inline]
    fn read<'a>((key, value): &mut Self::Reader, input: &mut Input<'a>) -> Result<Kv<&'a [u8], V>> {
        let before = input.rest();
        key.skip(input, Nesting::Nested)?;
        let key = &before[..before.len() - input.remaining()];
        Ok(Kv(key, value.read(input)?))
    }

    #[inline]
    fn write(
        (key, value): &mut Self::Writer,
        item: &Kv<&[u8], V>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        match key {
            None => out.extend_from_slice(item.0),
            Some(pieces) => pieces.convert(item.0, out)?,
        }
        value.write(&item.1, out)
    }
}

/// Values that only their coder describes.
pub(crate) struct Opaque;

impl Flow for Opaque {
    type Item<'a> = &'a [u8];
    type Reader = Layout;
    type Writer = OpaqueWriter;

    fn coder(wire: &Coder) -> Result<Coder> {
        Ok(wire.clone())
    }

    fn reader(wire: &Coder) -> Result<Layout> {
        Layout::of(wire)
    }

    fn writer(own: &Coder, wire: &Coder, pages: &Arc<dyn Pages>) -> Result<OpaqueWriter> {
        Ok(OpaqueWriter {
            whole: WholeCopy::of(own, pages)?,
            pieces: Transcoder::between(own, wire)?.map(Pieces::new),
            scratch: Vec::new(),
        })
    }

    #[inline]
    fn read<'a>(reader: &mut Layout, input: &mut Input<'a>) -> Result<&'a [u8]> {
        let before = input.rest();
        reader.skip(input, Nesting::Nested)?;
        Ok(&before[..before.len() - input.remaining()])
    }

    #[inline]
    fn write(writer: &mut OpaqueWriter, item: &&[u8], out: &mut Vec<u8>) -> Result<()> {
        let OpaqueWriter {
            whole,
            pieces,
            scratch,
        } = writer;
        match (whole, pieces) {
            (None, None) => {
                out.extend_from_slice(item);
                Ok(())
            }
            (Some(whole), None) => whole.copy(item, out),
            (None, Some(pieces)) => pieces.convert(item, out),
            (Some(whole), Some(pieces)) => {
                scratch.clear();
                whole.copy(item, scratch)?;
                pieces.convert(scratch, out)
            }
        }
    }
}

/// Writes opaque values, whose state-backed iterables must not leave the bundle with their tokens.
pub(crate) struct OpaqueWriter {
    whole: Option<WholeCopy>,
    pieces: Option<Pieces>,
    scratch: Vec<u8>,
}

/// Key and value coder of a kv coder, which a length prefix may wrap.
fn kv(coder: &Coder) -> Result<(&Coder, &Coder)> {
    if !coder.is(urn::KV) {
        return Err(crate::Error::descriptor(format!(
            "a keyed collection needs a kv coder, but this one has {coder}"
        )));
    }
    Ok((coder.component(0)?, coder.component(1)?))
}

/// Identifies a flow.
pub(crate) fn flow_id<F: Flow>() -> TypeId {
    TypeId::of::<F>()
}
