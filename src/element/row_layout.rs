//! Stepping over rows.

use super::Input;
use super::coder::Coder;
use crate::error::{Error, Result};

/// The shape of a schema's rows.
#[derive(Debug, Clone)]
pub struct RowLayout {}

impl RowLayout {
    /// The shape of a row coder's rows.
    ///
    /// # Errors
    /// A schema that breaks the rules.
    pub fn of(_coder: &Coder) -> Result<Self> {
        Err(Error::descriptor(
            "rows without a length prefix are not supported yet",
        ))
    }

    /// Steps over one row.
    ///
    /// # Errors
    /// Bytes that end early or that the schema does not allow.
    pub fn skip(&self, _input: &mut Input<'_>) -> Result<()> {
        Err(Error::decode(
            "rows without a length prefix are not supported yet",
        ))
    }
}
