//! Event time in milliseconds.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use super::Input;
use crate::error::Result;

/// A point in event time: milliseconds since 1970-01-01T00:00Z.
///
/// Beam's wire knows milliseconds only. Whatever has finer units must be rounded towards the past (floor), also before
/// 1970. Arithmetic stops at [`Timestamp::MIN`] and [`Timestamp::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest event time: −9223372036854775 ms.
    pub const MIN: Timestamp = Timestamp(-9_223_372_036_854_775);
    /// The latest event time: 9223372036854775 ms.
    pub const MAX: Timestamp = Timestamp(9_223_372_036_854_775);
    /// The last millisecond of the global window: 9223371950454775 ms, one day before [`Timestamp::MAX`].
    pub const GLOBAL_WINDOW_END: Timestamp = Timestamp(9_223_371_950_454_775);

    /// From milliseconds since 1970; beyond the ends of time it is the end.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < Self::MIN.0 {
            Self::MIN
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Timestamp(millis)
        }
    }

    /// From microseconds since 1970, rounded towards the past.
    pub const fn from_micros(micros: i64) -> Self {
        Self::from_millis(micros.div_euclid(1000))
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The eight bytes of the wire: the sign flipped, big-endian, so that bytes sort as times do.
    #[inline]
    pub fn to_wire(self) -> [u8; 8] {
        ((self.0 as u64) ^ (1 << 63)).to_be_bytes()
    }

    /// The time that eight bytes of the wire say.
    #[inline]
    pub fn from_wire(bytes: [u8; 8]) -> Self {
        Self::from_millis((u64::from_be_bytes(bytes) ^ (1 << 63)) as i64)
    }

    /// Appends the eight bytes of the wire.
    #[inline]
    pub fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_wire());
    }

    /// Reads the eight bytes of the wire.
    ///
    /// # Errors
    /// Fewer than eight bytes are left.
    #[inline]
    pub fn decode(input: &mut Input<'_>) -> Result<Self> {
        input.array::<8>().map(Self::from_wire)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, by: Duration) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_add(millis(by)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    fn sub(self, by: Duration) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_sub(millis(by)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_form() {
        let bytes = |t: Timestamp| {
            let mut out = Vec::new();
            t.encode(&mut out);
            out
        };
        assert_eq!(
            bytes(Timestamp::from_millis(0)),
            [0x80, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(
            bytes(Timestamp::MIN),
            [0x7f, 0xdf, 0x3b, 0x64, 0x5a, 0x1c, 0xac, 0x09]
        );
        assert_eq!(
            bytes(Timestamp::MAX),
            [0x80, 0x20, 0xc4, 0x9b, 0xa5, 0xe3, 0x53, 0xf7]
        );
        let back = Timestamp::decode(&mut Input::new(&bytes(Timestamp::from_millis(-1500))))
            .expect("eight bytes");
        assert_eq!(back.millis(), -1500);
    }

    #[test]
    fn rounds_towards_the_past() {
        assert_eq!(Timestamp::from_micros(-1500).millis(), -2);
        assert_eq!(Timestamp::from_micros(1500).millis(), 1);
    }

    #[test]
    fn stops_at_the_ends() {
        assert_eq!(Timestamp::MAX + Duration::from_secs(1), Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::MAX, Timestamp::MIN);
    }
}
