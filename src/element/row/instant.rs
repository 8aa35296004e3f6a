//! Points in time: three logical types, one meaning.

use std::sync::Arc;

use super::logical::urn;
use super::{DynRow, Field, FieldType, Kind, LogicalType, Schema, Value};
use crate::error::{Error, Result};

/// Seconds since 1970, and nanoseconds from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instant {
    seconds: i64,
    /// From 0 to 999,999,999.
    nanos: u32,
}

impl Instant {
    /// Whether values of this type are points in time.
    pub(super) fn is_type(logical: &LogicalType) -> bool {
        matches!(
            logical.urn.as_ref(),
            urn::MILLIS_INSTANT | urn::MICROS_INSTANT | urn::TIMESTAMP
        )
    }

    pub(super) fn from_millis(millis: i64) -> Self {
        Instant {
            seconds: millis.div_euclid(1000),
            nanos: millis.rem_euclid(1000) as u32 * 1_000_000,
        }
    }

    /// Milliseconds since 1970, rounded towards the past.
    pub(super) fn millis(self) -> i64 {
        let millis = i64::from(self.nanos / 1_000_000);
        self.seconds.saturating_mul(1000).saturating_add(millis)
    }

    /// Seconds, and microseconds from there on, rounded towards the past.
    pub(super) fn micros(self) -> (i64, i64) {
        (self.seconds, i64::from(self.nanos / 1000))
    }

    /// From seconds and a number of parts of 10^−`digits` seconds.
    ///
    /// # Errors
    /// As many parts as make a second.
    pub(super) fn from_parts(seconds: i64, parts: i64, digits: u32) -> Result<Self> {
        let nanos = parts.checked_mul(10i64.pow(9u32.saturating_sub(digits)));
        match nanos.and_then(|n| u32::try_from(n).ok()) {
            Some(nanos) if nanos < 1_000_000_000 => Ok(Instant { seconds, nanos }),
            _ => Err(Error::decode(format!(
                "{parts} parts of 10^-{digits} seconds are not within a second"
            ))),
        }
    }

    /// The point in time that a value of the type means.
    pub(super) fn read(logical: &LogicalType, value: &Value) -> Result<Self> {
        match (logical.urn.as_ref(), value) {
            (urn::MILLIS_INSTANT, Value::Int64(millis)) => Ok(Instant::from_millis(*millis)),
            (_, Value::Row(row)) => {
                let parts = match *row.value(1) {
                    Value::Int16(n) => n.into(),
                    Value::Int32(n) => n.into(),
                    Value::Int64(n) => n,
                    _ => return Err(no_instant(value)),
                };
                let Value::Int64(seconds) = *row.value(0) else {
                    return Err(no_instant(value));
                };
                Instant::from_parts(seconds, parts, digits(logical)?)
            }
            _ => Err(no_instant(value)),
        }
    }

    /// The value of the type that means this point in time, rounded towards the past.
    pub(super) fn write(self, logical: &LogicalType) -> Result<Value> {
        if logical.urn == urn::MILLIS_INSTANT {
            return Ok(Value::Int64(self.millis()));
        }
        let parts = i64::from(self.nanos / 10u32.pow(9 - digits(logical)?));
        let Some(Kind::Row(schema)) = logical.representation.as_ref().map(|r| &r.kind) else {
            return Err(Error::decode(format!(
                "{} is not declared as a row",
                logical.urn
            )));
        };
        let subseconds = match schema.fields().get(1).map(|f| &f.field_type.kind) {
            Some(Kind::Int16) => Value::Int16(parts as i16),
            Some(Kind::Int32) => Value::Int32(parts as i32),
            _ => Value::Int64(parts),
        };
        let row = DynRow::new(schema.clone(), vec![Value::Int64(self.seconds), subseconds])?;
        Ok(Value::Row(row))
    }
}

/// How many digits after the second a type keeps.
fn digits(logical: &LogicalType) -> Result<u32> {
    match (logical.urn.as_ref(), &logical.argument) {
        (urn::MICROS_INSTANT, _) => Ok(6),
        (_, Some((_, Value::Int32(n @ 0..=9)))) => Ok(*n as u32),
        _ => Err(Error::decode(format!(
            "{} has no precision between 0 and 9 digits",
            logical.urn
        ))),
    }
}

#[cold]
fn no_instant(value: &Value) -> Error {
    Error::decode(format!("a {} is no point in time", value.kind()))
}

/// The type that Python and Java both read as a timestamp: a row of seconds and microseconds.
pub(super) fn micros_instant() -> FieldType {
    let int64 = |name| Field::new(name, Kind::Int64);
    let fields = vec![int64("seconds"), int64("micros")];
    let row = Schema::with_content_id(fields).map(|schema| Kind::Row(Arc::new(schema)));
    FieldType::logical(
        urn::MICROS_INSTANT,
        row.expect("two fields of different names"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precisions_round_towards_the_past() {
        let instant = Instant::from_millis(-1500);
        assert_eq!(
            instant,
            Instant {
                seconds: -2,
                nanos: 500_000_000
            }
        );
        assert_eq!(instant.millis(), -1500);
        let instant = Instant::from_parts(-1, 999_999, 6).expect("within a second");
        assert_eq!(instant.millis(), -1);
        assert_eq!(instant.micros(), (-1, 999_999));
        assert!(Instant::from_parts(0, 1000, 3).is_err());
        assert!(Instant::from_parts(0, -1, 3).is_err());
        assert!(Instant::from_parts(0, i64::MAX, 0).is_err());
    }
}
