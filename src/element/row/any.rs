//! Values of Python's `any` type: what Python infers for a column whose values differ in type.
//!
//! The bytes are those of Python's own coder for unknown types, a type byte and the value, and not those of the
//! representation that the schema declares. Plain values are read; pickled ones belong to Python alone.

use bytes::Bytes;

use super::Value;
use super::primitive::{check_count, put_run, read_bool, read_list, read_text};
use crate::element::{Input, put_varint};
use crate::error::{Error, Result};

const NONE: u8 = 0;
const INT: u8 = 1;
const FLOAT: u8 = 2;
const BYTES: u8 = 3;
const TEXT: u8 = 4;
const LIST: u8 = 5;
const TUPLE: u8 = 6;
const DICT: u8 = 7;
const SET: u8 = 8;
const BOOL: u8 = 9;
const ITERABLE: u8 = 10;

pub(super) fn read(input: &mut Input<'_>) -> Result<Value> {
    Ok(match input.byte()? {
        NONE => Value::Null,
        INT => Value::Int64(input.varint()? as i64),
        FLOAT => Value::Double(f64::from_bits(u64::from_be_bytes(input.array()?))),
        BYTES => {
            let length = input.length()?;
            Value::Bytes(input.bytes(length)?)
        }
        TEXT => Value::String(read_text(input)?.to_owned()),
        BOOL => Value::Boolean(read_bool(input)?),
        LIST | TUPLE | SET => {
            let mut values = Vec::new();
            counted(input, 1, |input| {
                values.push(read(input)?);
                Ok(())
            })?;
            Value::List(values)
        }
        ITERABLE => {
            let mut values = Vec::new();
            read_list(input, |input| {
                values.push(read(input)?);
                Ok(())
            })?;
            Value::List(values)
        }
        DICT => {
            let mut entries = Vec::new();
            counted(input, 2, |input| {
                let key = read(input)?;
                entries.push((key, read(input)?));
                Ok(())
            })?;
            Value::Map(entries)
        }
        tag => return Err(foreign(tag)),
    })
}

pub(super) fn skip(input: &mut Input<'_>) -> Result<()> {
    match input.byte()? {
        NONE => Ok(()),
        INT => input.varint().map(drop),
        FLOAT => input.take(8).map(drop),
        BYTES | TEXT => {
            let length = input.length()?;
            input.take(length).map(drop)
        }
        BOOL => input.take(1).map(drop),
        LIST | TUPLE | SET => counted(input, 1, skip),
        ITERABLE => read_list(input, skip),
        DICT => counted(input, 2, |input| {
            skip(input)?;
            skip(input)
        }),
        tag => Err(foreign(tag)),
    }
}

/// Walks over a varint count of items, each of which takes at least `least` bytes.
fn counted<'a>(
    input: &mut Input<'a>,
    least: u64,
    mut item: impl FnMut(&mut Input<'a>) -> Result<()>,
) -> Result<()> {
    let count = input.varint()?;
    check_count(input, count.saturating_mul(least))?;
    input.enter()?;
    for _ in 0..count {
        item(input)?;
    }
    input.leave();
    Ok(())
}

pub(super) fn put(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Null => out.push(NONE),
        Value::Byte(n) => put_int(i64::from(*n), out),
        Value::Int16(n) => put_int(i64::from(*n), out),
        Value::Int32(n) => put_int(i64::from(*n), out),
        Value::Int64(n) => put_int(*n, out),
        Value::Float(x) => put_float(f64::from(*x), out),
        Value::Double(x) => put_float(*x, out),
        Value::String(text) => {
            out.push(TEXT);
            put_run(text.as_bytes(), out);
        }
        Value::Boolean(b) => out.extend_from_slice(&[BOOL, u8::from(*b)]),
        Value::Bytes(bytes) => put_bytes(bytes, out),
        Value::List(values) => {
            out.push(LIST);
            put_varint(out, values.len() as u64);
            for value in values {
                put(value, out)?;
            }
        }
        Value::Map(entries) => {
            out.push(DICT);
            put_varint(out, entries.len() as u64);
            for (key, value) in entries {
                put(key, out)?;
                put(value, out)?;
            }
        }
        Value::Row(_) | Value::Decimal(_) => {
            return Err(Error::decode(format!(
                "a {} has no form that Python's any type shares with Rust; give the column a schema",
                value.kind()
            )));
        }
    }
    Ok(())
}

fn put_int(n: i64, out: &mut Vec<u8>) {
    out.push(INT);
    put_varint(out, n as u64);
}

fn put_float(x: f64, out: &mut Vec<u8>) {
    out.push(FLOAT);
    out.extend_from_slice(&x.to_bits().to_be_bytes());
}

fn put_bytes(bytes: &Bytes, out: &mut Vec<u8>) {
    out.push(BYTES);
    put_run(bytes, out);
}

#[cold]
fn foreign(tag: u8) -> Error {
    Error::decode(format!(
        "it holds a Python object (type byte {tag}) of the type any, which only Python can read; \
         give the column a type: output_type or with_output_types in Python, output_type in YAML"
    ))
}
