//! Hex in, hex out.

use std::sync::Arc;

use ferrobeam::element::{Coder, Input, Layout, Nesting};
use ferrobeam::{DynRow, Result, Schema};

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| (b as char).to_digit(16).expect("hex") as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn schema(hex: &str) -> Arc<Schema> {
    Arc::new(Schema::from_proto(&bytes(hex)).unwrap())
}

/// The layout of the row coder with this schema.
pub(crate) fn layout_of(schema_hex: &str) -> Layout {
    let coder = Coder::foreign("beam:coder:row:v1", bytes(schema_hex));
    Layout::of(&coder).unwrap()
}

/// Reads a row that fills all bytes.
pub(crate) fn read(schema: &Arc<Schema>, hex: &str) -> Result<DynRow> {
    let wire = bytes(hex);
    let mut input = Input::new(&wire);
    let row = DynRow::decode(schema, &mut input, Nesting::Outer)?;
    assert!(input.is_empty(), "bytes are left over");
    Ok(row)
}

pub(crate) fn row_bytes(row: &DynRow) -> String {
    let mut out = Vec::new();
    row.encode(&mut out).unwrap();
    hex(&out)
}
