//! Decimal numbers of any size, exact.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use super::primitive::{put_run, read_int32};
use crate::element::{Input, put_varint};
use crate::error::{Error, Result};

/// A decimal number: an integer of any size, and how many of its digits stand after the point.
///
/// Numbers of equal value and different scale (`1.0`, `1.00`) are different decimals, as their bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    scale: i32,
    /// Two's complement, most significant byte first; never empty.
    unscaled: Bytes,
}

impl Decimal {
    /// `unscaled` · 10^−`scale`.
    pub fn new(unscaled: i128, scale: i32) -> Self {
        let bytes = unscaled.to_be_bytes();
        // A leading byte may go where it only repeats the sign of what follows.
        let spare = bytes
            .windows(2)
            .take_while(|pair| {
                (pair[0] == 0 && pair[1] < 0x80) || (pair[0] == 0xff && pair[1] >= 0x80)
            })
            .count();
        Decimal {
            scale,
            unscaled: Bytes::copy_from_slice(&bytes[spare..]),
        }
    }

    /// How many digits stand after the point; negative where zeros follow before it.
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// The digits as one integer, where 128 bits hold it.
    pub fn unscaled(&self) -> Option<i128> {
        if self.unscaled.len() > 16 {
            return None;
        }
        let negative = self.unscaled.first().is_some_and(|byte| *byte >= 0x80);
        let mut bytes = [if negative { 0xff } else { 0 }; 16];
        bytes[16 - self.unscaled.len()..].copy_from_slice(&self.unscaled);
        Some(i128::from_be_bytes(bytes))
    }

    pub(super) fn decode(input: &mut Input<'_>) -> Result<Self> {
        let scale = read_int32(input)?;
        let length = input.length()?;
        if length == 0 {
            return Err(Error::decode("a decimal has no digits"));
        }
        let unscaled = input.bytes(length)?;
        Ok(Decimal { scale, unscaled })
    }

    pub(super) fn skip(input: &mut Input<'_>) -> Result<()> {
        input.varint()?;
        let length = input.length()?;
        input.take(length).map(drop)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.scale as u32));
        put_run(&self.unscaled, out);
    }
}

impl fmt::Display for Decimal {
    /// Plain digits; an integer beyond 128 bits, or a scale beyond a hundred digits, as `0x…e−scale`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(unscaled), -100..=100) = (self.unscaled(), self.scale) else {
            f.write_str("0x")?;
            for byte in &self.unscaled {
                write!(f, "{byte:02x}")?;
            }
            return write!(f, "e{}", -i64::from(self.scale));
        };
        let sign = if unscaled < 0 { "-" } else { "" };
        let digits = unscaled.unsigned_abs().to_string();
        let Ok(after) = usize::try_from(self.scale) else {
            let zeros = self.scale.unsigned_abs() as usize;
            return write!(f, "{sign}{digits}{:0<zeros$}", "");
        };
        let digits = format!("{digits:0>width$}", width = after + 1);
        let (whole, fraction) = digits.split_at(digits.len() - after);
        let point = if after > 0 { "." } else { "" };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

impl FromStr for Decimal {
    type Err = Error;

    /// Reads digits with at most one point, such as `-100.123`; the digits after the point are the scale.
    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::decode(format!(
                "`{text}` is not a decimal number of at most 38 digits"
            ))
        };
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let plain = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(fraction) {
            return Err(bad());
        }
        let sign = if text.starts_with('-') { "-" } else { "" };
        let unscaled = format!("{sign}{whole}{fraction}")
            .parse()
            .map_err(|_| bad())?;
        Ok(Decimal::new(unscaled, fraction.len() as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in [
            "0",
            "0.0",
            "3.1415",
            "-100.123",
            "-0.05",
            "123456789012345678901234567890.5",
        ] {
            let decimal: Decimal = text.parse().expect("a number");
            assert_eq!(decimal.to_string(), text);
        }
        assert_eq!(Decimal::new(12, -3).to_string(), "12000");
        for text in ["", ".", "1.2.3", "--1", "1e5", "0x1", "1 "] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn digits_take_as_few_bytes_as_their_sign_allows() {
        let bytes = |unscaled| Decimal::new(unscaled, 0).unscaled.to_vec();
        assert_eq!(bytes(0), [0]);
        assert_eq!(bytes(127), [0x7f]);
        assert_eq!(bytes(128), [0, 0x80]);
        assert_eq!(bytes(-1), [0xff]);
        assert_eq!(bytes(-128), [0x80]);
        assert_eq!(bytes(-129), [0xff, 0x7f]);
        assert_eq!(Decimal::new(i128::MIN, 0).unscaled(), Some(i128::MIN));
    }

    #[test]
    fn what_128_bits_cannot_hold_is_shown_in_hex() {
        let mut bytes = vec![2, 17];
        bytes.extend([0x7f; 17]);
        let decimal = Decimal::decode(&mut Input::new(&bytes)).expect("valid");
        assert_eq!(decimal.unscaled(), None);
        assert_eq!(decimal.to_string(), format!("0x{}e-2", "7f".repeat(17)));
        let mut out = Vec::new();
        decimal.encode(&mut out);
        assert_eq!(out, bytes);
    }
}
