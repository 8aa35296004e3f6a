//! Panes: which firing of a window an element belongs to.

use super::{Input, put_varint};
use crate::error::Result;

/// When a pane fired, seen from the watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timing {
    /// Before the watermark passed the end of the window.
    Early,
    /// When it passed.
    OnTime,
    /// After it passed.
    Late,
    /// No trigger was involved.
    Unknown,
}

/// Which firing of a window an element belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pane {
    /// No firing of this window came before.
    pub first: bool,
    /// No firing of this window comes after.
    pub last: bool,
    /// When it fired.
    pub timing: Timing,
    /// The number of firings before, of any timing.
    pub index: i64,
    /// The number of on-time and late firings before; −1 for an early one.
    pub non_speculative: i64,
}

/// Set in a pane's first byte when element metadata follows the pane.
const METADATA: u8 = 0x80;

impl Pane {
    /// The pane of an element that no trigger has seen.
    pub const NO_FIRING: Pane = Pane {
        first: true,
        last: true,
        timing: Timing::Unknown,
        index: 0,
        non_speculative: 0,
    };

    /// Appends the wire form, with the bit for metadata as told.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>, metadata: bool) {
        if *self == Pane::NO_FIRING && !metadata {
            out.push(0x0f);
        } else {
            self.encode_any(out, metadata);
        }
    }

    fn encode_any(&self, out: &mut Vec<u8>, metadata: bool) {
        let timing = match self.timing {
            Timing::Early => 0,
            Timing::OnTime => 1,
            Timing::Late => 2,
            Timing::Unknown => 3,
        };
        let derived = if self.timing == Timing::Early {
            -1
        } else {
            self.index
        };
        let form: u8 =
            if self.timing == Timing::Unknown || (self.index == 0 && self.non_speculative == 0) {
                0
            } else if self.non_speculative == derived {
                1
            } else {
                2
            };
        let flags = u8::from(self.first) | u8::from(self.last) << 1 | timing << 2 | form << 4;
        out.push(flags | if metadata { METADATA } else { 0 });
        if form >= 1 {
            put_varint(out, self.index as u64);
        }
        if form == 2 {
            put_varint(out, self.non_speculative as u64);
        }
    }

    /// Reads the wire form, and whether element metadata follows.
    ///
    /// # Errors
    /// Bytes that end early, or an index form that is not defined.
    #[inline]
    pub fn decode(input: &mut Input<'_>) -> Result<(Self, bool)> {
        let byte = input.byte()?;
        if byte == 0x0f {
            Ok((Pane::NO_FIRING, false))
        } else {
            Pane::decode_any(byte, input)
        }
    }

    fn decode_any(byte: u8, input: &mut Input<'_>) -> Result<(Self, bool)> {
        let timing = match byte >> 2 & 3 {
            0 => Timing::Early,
            1 => Timing::OnTime,
            2 => Timing::Late,
            _ => Timing::Unknown,
        };
        let (index, non_speculative) = match byte >> 4 & 7 {
            0 => (0, 0),
            1 => {
                let index = input.varint()? as i64;
                (index, if timing == Timing::Early { -1 } else { index })
            }
            2 => (input.varint()? as i64, input.varint()? as i64),
            form => {
                return Err(crate::Error::decode(format!(
                    "a pane has the unknown index form {form}"
                )));
            }
        };
        let pane = Pane {
            first: byte & 1 != 0,
            last: byte & 2 != 0,
            timing,
            index,
            non_speculative,
        };
        Ok((pane, byte & METADATA != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pane: Pane, bytes: &[u8]) {
        let mut out = Vec::new();
        pane.encode(&mut out, false);
        assert_eq!(out, bytes);
        let mut input = Input::new(bytes);
        assert_eq!(Pane::decode(&mut input).expect("valid"), (pane, false));
        assert!(input.is_empty());
    }

    #[test]
    fn golden_bytes() {
        let pane = |first, last, timing, index, non_speculative| Pane {
            first,
            last,
            timing,
            index,
            non_speculative,
        };
        check(Pane::NO_FIRING, &[0x0f]);
        check(pane(true, true, Timing::OnTime, 0, 0), &[0x07]);
        check(pane(true, false, Timing::Early, 0, -1), &[0x11, 0x00]);
        check(pane(false, false, Timing::Early, 3, -1), &[0x10, 0x03]);
        check(
            pane(false, false, Timing::OnTime, 3, 0),
            &[0x24, 0x03, 0x00],
        );
        check(pane(false, true, Timing::Late, 5, 2), &[0x2a, 0x05, 0x02]);
    }

    #[test]
    fn the_metadata_bit_is_masked_and_reported() {
        assert_eq!(
            Pane::decode(&mut Input::new(&[0x8f])).expect("valid"),
            (Pane::NO_FIRING, true)
        );
        let mut out = Vec::new();
        Pane::NO_FIRING.encode(&mut out, true);
        assert_eq!(out, [0x8f]);
    }

    #[test]
    fn unknown_forms_are_errors() {
        assert!(Pane::decode(&mut Input::new(&[0x7f, 1, 1])).is_err());
        assert!(Pane::decode(&mut Input::new(&[0x17])).is_err());
    }
}
