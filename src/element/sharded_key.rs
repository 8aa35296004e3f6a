//! Keys that a runner splits, so that the values of one hot key may be worked on in several places.

use bytes::Bytes;

use super::coder::{Coder, urn};
use super::{Element, Input, Nesting, NotAByte};
use crate::error::Result;

/// A key, and which part of its values this is (`beam:coder:sharded_key:v1`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardedKey<K> {
    /// Names the part; empty where the key is whole.
    pub shard: Bytes,
    /// The key.
    pub key: K,
}

impl<K: Element> Element for ShardedKey<K> {
    fn coder() -> Coder {
        Coder::standard(urn::SHARDED_KEY, [K::coder()])
    }

    /// Both parts are nested wherever the whole stands.
    fn encode(&self, out: &mut Vec<u8>, _at: Nesting) {
        self.shard.encode(out, Nesting::Nested);
        self.key.encode(out, Nesting::Nested);
    }

    fn decode(input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
        Ok(ShardedKey {
            shard: Bytes::decode(input, Nesting::Nested)?,
            key: K::decode(input, Nesting::Nested)?,
        })
    }

    fn skip(input: &mut Input<'_>, _at: Nesting) -> Result<()> {
        Bytes::skip(input, Nesting::Nested)?;
        K::skip(input, Nesting::Nested)
    }
}

impl<K: Element> NotAByte for ShardedKey<K> {}
