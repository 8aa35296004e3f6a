//! Messages that were encoded elsewhere.
//!
//! Bundle threads encode what they send, so that the rim only moves bytes, and large payloads are copied once, into
//! the connection's buffer.

use std::marker::PhantomData;

use bytes::{BufMut, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::ProstDecoder;

/// One encoded message, in pieces.
#[derive(Debug, Default)]
pub(crate) struct Rope(Vec<Bytes>);

impl Rope {
    pub(crate) fn new(pieces: Vec<Bytes>) -> Self {
        Rope(pieces)
    }

    pub(crate) fn of(message: &impl Message) -> Self {
        Rope(vec![message.encode_to_vec().into()])
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }
}

/// Sends [`Rope`]s and receives messages of `M`.
pub(super) struct RopeCodec<M>(PhantomData<fn() -> M>);

impl<M> RopeCodec<M> {
    pub(super) fn new() -> Self {
        RopeCodec(PhantomData)
    }
}

impl<M: Message + Default + Send + 'static> Codec for RopeCodec<M> {
    type Encode = Rope;
    type Decode = M;
    type Encoder = RopeEncoder;
    type Decoder = ProstDecoder<M>;

    fn encoder(&mut self) -> RopeEncoder {
        RopeEncoder
    }

    fn decoder(&mut self) -> ProstDecoder<M> {
        ProstDecoder::new(BufferSettings::default())
    }
}

pub(super) struct RopeEncoder;

impl Encoder for RopeEncoder {
    type Item = Rope;
    type Error = Status;

    fn encode(&mut self, rope: Rope, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(rope.len());
        for piece in rope.0 {
            buffer.put(piece);
        }
        Ok(())
    }
}
