//! What `#[derive(Row)]` calls: the code that is the same for all structs.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use super::header::put_header;
use super::{Field, FieldType, FieldValue, Kind, Row, Schema, Value, read};
use crate::element::{Input, Nesting};
use crate::error::Result;

pub use super::reader::RowReader;

/// The field of a struct.
pub fn field<T: FieldValue>(name: &'static str, description: &'static str) -> Field {
    Field::new(name, T::field_type()).described(description)
}

/// The field of a struct that has a default.
pub fn field_or<T: FieldValue>(name: &'static str, description: &'static str, default: T) -> Field {
    let field_type = T::field_type().nullable();
    let text = match written(&default) {
        Ok(value) => format!("Default: {value}"),
        Err(_) => String::new(),
    };
    let space = if description.is_empty() { "" } else { " " };
    Field::new(name, field_type).described(Cow::Owned(format!("{description}{space}{text}")))
}

fn written<T: FieldValue>(value: &T) -> Result<Value> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let mut bytes = Vec::new();
    value.put_field(&mut bytes);
    read::read_value(&T::field_type(), &mut Input::new(&bytes))
}

/// The schema of a struct, made once.
///
/// # Panics
/// Two fields of one name, which the derive refuses.
pub fn schema(
    once: &'static OnceLock<Arc<Schema>>,
    fields: impl FnOnce() -> Vec<Field>,
) -> &'static Arc<Schema> {
    once.get_or_init(|| {
        let schema = Schema::with_content_id(fields());
        Arc::new(schema.expect("the derive refuses fields of equal names"))
    })
}

/// The type of a field that holds the struct.
pub fn field_type<R: Row>() -> FieldType {
    Kind::Row(R::schema().clone()).into()
}

/// Appends one row.
#[inline]
pub fn put<R: Row>(row: &R, out: &mut Vec<u8>) {
    put_header(out, R::FIELDS, |index| row.null_at(index));
    row.put_values(out);
}

/// Reads one row.
///
/// # Errors
/// Bytes that end early or that the schema does not allow.
#[inline]
pub fn read<R: Row>(input: &mut Input<'_>, at: Nesting) -> Result<R> {
    let mut reader = RowReader::new(input, R::FIELDS, at)?;
    let row = R::read_values(&mut reader)?;
    reader.finish();
    Ok(row)
}

/// Steps over one row.
///
/// # Errors
/// Bytes that end early or that the schema does not allow.
pub fn skip<R: Row>(input: &mut Input<'_>, at: Nesting) -> Result<()> {
    read::skip_row(R::schema(), input, at)
}
