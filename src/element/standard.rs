//! The plain types: numbers, text, bytes, nothing.

use bytes::Bytes;

use super::coder::{Coder, urn};
use super::{DecodeRef, Element, Input, Nesting, put_varint};
use crate::error::{Error, Result};

impl Element for () {
    /// Nothing is `bytes` of length zero: the coder of it that every SDK knows.
    fn coder() -> Coder {
        Coder::standard(urn::BYTES, [])
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>, at: Nesting) {
        if at == Nesting::Nested {
            out.push(0);
        }
    }

    #[inline]
    fn decode(input: &mut Input<'_>, at: Nesting) -> Result<Self> {
        <&[u8]>::read(input, at).map(drop)
    }
}

impl Element for bool {
    fn coder() -> Coder {
        Coder::standard(urn::BOOL, [])
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>, _at: Nesting) {
        out.push(u8::from(*self));
    }

    #[inline]
    fn decode(input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            byte => Err(Error::decode(format!(
                "a bool is encoded as {byte}, not 0 or 1"
            ))),
        }
    }
}

macro_rules! varints {
    ($($int:ty),*) => {$(
        impl Element for $int {
            fn coder() -> Coder {
                Coder::standard(urn::VARINT, [])
            }

            #[inline]
            fn encode(&self, out: &mut Vec<u8>, _at: Nesting) {
                put_varint(out, *self as i64 as u64);
            }

            #[inline]
            fn decode(input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
                let wide = input.varint()? as i64;
                <$int>::try_from(wide)
                    .map_err(|_| Error::decode(format!("{wide} does not fit {}", stringify!($int))))
            }

            #[inline]
            fn skip(input: &mut Input<'_>, _at: Nesting) -> Result<()> {
                input.varint().map(drop)
            }
        }
    )*};
}

varints!(i64, i32, u32, u16, i16, u8, i8);

impl Element for u64 {
    /// `varint`, whose values other SDKs read as signed: keep below 2⁶³ what leaves Rust.
    fn coder() -> Coder {
        Coder::standard(urn::VARINT, [])
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>, _at: Nesting) {
        put_varint(out, *self);
    }

    #[inline]
    fn decode(input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
        input.varint()
    }
}

impl Element for f64 {
    fn coder() -> Coder {
        Coder::standard(urn::DOUBLE, [])
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>, _at: Nesting) {
        out.extend_from_slice(&self.to_bits().to_be_bytes());
    }

    #[inline]
    fn decode(input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
        Ok(f64::from_bits(u64::from_be_bytes(input.array::<8>()?)))
    }
}

/// Reading a run of bytes: all that is left, or as many as a length says.
trait ReadBytes<'a>: Sized {
    fn read(input: &mut Input<'a>, at: Nesting) -> Result<Self>;
}

impl<'a> ReadBytes<'a> for &'a [u8] {
    #[inline]
    fn read(input: &mut Input<'a>, at: Nesting) -> Result<Self> {
        match at {
            Nesting::Outer => Ok(input.take_rest()),
            Nesting::Nested => {
                let length = input.length()?;
                input.take(length)
            }
        }
    }
}

#[inline]
fn put_bytes(bytes: &[u8], out: &mut Vec<u8>, at: Nesting) {
    if at == Nesting::Nested {
        put_varint(out, bytes.len() as u64);
    }
    out.extend_from_slice(bytes);
}

macro_rules! byte_runs {
    ($($run:ty, $urn:expr, |$input:ident, $bytes:ident| $make:expr, $seen:ty, |$seen_bytes:ident| $look:expr;)*) => {$(
        impl Element for $run {
            fn coder() -> Coder {
                Coder::standard($urn, [])
            }

            #[inline]
            fn encode(&self, out: &mut Vec<u8>, at: Nesting) {
                put_bytes(self.as_ref(), out, at);
            }

            #[inline]
            fn decode($input: &mut Input<'_>, at: Nesting) -> Result<Self> {
                let $bytes = <&[u8]>::read($input, at)?;
                $make
            }

            #[inline]
            fn skip(input: &mut Input<'_>, at: Nesting) -> Result<()> {
                <&[u8]>::read(input, at).map(drop)
            }
        }

        impl DecodeRef for $run {
            type Ref<'a> = &'a $seen;

            #[inline]
            fn decode_ref<'a>(input: &mut Input<'a>, at: Nesting) -> Result<&'a $seen> {
                let $seen_bytes = <&[u8]>::read(input, at)?;
                $look
            }
        }
    )*};
}

