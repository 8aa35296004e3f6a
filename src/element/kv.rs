//! Keyed values.

use super::{Coder, DecodeRef, Element, Input, Nesting};
use crate::error::Result;

/// A key and a value: what grouping, combining, state and timers work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Kv<K, V>(pub K, pub V);

impl<K: Element, V: Element> Element for Kv<K, V> {
    fn coder() -> Coder {
        Coder::kv(K::coder(), V::coder())
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>, at: Nesting) {
        self.0.encode(out, Nesting::Nested);
        self.1.encode(out, at);
    }

    // Whoever reads pairs in a loop wants their parts in registers, not behind a call.
    #[inline(always)]
    fn decode(input: &mut Input<'_>, at: Nesting) -> Result<Self> {
        let key = K::decode(input, Nesting::Nested)?;
        let value = V::decode(input, at)?;
        Ok(Kv(key, value))
    }

    #[inline]
    fn skip(input: &mut Input<'_>, at: Nesting) -> Result<()> {
        K::skip(input, Nesting::Nested)?;
        V::skip(input, at)
    }

    fn visit<X: KvVisitor>(visitor: X) -> X::Output {
        visitor.kv::<K, V>()
    }
}

impl<K: DecodeRef, V: DecodeRef> DecodeRef for Kv<K, V> {
    type Ref<'a> = Kv<K::Ref<'a>, V::Ref<'a>>;

    #[inline]
    fn decode_ref<'a>(input: &mut Input<'a>, at: Nesting) -> Result<Self::Ref<'a>> {
        let key = K::decode_ref(input, Nesting::Nested)?;
        let value = V::decode_ref(input, at)?;
        Ok(Kv(key, value))
    }
}

/// An element with a key. State and timers need one.
#[diagnostic::on_unimplemented(
    message = "state and timers need a keyed input, but the input is `{Self}`",
    label = "this DoFn declares state or a timer",
    note = "set `type In = Kv<K, V>`, or key the collection before this transform"
)]
pub trait Keyed: Element {
    /// The key's type.
    type Key: Element;

    /// The key.
    fn key(&self) -> &Self::Key;
}

impl<K: Element, V: Element> Keyed for Kv<K, V> {
    type Key = K;

    fn key(&self) -> &K {
        &self.0
    }
}

/// Learns whether an element type is a [`Kv`], and of what.
///
/// Nodes that work on any key (combining, grouping) reach the value's type through it.
pub trait KvVisitor {
    /// What the visit yields.
    type Output;

    /// The type is `Kv<K, V>`.
    fn kv<K: Element, V: Element>(self) -> Self::Output;

    /// The type is anything else.
    fn other(self) -> Self::Output;
}
