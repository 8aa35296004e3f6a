//! Stepping over rows.

use std::sync::Arc;

use super::{Schema, read};
use crate::element::coder::Coder;
use crate::element::{Input, Nesting};
use crate::error::Result;

/// The shape of a schema's rows.
#[derive(Debug, Clone)]
pub struct RowLayout {
    schema: Arc<Schema>,
}

impl RowLayout {
    /// The shape of a row coder's rows.
    ///
    /// # Errors
    /// A schema that breaks the rules.
    pub fn of(coder: &Coder) -> Result<Self> {
        Ok(RowLayout {
            schema: Arc::new(Schema::of_coder(coder)?),
        })
    }

    /// Steps over one row.
    ///
    /// # Errors
    /// Bytes that end early or that the schema does not allow.
    pub fn skip(&self, input: &mut Input<'_>, at: Nesting) -> Result<()> {
        read::skip_row(&self.schema, input, at)
    }
}