byte_runs! {
    Vec<u8>, urn::BYTES, |input, bytes| Ok(bytes.to_vec()), [u8], |bytes| Ok(bytes);
    Bytes, urn::BYTES, |input, bytes| Ok(input.share(bytes)), [u8], |bytes| Ok(bytes);
    String, urn::STRING_UTF8, |input, bytes| text(bytes).map(str::to_owned), str, |bytes| text(bytes);
}

#[inline]
fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|e| Error::decode("a string is not valid UTF-8").because(e))
}

macro_rules! look_is_decode {
    ($($plain:ty),*) => {$(
        impl DecodeRef for $plain {
            type Ref<'a> = $plain;

            #[inline]
            fn decode_ref<'a>(input: &mut Input<'a>, at: Nesting) -> Result<$plain> {
                <$plain>::decode(input, at)
            }
        }
    )*};
}

look_is_decode!((), bool, i64, i32, u32, u16, i16, u8, i8, u64, f64);

impl<T: Element> Element for Option<T> {
    fn coder() -> Coder {
        Coder::nullable(T::coder())
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>, at: Nesting) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode(out, at);
            }
        }
    }

    #[inline]
    fn decode(input: &mut Input<'_>, at: Nesting) -> Result<Self> {
        match input.byte()? {
            0 => Ok(None),
            1 => {
                input.enter()?;
                let value = T::decode(input, at)?;
                input.leave();
                Ok(Some(value))
            }
            byte => Err(Error::decode(format!(
                "a nullable value begins with {byte}, not 0 or 1"
            ))),
        }
    }
}

/// One value of a type that only its coder describes: the nested encoding, as the runner sent it.
///
/// Collections of another SDK's types pass through Rust functions in this form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Raw(pub Bytes);

/// Coder of [`Raw`]: where the other side of an edge has any coder at all, a varint length and that coder's bytes.
pub const RAW_CODER: &str = "ferrobeam:coder:raw:v1";

impl Element for Raw {
    fn coder() -> Coder {
        Coder::foreign(RAW_CODER, Bytes::new())
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>, at: Nesting) {
        put_bytes(&self.0, out, at);
    }

    #[inline]
    fn decode(input: &mut Input<'_>, at: Nesting) -> Result<Self> {
        let bytes = <&[u8]>::read(input, at)?;
        Ok(Raw(input.share(bytes)))
    }

    #[inline]
    fn skip(input: &mut Input<'_>, at: Nesting) -> Result<()> {
        <&[u8]>::read(input, at).map(drop)
    }
}

/// Values of `T` as a list: `iterable<T>` whose values are all in memory.
impl<T: Element> Element for Vec<T>
where
    T: NotAByte,
{
    fn coder() -> Coder {
        Coder::iterable(T::coder())
    }

    fn encode(&self, out: &mut Vec<u8>, _at: Nesting) {
        super::iterable::put_counted(out, self);
    }

    fn decode(input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
        super::iterable::read_list(input)
    }
}

/// Marks element types that may stand in a list: all but `u8`, since `Vec<u8>` is `bytes`.
pub trait NotAByte: Element {}

macro_rules! not_bytes {
    ($($t:ty),*) => {$(impl NotAByte for $t {})*};
}

not_bytes!(
    (),
    bool,
    i64,
    i32,
    u32,
    u16,
    i16,
    i8,
    u64,
    f64,
    String,
    Bytes,
    Vec<u8>,
    Raw
);

impl<T: Element> NotAByte for Option<T> {}
impl<K: Element, V: Element> NotAByte for super::Kv<K, V> {}
impl<T: Element> NotAByte for super::Iter<T> {}
impl<T: NotAByte> NotAByte for Vec<T> {}
