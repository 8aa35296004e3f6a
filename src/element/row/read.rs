//! Reading rows, and stepping over them, as a schema says.

use std::sync::Arc;

use super::header::{FieldState, Header};
use super::primitive::{read_bool, read_int32, read_list, read_map, read_presence, read_text};
use super::{DynRow, Field, FieldType, Kind, Schema, Value, logical};
use crate::element::{Input, Nesting};
use crate::error::{Error, Result};

/// Reads one row.
pub(super) fn read_row(schema: &Arc<Schema>, input: &mut Input<'_>, at: Nesting) -> Result<DynRow> {
    // Room for a value is made when its bytes are there: fields that are null or missing at the end cost nothing.
    let mut values = Vec::new();
    walk(schema, input, at, |index, field_type, input| {
        let value = read_value(field_type, input)?;
        if values.len() <= index {
            values.resize(index + 1, Value::Null);
        }
        values[index] = value;
        Ok(())
    })?;
    DynRow::new(schema.clone(), values)
}

/// Steps over one row.
pub(super) fn skip_row(schema: &Schema, input: &mut Input<'_>, at: Nesting) -> Result<()> {
    walk(schema, input, at, |_, field_type, input| {
        skip_value(field_type, input)
    })
}

/// Calls `visit` with each field that has a value, in the order of encoding.
fn walk<'a>(
    schema: &Schema,
    input: &mut Input<'a>,
    at: Nesting,
    mut visit: impl FnMut(usize, &FieldType, &mut Input<'a>) -> Result<()>,
) -> Result<()> {
    let known = schema.fields().len();
    let header = if schema.has_static_encoding() {
        None
    } else {
        Some(Header::read(input, known, at)?)
    };
    input.enter()?;
    for rank in 0..known {
        let index = schema.encoded_at(rank);
        let field = &schema.fields()[index];
        let state = header.map_or(FieldState::Present, |header| {
            header.state(rank, schema.null_bit(index, rank))
        });
        match state {
            FieldState::Present => visit(index, &field.field_type, input),
            FieldState::Absent if rank >= schema.required() => break,
            _ if field.field_type.nullable => Ok(()),
            FieldState::Null => Err(Error::decode("it is null, but its type is not nullable")),
            FieldState::Absent => Err(Error::decode("it is missing, but its type is not nullable")),
        }
        .map_err(|error| in_field(error, schema, field))?;
    }
    input.leave();
    if at == Nesting::Outer {
        if header.is_some_and(|header| header.has_more_than(known)) {
            input.take_rest();
        } else if schema.is_permuted() && !input.is_empty() {
            let left = Error::decode(format!("{} bytes are left over", input.remaining()));
            return Err(hint_at_positions(left, schema));
        }
    }
    Ok(())
}

/// Names the field that an error happened in.
#[cold]
pub(super) fn in_field(error: Error, schema: &Schema, field: &Field) -> Error {
    let innermost = !error.message().starts_with(FIELD);
    let named = name_field(&error, &field.name);
    if innermost && schema.null_bits_matter() {
        hint_at_positions(named, schema)
    } else {
        named
    }
}

const FIELD: &str = "field `";

/// Names the field that an error happened in; fields of fields become a path.
#[cold]
pub(super) fn name_field(error: &Error, name: &str) -> Error {
    let message = error.message();
    let named = match message.strip_prefix(FIELD) {
        Some(inner) => format!("{FIELD}{name}.{inner}"),
        None => format!("{FIELD}{name}`: {message}"),
    };
    Error::new(error.kind(), named)
}

/// Points at the one cause of unreadable rows that nothing in the bytes shows.
#[cold]
fn hint_at_positions(error: Error, schema: &Schema) -> Error {
    let rule = schema.null_bits_in_words();
    Error::new(error.kind(), format!("{}; {rule}", error.message()))
}

/// Reads one value that is not null.
pub(super) fn read_value(field_type: &FieldType, input: &mut Input<'_>) -> Result<Value> {
    Ok(match &field_type.kind {
        Kind::Byte => Value::Byte(input.byte()? as i8),
        Kind::Int16 => Value::Int16(i16::from_be_bytes(input.array()?)),
        Kind::Int32 => Value::Int32(read_int32(input)?),
        Kind::Int64 => Value::Int64(input.varint()? as i64),
        Kind::Float => Value::Float(f32::from_bits(u32::from_be_bytes(input.array()?))),
        Kind::Double => Value::Double(f64::from_bits(u64::from_be_bytes(input.array()?))),
        Kind::String => Value::String(read_text(input)?.to_owned()),
        Kind::Boolean => Value::Boolean(read_bool(input)?),
        Kind::Bytes => {
            let length = input.length()?;
            Value::Bytes(input.bytes(length)?)
        }
        Kind::Array(element) | Kind::Iterable(element) => {
            let mut values = Vec::new();
            read_list(input, |input| {
                values.push(read_element(element, input)?);
                Ok(())
            })?;
            Value::List(values)
        }
        Kind::Map(key, value) => {
            let mut entries = Vec::new();
            read_map(input, |input| {
                let key = read_element(key, input)?;
                entries.push((key, read_element(value, input)?));
                Ok(())
            })?;
            Value::Map(entries)
        }
        Kind::Row(schema) => Value::Row(read_row(schema, input, Nesting::Nested)?),
        Kind::Logical(logical) => logical::read(logical, input)?,
    })
}

/// Steps over one value that is not null.
pub(super) fn skip_value(field_type: &FieldType, input: &mut Input<'_>) -> Result<()> {
    match &field_type.kind {
        Kind::Byte | Kind::Boolean => input.take(1).map(drop),
        Kind::Int16 => input.take(2).map(drop),
        Kind::Float => input.take(4).map(drop),
        Kind::Double => input.take(8).map(drop),
        Kind::Int32 | Kind::Int64 => input.varint().map(drop),
        Kind::String | Kind::Bytes => {
            let length = input.length()?;
            input.take(length).map(drop)
        }
        Kind::Array(element) | Kind::Iterable(element) => {
            read_list(input, |input| skip_element(element, input))
        }
        Kind::Map(key, value) => read_map(input, |input| {
            skip_element(key, input)?;
            skip_element(value, input)
        }),
        Kind::Row(schema) => skip_row(schema, input, Nesting::Nested),
        Kind::Logical(logical) => logical::skip(logical, input),
    }
}

fn read_element(field_type: &FieldType, input: &mut Input<'_>) -> Result<Value> {
    if field_type.nullable && !read_presence(input)? {
        return Ok(Value::Null);
    }
    read_value(field_type, input)
}

fn skip_element(field_type: &FieldType, input: &mut Input<'_>) -> Result<()> {
    if field_type.nullable && !read_presence(input)? {
        return Ok(());
    }
    skip_value(field_type, input)
}
