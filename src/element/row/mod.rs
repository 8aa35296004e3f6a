//! Rows: records with named, typed fields that every SDK understands (`beam:coder:row:v1`).

mod any;
mod codec;
mod decimal;
mod layout;
mod logical;
mod proto;
mod schema;
mod value;

pub use decimal::Decimal;
pub use layout::RowLayout;
pub use schema::{Field, FieldType, Kind, LogicalType, NullBits, Schema};
pub use value::{DynRow, Value};

/// Whether rows of both serialized schemas have the same bytes and field names.
pub(super) fn same_rows(a: &[u8], b: &[u8]) -> crate::Result<bool> {
    Ok(Schema::from_proto(a)?.same_rows(&Schema::from_proto(b)?))
}
