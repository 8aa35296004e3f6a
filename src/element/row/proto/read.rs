//! Reading the messages.

use std::sync::Arc;

use bytes::Bytes;

use crate::element::Input;
use crate::element::row::schema::STATIC_ENCODING;
use crate::element::row::{Field, FieldType, Kind, LogicalType, Schema, Value};
use crate::error::{Error, ErrorKind, Result};

/// The content of one field of a protobuf message.
enum Content<'a> {
    Number(u64),
    Fixed32(u32),
    Fixed64(u64),
    Bytes(Input<'a>),
}

impl<'a> Content<'a> {
    fn number(self) -> Result<u64> {
        match self {
            Content::Number(n) => Ok(n),
            _ => Err(wrong_wire_type()),
        }
    }

    fn flag(self) -> Result<bool> {
        Ok(self.number()? != 0)
    }

    fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Content::Bytes(input) => Ok(input.rest()),
            _ => Err(wrong_wire_type()),
        }
    }

    fn text(self) -> Result<String> {
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(bytes).map_err(|_| Error::decode("text is not UTF-8"))?;
        Ok(text.to_owned())
    }

    /// A message within this one, one level deeper.
    fn message(self) -> Result<Input<'a>> {
        match self {
            Content::Bytes(mut input) => {
                // Protobuf parsers stop at as many levels as `Input` does: 24 rows in each other.
                input.enter().map_err(|_| {
                    Error::decode(
                        "its nesting is too deep: at most 24 rows or 48 arrays in each other",
                    )
                })?;
                Ok(input)
            }
            _ => Err(wrong_wire_type()),
        }
    }
}

#[cold]
fn wrong_wire_type() -> Error {
    Error::decode("a field has the wrong wire type")
}

/// The next field of a message, unless it ends.
fn next<'a>(message: &mut Input<'a>) -> Result<Option<(u64, Content<'a>)>> {
    if message.is_empty() {
        return Ok(None);
    }
    let tag = message.varint()?;
    let content = match tag & 7 {
        0 => Content::Number(message.varint()?),
        1 => Content::Fixed64(u64::from_le_bytes(message.array()?)),
        2 => {
            let length = message.length()?;
            let bytes = message.take(length)?;
            Content::Bytes(message.part(bytes))
        }
        5 => Content::Fixed32(u32::from_le_bytes(message.array()?)),
        _ => return Err(wrong_wire_type()),
    };
    Ok(Some((tag >> 3, content)))
}

impl Schema {
    /// Reads a serialized `Schema` message.
    ///
    /// Options and arguments that no worker acts on are dropped; to hand a schema on unchanged, keep its bytes.
    ///
    /// # Errors
    /// Bytes that are no schema, more than 24 rows nested in each other, fields that share a position, or a nullable
    /// field in a static encoding.
    pub fn from_proto(bytes: &[u8]) -> Result<Self> {
        let mut message = Input::new(bytes);
        message.enter()?;
        schema(message).map_err(|error| match error.kind() {
            ErrorKind::Descriptor => error,
            _ => Error::descriptor(format!("a schema cannot be read: {}", error.message())),
        })
    }
}

fn schema(mut message: Input<'_>) -> Result<Schema> {
    let mut fields = Vec::new();
    let mut positions = Vec::new();
    let (mut id, mut positions_set, mut static_encoding) = (String::new(), false, false);
    while let Some((number, content)) = next(&mut message)? {
        match number {
            1 => {
                let (field, position) = field(content.message()?)?;
                fields.push(field);
                positions.push(position);
            }
            2 => id = content.text()?,
            3 => static_encoding |= is_static_encoding(content.message()?)?,
            4 => positions_set = content.flag()?,
            _ => {}
        }
    }
    let mut schema = Schema::new(id, fields)?;
    if positions_set {
        schema = schema.with_encoding_positions(&positions)?;
    }
    if static_encoding {
        schema = schema.with_static_encoding()?;
    }
    Ok(schema)
}

fn field(mut message: Input<'_>) -> Result<(Field, i32)> {
    let (mut name, mut description, mut position) = (String::new(), String::new(), 0);
    let mut type_message = None;
    while let Some((number, content)) = next(&mut message)? {
        match number {
            1 => name = content.text()?,
            2 => description = content.text()?,
            3 => type_message = Some(content.message()?),
            5 => position = content.number()? as i32,
            _ => {}
        }
    }
    let Some(type_message) = type_message else {
        return Err(Error::decode(format!("field `{name}` has no type")));
    };
    let field_type = field_type(type_message).map_err(|error| match error.kind() {
        ErrorKind::Descriptor => error,
        _ => Error::decode(format!("field `{name}`: {}", error.message())),
    })?;
    Ok((
        Field::new(name, field_type).described(description),
        position,
    ))
}

