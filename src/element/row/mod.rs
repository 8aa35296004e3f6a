//! Rows: records with named, typed fields that every SDK understands (`beam:coder:row:v1`).

mod adapt;
mod any;
mod codec;
mod decimal;
#[doc(hidden)]
pub mod derived;
mod field;
mod instant;
mod layout;
mod logical;
mod proto;
mod reader;
mod schema;
mod typed;
mod value;

pub use adapt::{Match, RowAdapter};
pub use decimal::Decimal;
pub use field::{FieldValue, MapKey};
pub use layout::RowLayout;
pub use schema::{Field, FieldType, Kind, LogicalType, NullBits, Schema};
pub use typed::Row;
pub use value::{DynRow, Value};

/// Whether rows of both serialized schemas have the same bytes and field names.
pub(super) fn same_rows(a: &[u8], b: &[u8]) -> crate::Result<bool> {
    Ok(Schema::from_proto(a)?.same_rows(&Schema::from_proto(b)?))
}
