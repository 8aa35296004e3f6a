//! Writing the messages.

use crate::element::put_varint;
use crate::element::row::schema::STATIC_ENCODING;
use crate::element::row::{FieldType, Kind, LogicalType, Schema, Value};

impl Schema {
    /// Writes the serialized `Schema` message.
    pub fn to_proto(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_schema(self, &mut out);
        out
    }
}

fn put_number(number: u32, value: u64, out: &mut Vec<u8>) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// A non-empty run of bytes; proto3 leaves empty ones out.
fn put_run(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        put_varint(out, u64::from(number) << 3 | 2);
        put_varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

fn put_message(number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut message = Vec::new();
    write(&mut message);
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, message.len() as u64);
    out.append(&mut message);
}

fn put_schema(schema: &Schema, out: &mut Vec<u8>) {
    let mut positions = vec![0; schema.fields().len()];
    for rank in 0..positions.len() {
        positions[schema.encoded_at(rank)] = rank;
    }
    for (field, position) in schema.fields().iter().zip(positions) {
        put_message(1, out, |out| {
            put_run(1, field.name.as_bytes(), out);
            put_run(2, field.description.as_bytes(), out);
            put_message(3, out, |out| put_field_type(&field.field_type, out));
            if schema.is_permuted() && position > 0 {
                put_number(5, position as u64, out);
            }
        });
    }
    put_run(2, schema.id().as_bytes(), out);
    if schema.has_static_encoding() {
        put_message(3, out, |out| {
            put_run(1, STATIC_ENCODING.as_bytes(), out);
            put_message(2, out, |out| put_field_type(&Kind::Boolean.into(), out));
            put_message(3, out, |out| put_atomic_value(&Value::Boolean(true), out));
        });
    }
    if schema.is_permuted() {
        put_number(4, 1, out);
    }
}

fn put_field_type(field_type: &FieldType, out: &mut Vec<u8>) {
    if field_type.nullable {
        put_number(1, 1, out);
    }
    let mut atomic = |number| put_number(2, number, out);
    match &field_type.kind {
        Kind::Byte => atomic(1),
        Kind::Int16 => atomic(2),
        Kind::Int32 => atomic(3),
        Kind::Int64 => atomic(4),
        Kind::Float => atomic(5),
        Kind::Double => atomic(6),
        Kind::String => atomic(7),
        Kind::Boolean => atomic(8),
        Kind::Bytes => atomic(9),
        Kind::Array(element) => put_message(3, out, |out| {
            put_message(1, out, |out| put_field_type(element, out));
        }),
        Kind::Iterable(element) => put_message(4, out, |out| {
            put_message(1, out, |out| put_field_type(element, out));
        }),
        Kind::Map(key, value) => put_message(5, out, |out| {
            put_message(1, out, |out| put_field_type(key, out));
            put_message(2, out, |out| put_field_type(value, out));
        }),
        Kind::Row(schema) => put_message(6, out, |out| {
            put_message(1, out, |out| put_schema(schema, out));
        }),
        Kind::Logical(logical) => put_message(7, out, |out| put_logical_type(logical, out)),
    }
}

fn put_logical_type(logical: &LogicalType, out: &mut Vec<u8>) {
    put_run(1, logical.urn.as_bytes(), out);
    put_run(2, &logical.payload, out);
    if let Some(representation) = &logical.representation {
        put_message(3, out, |out| put_field_type(representation, out));
    }
    if let Some((argument_type, argument)) = &logical.argument {
        put_message(4, out, |out| put_field_type(argument_type, out));
        put_message(5, out, |out| put_atomic_value(argument, out));
    }
}

fn put_atomic_value(value: &Value, out: &mut Vec<u8>) {
    put_message(1, out, |out| match value {
        Value::Byte(n) => put_number(1, i64::from(*n) as u64, out),
        Value::Int16(n) => put_number(2, i64::from(*n) as u64, out),
        Value::Int32(n) => put_number(3, i64::from(*n) as u64, out),
        Value::Int64(n) => put_number(4, *n as u64, out),
        Value::Float(x) => {
            put_varint(out, 5 << 3 | 5);
            out.extend_from_slice(&x.to_bits().to_le_bytes());
        }
        Value::Double(x) => {
            put_varint(out, 6 << 3 | 1);
            out.extend_from_slice(&x.to_bits().to_le_bytes());
        }
        Value::String(text) => put_message(7, out, |out| out.extend_from_slice(text.as_bytes())),
        Value::Boolean(b) => put_number(8, u64::from(*b), out),
        Value::Bytes(bytes) => put_message(9, out, |out| out.extend_from_slice(bytes)),
        // Arguments are read as atomic values only.
        _ => {}
    });
}
