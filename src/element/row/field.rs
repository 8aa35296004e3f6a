//! Rust types that can be fields of a row.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use bytes::Bytes;

use super::header::{FieldState, Header, put_header};
use super::instant::{self, Instant};
use super::logical::urn;
use super::primitive::{
    put_run, read_bool, read_int32, read_list, read_map, read_presence, read_text,
};
use super::{Decimal, FieldType, Kind};
use crate::element::{Input, Nesting, Timestamp, put_varint};
use crate::error::{Error, Result};

/// A type that can be a field of a row.
///
/// | Rust | schema |
/// |---|---|
/// | `i8`, `u8` | `BYTE` |
/// | `i16` | `INT16` |
/// | `i32`, `u16` | `INT32` |
/// | `i64`, `u32` | `INT64` |
/// | `f32`, `f64`, `bool`, `String` | `FLOAT`, `DOUBLE`, `BOOLEAN`, `STRING` |
/// | `Vec<u8>`, [`Bytes`] | `BYTES` |
/// | `Option<T>` | the type of `T`, nullable |
/// | `Vec<T>` | array |
/// | `HashMap<K, V>`, `BTreeMap<K, V>` | map |
/// | a struct with `#[derive(Row)]` | row |
/// | [`Timestamp`] | `micros_instant` |
/// | [`Decimal`] | `decimal` |
///
/// There is no `u64`: no field type holds its upper half.
///
/// An `INT16` is two bytes, the higher first. Go's SDK has written numbers of 16 bits as varints. Those from 128 to 16383
/// have two bytes, too, and are read as other numbers (999, which Go writes as `e7 07`, becomes -6393): nothing in the
/// bytes tells which SDK wrote them. Give such fields more bits where Go is involved.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a row",
    label = "no field type is known for `{Self}`",
    note = "use a number, text, bytes, an Option, Vec or map of such types, or a struct with `#[derive(Row)]`"
)]
pub trait FieldValue: Sized {
    /// Whether a value may be null: only for `Option`.
    #[doc(hidden)]
    const NULLABLE: bool = false;

    /// The type that schemas publish.
    fn field_type() -> FieldType;

    /// Appends the bytes of a value that is not null.
    fn put_field(&self, out: &mut Vec<u8>);

    /// Reads a value that is not null.
    ///
    /// # Errors
    /// Bytes that end early or that the type does not allow.
    fn read_field(input: &mut Input<'_>) -> Result<Self>;

    /// Whether the value is null.
    #[doc(hidden)]
    fn is_null(&self) -> bool {
        false
    }

    /// The value of a field that is null.
    #[doc(hidden)]
    fn null() -> Option<Self> {
        None
    }

    /// The type of `Vec<Self>`. Only `u8` overrides these three: its lists are bytes.
    #[doc(hidden)]
    fn list_type() -> FieldType {
        FieldType::array(Self::field_type())
    }

    #[doc(hidden)]
    fn put_list(list: &[Self], out: &mut Vec<u8>) {
        put_count(list.len(), out);
        for value in list {
            put_part(value, out);
        }
    }

    #[doc(hidden)]
    fn read_list(input: &mut Input<'_>) -> Result<Vec<Self>> {
        let mut list = Vec::new();
        read_list(input, |input| {
            list.push(read_part(input)?);
            Ok(())
        })?;
        Ok(list)
    }
}

/// A type that can be the key of a map in a row: text, integers and booleans, as all SDKs agree.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a map in a row",
    note = "keys are `String`, integers or `bool`"
)]
pub trait MapKey: FieldValue {}

fn put_count(count: usize, out: &mut Vec<u8>) {
    // A list of 2^31 values takes at least as many bytes, which no message holds.
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    out.extend_from_slice(&count.to_be_bytes());
}

/// Writes a value in a container, where a byte tells whether it is null.
#[inline]
fn put_part<T: FieldValue>(value: &T, out: &mut Vec<u8>) {
    if T::NULLABLE {
        out.push(u8::from(!value.is_null()));
        if value.is_null() {
            return;
        }
    }
    value.put_field(out);
}

/// Reads a value in a container.
#[inline]
fn read_part<T: FieldValue>(input: &mut Input<'_>) -> Result<T> {
    if T::NULLABLE && !read_presence(input)? {
        return T::null().ok_or_else(|| Error::decode("it is null"));
    }
    T::read_field(input)
}

macro_rules! plain_fields {
    ($($plain:ty as $kind:ident, |$value:ident, $out:ident| $put:expr, |$input:ident| $read:expr;)*) => {$(
        impl FieldValue for $plain {
            fn field_type() -> FieldType {
                Kind::$kind.into()
            }

            #[inline]
            fn put_field(&self, $out: &mut Vec<u8>) {
                let $value = self;
                $put;
            }

            #[inline]
            fn read_field($input: &mut Input<'_>) -> Result<Self> {
                $read
            }
        }
    )*};
}

