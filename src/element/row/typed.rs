//! Structs as rows.

use std::sync::Arc;

use super::adapt::{Match, RowAdapter};
use super::reader::RowReader;
use super::{DynRow, FieldValue, Schema};
use crate::element::{Element, Input, Nesting, decoded, encoded};
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
        decoded(&bytes, Nesting::Outer)
    }

    /// The same values as a row without a type.
    ///
    /// # Errors
    /// Values of hand-written field types whose bytes do not fit their published type.
    fn to_row(&self) -> Result<DynRow> {
        let bytes = encoded(self, Nesting::Outer);
        DynRow::decode(Self::schema(), &mut Input::new(&bytes), Nesting::Outer)
    }
}
