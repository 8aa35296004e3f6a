//! Logical types: encoded as their representation, with three exceptions.

use super::read::{read_value, skip_value};
use super::write::{misfit, put_value};
use super::{FieldType, Kind, LogicalType, Value, any};
use crate::element::Input;
use crate::error::{Error, Result};

/// URNs of the logical types whose bytes differ from those of their representation, and of those that we publish.
pub(super) mod urn {
    /// Declared as an int64, written as a timestamp: eight bytes that sort as times do.
    pub(crate) const MILLIS_INSTANT: &str = "beam:logical_type:millis_instant:v1";
    /// Seconds and microseconds.
    pub(crate) const MICROS_INSTANT: &str = "beam:logical_type:micros_instant:v1";
    /// Seconds, and parts of a second of the precision that the argument gives.
    pub(crate) const TIMESTAMP: &str = "beam:logical_type:timestamp:v1";
    /// Declared as bytes, written as a scale and the bytes of an integer.
    pub(crate) const DECIMAL: &str = "beam:logical_type:decimal:v1";
    /// Declared as a row of a type byte and bytes, or not at all; written as any value of Python's.
    pub(crate) const PYTHON_ANY: &str = "beam:logical:pythonsdk_any:v1";
}

pub(super) fn read(logical: &LogicalType, input: &mut Input<'_>) -> Result<Value> {
    match logical.urn.as_ref() {
        urn::MILLIS_INSTANT => {
            // Not through `Timestamp`, which stops at the ends of time: what is read must be written again.
            let bits = u64::from_be_bytes(input.array()?);
            Ok(Value::Int64((bits ^ (1 << 63)) as i64))
        }
        urn::DECIMAL => super::Decimal::decode(input).map(Value::Decimal),
        urn::PYTHON_ANY => any::read(input),
        _ => read_value(representation(logical)?, input),
    }
}

pub(super) fn skip(logical: &LogicalType, input: &mut Input<'_>) -> Result<()> {
    match logical.urn.as_ref() {
        urn::MILLIS_INSTANT => input.take(8).map(drop),
        urn::DECIMAL => super::Decimal::skip(input),
        urn::PYTHON_ANY => any::skip(input),
        _ => skip_value(representation(logical)?, input),
    }
}

pub(super) fn put(logical: &LogicalType, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match (logical.urn.as_ref(), value) {
        (urn::MILLIS_INSTANT, Value::Int64(millis)) => {
            out.extend_from_slice(&((*millis as u64) ^ (1 << 63)).to_be_bytes());
        }
        (urn::DECIMAL, Value::Decimal(decimal)) => decimal.encode(out),
        (urn::MILLIS_INSTANT | urn::DECIMAL, value) => {
            return Err(misfit(
                &FieldType::from(Kind::Logical(Box::new(logical.clone()))),
                value,
            ));
        }
        (urn::PYTHON_ANY, value) => any::put(value, out)?,
        (_, value) => put_value(representation(logical)?, value, out)?,
    }
    Ok(())
}

fn representation(logical: &LogicalType) -> Result<&FieldType> {
    logical.representation.as_ref().ok_or_else(|| {
        Error::decode(format!(
            "the type {} does not say how it is represented; give the column a standard type",
            logical.urn
        ))
    })
}
