//! Structs as rows.

use std::sync::Arc;

use super::adapt::{Match, RowAdapter};
use super::reader::RowReader;
use super::{DynRow, Field, FieldType, FieldValue, Schema, codec};
use crate::element::{Element, Input, Nesting};
use crate::error::Result;

/// A struct whose values travel as rows, which every SDK reads: `#[derive(Row)]`.
///
/// The derive makes the struct an [`Element`] whose coder is `beam:coder:row:v1` with the struct's schema, and a
/// [`FieldValue`], so that rows nest. Doc comments on fields become their descriptions.
///
/// - `#[beam(rename = "name")]` on a field publishes another name.
/// - `#[beam(default = expression)]` on a field publishes it as nullable, and puts the expression's value where it is
///   null or missing. Meant for configurations.
///
/// ```
/// use ferrobeam::{Element, Row};
///
/// #[derive(Clone, Row)]
/// struct Order {
///     /// Who ordered.
///     customer: String,
///     cents: i64,
///     note: Option<String>,
/// }
///
/// assert_eq!(Order::schema().to_string(), "row<customer: string, cents: int64, note: string?>");
/// ```
///
/// A struct gets an id for its schema from the fields, so equal programs publish equal schemas. A row that was written
/// by another schema (more fields, another order) must go through [`Row::from_row`], or through a transcoder of the two
/// coders.
pub trait Row: Element + FieldValue {
    /// How many fields there are.
    #[doc(hidden)]
    const FIELDS: usize;

    /// The names and types of the fields.
    fn schema() -> &'static Arc<Schema>;

    /// Whether the field at `index` is null.
    #[doc(hidden)]
    fn null_at(&self, index: usize) -> bool;

    /// Appends the values of the fields that are not null.
    #[doc(hidden)]
    fn put_values(&self, out: &mut Vec<u8>);

    /// Reads the fields.
    #[doc(hidden)]
    fn read_values(reader: &mut RowReader<'_, '_>) -> Result<Self>;

    /// From a row of another schema: fields match by name, values are converted where they keep their meaning.
    ///
    /// # Errors
    /// A required field that is missing or null, a value that does not fit, or one for an unknown field. The error
    /// names the field.
    fn from_row(row: DynRow) -> Result<Self> {
        let adapter = RowAdapter::between(row.schema(), Self::schema(), Match::Config)?;
        let mut bytes = Vec::new();
        adapter.apply(row)?.encode(&mut bytes)?;
        crate::element::decoded(&bytes, Nesting::Outer)
    }

    /// The same values as a row without a type.
    ///
    /// # Errors
    /// Values of hand-written field types whose bytes do not fit their published type.
    fn to_row(&self) -> Result<DynRow> {
        let bytes = crate::element::encoded(self, Nesting::Outer);
        DynRow::decode(Self::schema(), &mut Input::new(&bytes), Nesting::Outer)
    }
}

/// What `#[derive(Row)]` calls.
#[doc(hidden)]
pub mod derived {
    use std::borrow::Cow;
    use std::sync::OnceLock;

    use super::*;
    use crate::element::row::Value;

    pub use super::super::reader::RowReader;

    /// The field of a struct.
    pub fn field<T: FieldValue>(name: &'static str, description: &'static str) -> Field {
        Field::new(name, T::field_type()).described(description)
    }

    /// The field of a struct that has a default.
    pub fn field_or<T: FieldValue>(
        name: &'static str,
        description: &'static str,
        default: T,
    ) -> Field {
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
        codec::read_value(&T::field_type(), &mut Input::new(&bytes))
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
        super::super::Kind::Row(R::schema().clone()).into()
    }

    /// Appends one row.
    #[inline]
    pub fn put<R: Row>(row: &R, out: &mut Vec<u8>) {
        codec::put_header(out, R::FIELDS, |index| row.null_at(index));
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
        codec::skip_row(R::schema(), input, at)
    }
}