fn field_type(mut message: Input<'_>) -> Result<FieldType> {
    let mut nullable = false;
    let mut kind = None;
    while let Some((number, content)) = next(&mut message)? {
        match number {
            1 => nullable = content.flag()?,
            2 => kind = Some(atomic(content.number()?)?),
            3 => kind = Some(Kind::Array(Box::new(part(content.message()?, 1)?))),
            4 => kind = Some(Kind::Iterable(Box::new(part(content.message()?, 1)?))),
            5 => {
                let map = content.message()?;
                let key = part(map.part(map.rest()), 1)?;
                kind = Some(Kind::Map(Box::new(key), Box::new(part(map, 2)?)));
            }
            6 => kind = Some(Kind::Row(Arc::new(row_type(content.message()?)?))),
            7 => kind = Some(Kind::Logical(Box::new(logical_type(content.message()?)?))),
            _ => {}
        }
    }
    match kind {
        Some(kind) => Ok(FieldType { kind, nullable }),
        None => Err(Error::decode("a type says neither what it is nor holds")),
    }
}

fn atomic(number: u64) -> Result<Kind> {
    Ok(match number {
        1 => Kind::Byte,
        2 => Kind::Int16,
        3 => Kind::Int32,
        4 => Kind::Int64,
        5 => Kind::Float,
        6 => Kind::Double,
        7 => Kind::String,
        8 => Kind::Boolean,
        9 => Kind::Bytes,
        _ => {
            return Err(Error::decode(format!(
                "the atomic type {number} is unknown"
            )));
        }
    })
}

/// The field type that is field `wanted` of a container type's message.
fn part(mut message: Input<'_>, wanted: u64) -> Result<FieldType> {
    let mut found = None;
    while let Some((number, content)) = next(&mut message)? {
        if number == wanted {
            found = Some(content.message()?);
        }
    }
    match found {
        Some(message) => field_type(message),
        None => Err(Error::decode("a container does not say what it holds")),
    }
}

fn row_type(mut message: Input<'_>) -> Result<Schema> {
    let mut found = None;
    while let Some((number, content)) = next(&mut message)? {
        if number == 1 {
            found = Some(content.message()?);
        }
    }
    match found {
        Some(message) => schema(message),
        None => Err(Error::decode("a row type has no schema")),
    }
}

fn logical_type(mut message: Input<'_>) -> Result<LogicalType> {
    let (mut urn, mut payload) = (String::new(), Bytes::new());
    let (mut representation, mut argument_type, mut argument) = (None, None, None);
    while let Some((number, content)) = next(&mut message)? {
        match number {
            1 => urn = content.text()?,
            2 => payload = Bytes::copy_from_slice(content.bytes()?),
            3 => representation = Some(field_type(content.message()?)?),
            4 => argument_type = Some(field_type(content.message()?)?),
            5 => argument = atomic_value(content.message()?)?,
            _ => {}
        }
    }
    Ok(LogicalType {
        urn: urn.into(),
        payload,
        representation,
        argument: argument_type.zip(argument),
    })
}

/// The value of a `FieldValue` message, where it is atomic.
fn atomic_value(mut message: Input<'_>) -> Result<Option<Value>> {
    let mut value = None;
    while let Some((number, content)) = next(&mut message)? {
        if number != 1 {
            continue;
        }
        let mut atomic = content.message()?;
        while let Some((number, content)) = next(&mut atomic)? {
            value = Some(match (number, content) {
                (1, Content::Number(n)) => Value::Byte(n as i8),
                (2, Content::Number(n)) => Value::Int16(n as i16),
                (3, Content::Number(n)) => Value::Int32(n as i32),
                (4, Content::Number(n)) => Value::Int64(n as i64),
                (5, Content::Fixed32(bits)) => Value::Float(f32::from_bits(bits)),
                (6, Content::Fixed64(bits)) => Value::Double(f64::from_bits(bits)),
                (7, content) => Value::String(content.text()?),
                (8, Content::Number(n)) => Value::Boolean(n != 0),
                (9, content) => Value::Bytes(Bytes::copy_from_slice(content.bytes()?)),
                _ => continue,
            });
        }
    }
    Ok(value)
}

fn is_static_encoding(mut option: Input<'_>) -> Result<bool> {
    let (mut named, mut value) = (false, None);
    while let Some((number, content)) = next(&mut option)? {
        match number {
            1 => named = content.bytes()? == STATIC_ENCODING.as_bytes(),
            3 => value = Some(content),
            _ => {}
        }
    }
    match value {
        Some(value) if named => Ok(atomic_value(value.message()?)? == Some(Value::Boolean(true))),
        _ => Ok(false),
    }
}
