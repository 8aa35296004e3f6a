//! The bytes of rows: read, stepped over and written as a schema says.
//!
//! Invariant: every value has at least one byte, so a count beyond the bytes that are left is a lie, found before
//! anything is allocated for it.

use std::sync::Arc;

use super::schema::{Field, FieldType, Kind, Schema};
use super::{DynRow, Value, logical};
use crate::element::{Input, Nesting, put_varint};
use crate::error::{Error, ErrorKind, Result};

/// What stands before the values of a row: how many there are, and which of them are null.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header<'a> {
    count: u64,
    nulls: &'a [u8],
}

impl<'a> Header<'a> {
    /// Reads the header of a row with `known` fields.
    #[inline]
    pub(super) fn read(input: &mut Input<'a>, known: usize, at: Nesting) -> Result<Self> {
        let count = input.varint()?;
        let length = input.length()?;
        let nulls = input.take(length)?;
        if count > known as u64 && (at == Nesting::Nested || count > i32::MAX as u64) {
            return Err(Error::decode(format!(
                "a row has {count} fields, but only {known} are known and the rest has no visible end; \
                 use the schema that it was written with"
            )));
        }
        Ok(Header { count, nulls })
    }

    /// What is known of the field that is encoded at `rank` and has the null bit `bit`.
    #[inline]
    pub(super) fn state(&self, rank: usize, bit: usize) -> FieldState {
        if rank as u64 >= self.count {
            FieldState::Absent
        } else if self
            .nulls
            .get(bit / 8)
            .is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
        {
            FieldState::Null
        } else {
            FieldState::Present
        }
    }

    /// Whether the row has values after those of `known` fields.
    #[inline]
    pub(super) fn has_more_than(&self, known: usize) -> bool {
        self.count > known as u64
    }
}

/// Whether a field has a value in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldState {
    /// Its value follows.
    Present,
    /// It is null.
    Null,
    /// The row was written before the field was added.
    Absent,
}

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

/// Names the field that an error happened in, outermost first.
#[cold]
pub(super) fn in_field(error: Error, schema: &Schema, field: &Field) -> Error {
    let message = error.message();
    let rest = message.strip_prefix("field `");
    let named = match rest {
        Some(inner) => format!("field `{}.{inner}", field.name),
        None => format!("field `{}`: {message}", field.name),
    };
    let error = Error::new(error.kind(), named);
    if schema.null_bits_matter() && rest.is_none() {
        hint_at_positions(error, schema)
    } else {
        error
    }
}

/// Points at the one cause of unreadable rows that nothing in the bytes shows.
#[cold]
fn hint_at_positions(error: Error, schema: &Schema) -> Error {
    let other = match schema.null_bits() {
        super::NullBits::EncodingPosition => "as Java does; Python numbers by declared index",
        super::NullBits::DeclaredIndex => "as Python does; Java numbers by encoding position",
    };
    Error::new(
        error.kind(),
        format!(
            "{}; schema {} permutes its encoding positions, and null bits are read {other}",
            error.message(),
            schema.id()
        ),
    )
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

/// Reads the byte before a nullable value in a container.
#[inline]
pub(super) fn read_presence(input: &mut Input<'_>) -> Result<bool> {
    match input.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        byte => Err(Error::decode(format!(
            "a nullable value begins with {byte}, not 0 or 1"
        ))),
    }
}

/// Reads a 32-bit integer: 32 bits, or as some writers do, their 64-bit sign extension.
#[inline]
pub(super) fn read_int32(input: &mut Input<'_>) -> Result<i32> {
    let wide = input.varint()?;
    if let Ok(low) = u32::try_from(wide) {
        return Ok(low as i32);
    }
    i32::try_from(wide as i64)
        .map_err(|_| Error::decode(format!("{} does not fit 32 bits", wide as i64)))
}

/// Reads text after its length.
#[inline]
pub(super) fn read_text<'a>(input: &mut Input<'a>) -> Result<&'a str> {
    let length = input.length()?;
    std::str::from_utf8(input.take(length)?).map_err(|e| {
        Error::decode(format!(
            "a string is not valid UTF-8 from byte {}",
            e.valid_up_to()
        ))
    })
}

#[inline]
pub(super) fn read_bool(input: &mut Input<'_>) -> Result<bool> {
    match input.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        byte => Err(Error::decode(format!(
            "a bool is encoded as {byte}, not 0 or 1"
        ))),
    }
}

/// Walks over the elements of an array or iterable: a count, or −1 and blocks.
#[inline]
pub(super) fn read_list<'a>(
    input: &mut Input<'a>,
    mut element: impl FnMut(&mut Input<'a>) -> Result<()>,
) -> Result<()> {
    let count = i32::from_be_bytes(input.array()?);
    input.enter()?;
    match count {
        0.. => {
            check_count(input, count as u64)?;
            for _ in 0..count {
                element(input)?;
            }
        }
        -1 => loop {
            match input.varint()? as i64 {
                0 => break,
                block @ 1.. => {
                    check_count(input, block as u64)?;
                    for _ in 0..block {
                        element(input)?;
                    }
                }
                block => {
                    return Err(Error::decode(format!(
                        "an iterable has a block of {block} values; state-backed iterables cannot be in rows"
                    )));
                }
            }
        },
        _ => {
            return Err(Error::decode(format!(
                "an array has the count {count}; only -1 may be negative"
            )));
        }
    }
    input.leave();
    Ok(())
}