plain_fields! {
    i8 as Byte, |n, out| out.push(*n as u8), |input| Ok(input.byte()? as i8);
    i16 as Int16, |n, out| out.extend_from_slice(&n.to_be_bytes()), |input| Ok(i16::from_be_bytes(input.array()?));
    i32 as Int32, |n, out| put_varint(out, u64::from(*n as u32)), |input| read_int32(input);
    i64 as Int64, |n, out| put_varint(out, *n as u64), |input| Ok(input.varint()? as i64);
    u16 as Int32, |n, out| put_varint(out, u64::from(*n)), |input| narrow(i64::from(read_int32(input)?));
    u32 as Int64, |n, out| put_varint(out, u64::from(*n)), |input| narrow(input.varint()? as i64);
    f32 as Float, |x, out| out.extend_from_slice(&x.to_bits().to_be_bytes()),
        |input| Ok(f32::from_bits(u32::from_be_bytes(input.array()?)));
    f64 as Double, |x, out| out.extend_from_slice(&x.to_bits().to_be_bytes()),
        |input| Ok(f64::from_bits(u64::from_be_bytes(input.array()?)));
    bool as Boolean, |b, out| out.push(u8::from(*b)), |input| read_bool(input);
    String as String, |text, out| put_run(text.as_bytes(), out), |input| read_text(input).map(str::to_owned);
    Bytes as Bytes, |bytes, out| put_run(bytes, out), |input| {
        let length = input.length()?;
        input.bytes(length)
    };
}

#[inline]
fn narrow<T: TryFrom<i64>>(n: i64) -> Result<T> {
    T::try_from(n)
        .map_err(|_| Error::decode(format!("{n} does not fit {}", std::any::type_name::<T>())))
}

impl FieldValue for u8 {
    fn field_type() -> FieldType {
        Kind::Byte.into()
    }

    #[inline]
    fn put_field(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    #[inline]
    fn read_field(input: &mut Input<'_>) -> Result<Self> {
        input.byte()
    }

    fn list_type() -> FieldType {
        Kind::Bytes.into()
    }

    #[inline]
    fn put_list(list: &[Self], out: &mut Vec<u8>) {
        put_run(list, out);
    }

    #[inline]
    fn read_list(input: &mut Input<'_>) -> Result<Vec<Self>> {
        let length = input.length()?;
        Ok(input.take(length)?.to_vec())
    }
}

impl<T: FieldValue> FieldValue for Vec<T> {
    fn field_type() -> FieldType {
        T::list_type()
    }

    #[inline]
    fn put_field(&self, out: &mut Vec<u8>) {
        T::put_list(self, out);
    }

    #[inline]
    fn read_field(input: &mut Input<'_>) -> Result<Self> {
        T::read_list(input)
    }
}

impl<T: FieldValue> FieldValue for Option<T> {
    const NULLABLE: bool = true;

    fn field_type() -> FieldType {
        const { assert!(!T::NULLABLE, "a field cannot be an Option of an Option") };
        T::field_type().nullable()
    }

    #[inline]
    fn put_field(&self, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.put_field(out);
        }
    }

    #[inline]
    fn read_field(input: &mut Input<'_>) -> Result<Self> {
        T::read_field(input).map(Some)
    }

    #[inline]
    fn is_null(&self) -> bool {
        self.is_none()
    }

    #[inline]
    fn null() -> Option<Self> {
        Some(None)
    }
}

macro_rules! maps {
    ($($map:ident<$($hasher:ident)?>, $($bound:ident +)*;)*) => {$(
        impl<K: MapKey $(+ $bound)*, V: FieldValue $(, $hasher: BuildHasher + Default)?> FieldValue
            for $map<K, V $(, $hasher)?>
        {
            fn field_type() -> FieldType {
                FieldType::map(K::field_type(), V::field_type())
            }

            fn put_field(&self, out: &mut Vec<u8>) {
                put_count(self.len(), out);
                for (key, value) in self {
                    put_part(key, out);
                    put_part(value, out);
                }
            }

            fn read_field(input: &mut Input<'_>) -> Result<Self> {
                let mut map = Self::default();
                read_map(input, |input| {
                    let key = read_part(input)?;
                    map.insert(key, read_part(input)?);
                    Ok(())
                })?;
                Ok(map)
            }
        }
    )*};
}

maps! {
    BTreeMap<>, Ord +;
    HashMap<S>, Eq + Hash +;
}

macro_rules! map_keys {
    ($($key:ty),*) => {$(impl MapKey for $key {})*};
}

map_keys!(String, bool, i8, u8, i16, u16, i32, u32, i64);

impl FieldValue for Timestamp {
    fn field_type() -> FieldType {
        instant::micros_instant()
    }

    fn put_field(&self, out: &mut Vec<u8>) {
        let (seconds, micros) = Instant::from_millis(self.millis()).micros();
        put_header(out, 2, |_| false);
        put_varint(out, seconds as u64);
        put_varint(out, micros as u64);
    }

    fn read_field(input: &mut Input<'_>) -> Result<Self> {
        let header = Header::read(input, 2, Nesting::Nested)?;
        for rank in 0..2 {
            if header.state(rank, rank) != FieldState::Present {
                return Err(Error::decode("a timestamp lacks a part"));
            }
        }
        let (seconds, micros) = (input.varint()? as i64, input.varint()? as i64);
        let instant = Instant::from_parts(seconds, micros, 6)?;
        Ok(Timestamp::from_millis(instant.millis()))
    }
}

impl FieldValue for Decimal {
    fn field_type() -> FieldType {
        FieldType::logical(urn::DECIMAL, Kind::Bytes)
    }

    fn put_field(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn read_field(input: &mut Input<'_>) -> Result<Self> {
        Decimal::decode(input)
    }
}
