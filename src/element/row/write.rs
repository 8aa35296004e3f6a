//! Writing rows as a schema says.

use super::header::put_header;
use super::primitive::put_run;
use super::read::in_field;
use super::{FieldType, Kind, NullBits, Schema, Value, logical};
use crate::element::put_varint;
use crate::error::{Error, Result};

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
                NullBits::EncodingPosition => schema.encoded_at(bit),
                NullBits::DeclaredIndex => bit,
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