/// Walks over the entries of a map.
#[inline]
pub(super) fn read_map<'a>(
    input: &mut Input<'a>,
    mut entry: impl FnMut(&mut Input<'a>) -> Result<()>,
) -> Result<()> {
    let count = i32::from_be_bytes(input.array()?);
    let Ok(count) = u64::try_from(count) else {
        return Err(Error::decode(format!("a map has the count {count}")));
    };
    check_count(input, count.saturating_mul(2))?;
    input.enter()?;
    for _ in 0..count {
        entry(input)?;
    }
    input.leave();
    Ok(())
}

/// Refuses a count of values that the bytes at hand cannot hold.
#[inline]
pub(super) fn check_count(input: &Input<'_>, count: u64) -> Result<()> {
    if count <= input.remaining() as u64 {
        return Ok(());
    }
    let kind = if count > i32::MAX as u64 {
        ErrorKind::Decode
    } else {
        ErrorKind::Truncated
    };
    Err(Error::new(
        kind,
        format!(
            "{count} values are announced, but only {} bytes are left",
            input.remaining()
        ),
    ))
}

/// Writes one row. Values that are missing at the end are null.
pub(super) fn put_row(schema: &Schema, values: &[Value], out: &mut Vec<u8>) -> Result<()> {
    let known = schema.fields().len();
    if values.len() > known {
        return Err(too_many(schema, values.len()));
    }
    let value = |index: usize| values.get(index).unwrap_or(&Value::Null);
    if !schema.has_static_encoding() {
        put_header(out, known, |bit| {
            let index = match schema.null_bits() {
                super::NullBits::EncodingPosition => schema.encoded_at(bit),
                super::NullBits::DeclaredIndex => bit,
            };
            *value(index) == Value::Null
        });
    }
    for rank in 0..known {
        let index = schema.encoded_at(rank);
        let field = &schema.fields()[index];
        match value(index) {
            Value::Null if field.field_type.nullable => Ok(()),
            value => put_value(&field.field_type, value, out),
        }
        .map_err(|error| in_field(error, schema, field))?;
    }
    Ok(())
}

/// Writes what stands before the values of a row of `fields` fields.
#[inline]
pub(super) fn put_header(out: &mut Vec<u8>, fields: usize, is_null: impl Fn(usize) -> bool) {
    put_varint(out, fields as u64);
    if (0..fields).any(&is_null) {
        let bytes = fields.div_ceil(8);
        put_varint(out, bytes as u64);
        let start = out.len();
        out.resize(start + bytes, 0);
        for bit in (0..fields).filter(|bit| is_null(*bit)) {
            out[start + bit / 8] |= 1 << (bit % 8);
        }
    } else {
        out.push(0);
    }
}

/// Writes one value that is not null.
pub(super) fn put_value(field_type: &FieldType, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match (&field_type.kind, value) {
        (Kind::Byte, Value::Byte(n)) => out.push(*n as u8),
        (Kind::Int16, Value::Int16(n)) => out.extend_from_slice(&n.to_be_bytes()),
        (Kind::Int32, Value::Int32(n)) => put_varint(out, u64::from(*n as u32)),
        (Kind::Int64, Value::Int64(n)) => put_varint(out, *n as u64),
        (Kind::Float, Value::Float(x)) => out.extend_from_slice(&x.to_bits().to_be_bytes()),
        (Kind::Double, Value::Double(x)) => out.extend_from_slice(&x.to_bits().to_be_bytes()),
        (Kind::String, Value::String(text)) => put_run(text.as_bytes(), out),
        (Kind::Boolean, Value::Boolean(b)) => out.push(u8::from(*b)),
        (Kind::Bytes, Value::Bytes(bytes)) => put_run(bytes, out),
        (Kind::Array(element) | Kind::Iterable(element), Value::List(values)) => {
            put_count(values.len(), out)?;
            for value in values {
                put_element(element, value, out)?;
            }
        }
        (Kind::Map(key_type, value_type), Value::Map(entries)) => {
            put_count(entries.len(), out)?;
            for (key, value) in entries {
                put_element(key_type, key, out)?;
                put_element(value_type, value, out)?;
            }
        }
        (Kind::Row(schema), Value::Row(row)) => put_row(schema, row.leading_values(), out)?,
        (Kind::Logical(logical), value) => logical::put(logical, value, out)?,
        (_, value) => return Err(misfit(field_type, value)),
    }
    Ok(())
}

fn put_element(field_type: &FieldType, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Null if field_type.nullable => {
            out.push(0);
            Ok(())
        }
        value => {
            if field_type.nullable {
                out.push(1);
            }
            put_value(field_type, value, out)
        }
    }
}

/// Writes bytes after their length.
#[inline]
pub(super) fn put_run(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_count(count: usize, out: &mut Vec<u8>) -> Result<()> {
    let count = i32::try_from(count)
        .map_err(|_| Error::decode(format!("{count} values are too many for one field")))?;
    out.extend_from_slice(&count.to_be_bytes());
    Ok(())
}

#[cold]
pub(super) fn misfit(field_type: &FieldType, value: &Value) -> Error {
    Error::decode(format!(
        "a value of type {} does not fit {field_type}",
        value.kind()
    ))
}

#[cold]
pub(super) fn too_many(schema: &Schema, values: usize) -> Error {
    Error::decode(format!("{values} values do not make a {schema}"))
}
