//! Rows and values whose types only a schema knows.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{Decimal, Field, Schema, read, write};
use crate::element::{Input, Nesting};
use crate::error::Result;

/// A value of a type that only a schema knows.
///
/// A value of a logical type has the form of the type's representation, except
/// - `millis_instant`: [`Value::Int64`] of milliseconds since 1970;
/// - `decimal`: [`Value::Decimal`];
/// - Python's `any`: whatever value it holds.
///
/// So `micros_instant` and `timestamp` are rows, `date` is days since 1970, `python_callable` is text.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// Eight bits; Python means them unsigned.
    Byte(i8),
    /// A 16-bit integer.
    Int16(i16),
    /// A 32-bit integer.
    Int32(i32),
    /// A 64-bit integer.
    Int64(i64),
    /// A single-precision number; its bits survive, also those of a NaN.
    Float(f32),
    /// A double-precision number; its bits survive, also those of a NaN.
    Double(f64),
    /// Text.
    String(String),
    /// True or false.
    Boolean(bool),
    /// Any bytes.
    Bytes(Bytes),
    /// The values of an array or iterable.
    List(Vec<Value>),
    /// Keys and values, in the order of the bytes.
    Map(Vec<(Value, Value)>),
    /// A row in a row.
    Row(DynRow),
    /// A decimal number of any size.
    Decimal(Decimal),
}

impl Value {
    /// What kind of value this is, for errors.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Byte(_) => "byte",
            Value::Int16(_) => "int16",
            Value::Int32(_) => "int32",
            Value::Int64(_) => "int64",
            Value::Float(_) => "float",
            Value::Double(_) => "double",
            Value::String(_) => "string",
            Value::Boolean(_) => "boolean",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Row(_) => "row",
            Value::Decimal(_) => "decimal",
        }
    }
}

impl fmt::Display for Value {
    /// As in JSON where JSON has it; bytes as `0x…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Byte(n) => write!(f, "{n}"),
            Value::Int16(n) => write!(f, "{n}"),
            Value::Int32(n) => write!(f, "{n}"),
            Value::Int64(n) => write!(f, "{n}"),
            Value::Float(x) => write!(f, "{x:?}"),
            Value::Double(x) => write!(f, "{x:?}"),
            Value::String(text) => write!(f, "{text:?}"),
            Value::Boolean(b) => write!(f, "{b}"),
            Value::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Value::List(values) => {
                f.write_str("[")?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", comma(i))?;
                }
                f.write_str("]")
            }
            Value::Map(entries) => {
                f.write_str("{")?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key}: {value}", comma(i))?;
                }
                f.write_str("}")
            }
            Value::Row(row) => write!(f, "{row}"),
            Value::Decimal(decimal) => write!(f, "{decimal}"),
        }
    }
}

impl fmt::Display for DynRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (field, value)) in self.iter().enumerate() {
            write!(f, "{}{:?}: {value}", comma(i), field.name)?;
        }
        f.write_str("}")
    }
}

fn comma(index: usize) -> &'static str {
    if index == 0 { "" } else { ", " }
}

macro_rules! from_plain {
    ($($plain:ty => $variant:ident),* $(,)?) => {$(
        impl From<$plain> for Value {
            fn from(plain: $plain) -> Self {
                Value::$variant(plain.into())
            }
        }
    )*};
}

from_plain! {
    i8 => Byte,
    i16 => Int16,
    i32 => Int32,
    i64 => Int64,
    f32 => Float,
    f64 => Double,
    String => String,
    &str => String,
    bool => Boolean,
    Bytes => Bytes,
    Vec<u8> => Bytes,
    DynRow => Row,
    Decimal => Decimal,
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// A row with its schema: for functions that work on rows of any shape.
///
/// It is no [`Element`](crate::Element) itself, since its coder is known only to the pipeline. Take
/// [`Raw`](crate::element::Raw) values, and decode them by the schema that the function was configured with.
#[derive(Debug, Clone, PartialEq)]
pub struct DynRow {
    schema: Arc<Schema>,
    /// As declared, without the nulls at the end: so equal rows are equal, and nulls cost no memory.
    values: Vec<Value>,
}

impl DynRow {
    /// A row of `values` as declared. Those that are missing at the end are null.
    ///
    /// # Errors
    /// More values than fields. Types are checked when the row is encoded.
    pub fn new(schema: Arc<Schema>, mut values: Vec<Value>) -> Result<Self> {
        if values.len() > schema.fields().len() {
            return Err(write::too_many(&schema, values.len()));
        }
        let end = values.iter().rposition(|value| *value != Value::Null);
        values.truncate(end.map_or(0, |last| last + 1));
        Ok(DynRow { schema, values })
    }

    /// The names and types of the values.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The value of the field that is declared at `index`; null where there is no such field.
    pub fn value(&self, index: usize) -> &Value {
        self.values.get(index).unwrap_or(&Value::Null)
    }

    /// The value of the field called exactly `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.schema.index_of(name).map(|index| self.value(index))
    }

    /// The fields as declared, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&Field, &Value)> {
        let fields = self.schema.fields().iter().enumerate();
        fields.map(|(index, field)| (field, self.value(index)))
    }

    /// Takes the values out, as declared, without the nulls at the end.
    pub(super) fn into_leading_values(self) -> Vec<Value> {
        self.values
    }

    /// The values as declared, without the nulls at the end.
    pub(super) fn leading_values(&self) -> &[Value] {
        &self.values
    }

    /// Reads one row of `schema`.
    ///
    /// # Errors
    /// Bytes that end early or that the schema does not allow. The error names the field.
    pub fn decode(schema: &Arc<Schema>, input: &mut Input<'_>, at: Nesting) -> Result<Self> {
        read::read_row(schema, input, at)
    }

    /// Appends the row's bytes.
    ///
    /// # Errors
    /// A value that does not fit its field's type. The error names the field.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        write::put_row(&self.schema, &self.values, out)
    }
}
