//! Between pairs, values under opaque keys, and bytes.

use std::marker::PhantomData;

use crate::dofn::{Consumer, Link};
use crate::element::{Coder, Element, Header, Input, Kv, Nesting};
use crate::error::Result;
use crate::exec::flow::{Flow, FlowLink, Keyed, Opaque};
use crate::exec::framing::Framing;

/// Takes pairs apart: encodes the key, keeps the value.
pub(crate) struct KeySplit<K, V: Element> {
    link: FlowLink<Keyed<V>>,
    key: Vec<u8>,
    keys: PhantomData<fn() -> K>,
}

impl<K: Element, V: Element> KeySplit<K, V> {
    pub(crate) fn new(link: FlowLink<Keyed<V>>) -> Self {
        KeySplit {
            link,
            key: Vec::new(),
            keys: PhantomData,
        }
    }
}

impl<K: Element, V: Element> Consumer<Kv<K, V>> for KeySplit<K, V> {
    fn start(&mut self) -> Result<()> {
        self.link.start()
    }

    #[inline]
    fn consume(&mut self, header: &Header, Kv(key, value): Kv<K, V>) -> Result<()> {
        self.key.clear();
        key.encode(&mut self.key, Nesting::Nested);
        self.link.consume(header, Kv(&self.key, value))
    }

    fn finish(&mut self) -> Result<()> {
        self.link.finish()
    }
}

/// Puts pairs together: decodes the key.
pub(crate) struct KeyJoin<K, V> {
    link: Link<Kv<K, V>>,
    framing: Framing,
}

impl<K: Element, V: Element> KeyJoin<K, V> {
    /// Keys are encoded by `key`.
    pub(crate) fn new(key: &Coder, link: Link<Kv<K, V>>) -> Result<Self> {
        Ok(KeyJoin {
            link,
            framing: Framing::between(key, &K::coder())?,
        })
    }
}

impl<'a, K: Element, V: Element> Consumer<Kv<&'a [u8], V>> for KeyJoin<K, V> {
    fn start(&mut self) -> Result<()> {
        self.link.start()
    }

    fn consume(&mut self, header: &Header, Kv(key, value): Kv<&'a [u8], V>) -> Result<()> {
        let key = self.framing.read::<K>(&mut Input::new(key))?;
        self.link.consume(header, Kv(key, value))
    }

    fn finish(&mut self) -> Result<()> {
        self.link.finish()
    }
}

/// Reads items from bytes.
pub(crate) struct Decode<F: Flow> {
    link: FlowLink<F>,
    reader: F::Reader,
}

impl<F: Flow> Decode<F> {
    /// The bytes are nested values of `coder`.
    pub(crate) fn new(coder: &Coder, link: FlowLink<F>) -> Result<Self> {
        Ok(Decode {
            link,
            reader: F::reader(coder)?,
        })
    }
}

impl<'a, F: Flow> Consumer<&'a [u8]> for Decode<F> {
    fn start(&mut self) -> Result<()> {
        self.link.start()
    }

    fn consume(&mut self, header: &Header, bytes: &'a [u8]) -> Result<()> {
        let item = F::read(&mut self.reader, &mut Input::new(bytes))?;
        self.link.consume(header, item)
    }

    fn finish(&mut self) -> Result<()> {
        self.link.finish()
    }
}

/// Writes items as bytes.
pub(crate) struct Encode<F: Flow> {
    link: FlowLink<Opaque>,
    writer: F::Writer,
    bytes: Vec<u8>,
}

impl<F: Flow> Encode<F> {
    pub(crate) fn new(writer: F::Writer, link: FlowLink<Opaque>) -> Self {
        Encode {
            link,
            writer,
            bytes: Vec::new(),
        }
    }
}

impl<'a, F: Flow> Consumer<F::Item<'a>> for Encode<F> {
    fn start(&mut self) -> Result<()> {
        self.link.start()
    }

    fn consume(&mut self, header: &Header, item: F::Item<'a>) -> Result<()> {
        self.bytes.clear();
        F::write(&mut self.writer, &item, &mut self.bytes)?;
        self.link.consume(header, &self.bytes)
    }

    fn finish(&mut self) -> Result<()> {
        self.link.finish()
    }
}
