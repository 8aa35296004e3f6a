//! Rows: records with named, typed fields that every SDK understands (`beam:coder:row:v1`).

mod adapt;
mod any;
mod decimal;
#[doc(hidden)]
pub mod derived;
mod field;
mod field_type;
mod header;
mod instant;
mod layout;
mod logical;
mod primitive;
mod proto;
mod read;
mod reader;
mod saved;
mod schema;
mod typed;
mod value;
mod write;

pub use adapt::{Match, RowAdapter};
pub use decimal::Decimal;
pub use field::{FieldValue, MapKey};
pub use field_type::{FieldType, Kind, LogicalType};
pub use layout::RowLayout;
pub use schema::{Field, NullBits, Schema};
pub use typed::Row;
pub use value::{DynRow, Value};

/// Whether rows of both serialized schemas have the same bytes and field names.
pub(super) fn same_rows(a: &[u8], b: &[u8]) -> crate::Result<bool> {
    Ok(Schema::from_proto(a)?.same_rows(&Schema::from_proto(b)?))
}
