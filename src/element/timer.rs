//! Timers on the wire: set and cleared by functions, fired by runners.

use bytes::Bytes;

use super::coder::{Coder, urn};
use super::{Input, Layout, Nesting, Pane, Timestamp, WindowBytes, WindowCoding, put_varint};
use crate::error::{Error, Result};

/// One record of a timer stream (`beam:coder:timer:v1`). Key and windows stay encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerRecord {
    /// The key's nested encoding.
    pub key: Bytes,
    /// Tells the timers of one family apart; empty for a family's only timer.
    pub tag: String,
    /// The windows that it belongs to.
    pub windows: WindowBytes,
    /// When it fires; `None` clears it.
    pub firing: Option<Firing>,
}

/// When a timer fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firing {
    /// The time, in the time domain of the timer's family.
    pub at: Timestamp,
    /// The event time of what the timer's function emits; holds the watermark back until it fires.
    pub hold: Timestamp,
    /// The pane of the element that set it.
    pub pane: Pane,
}

/// How a family's timers are encoded.
#[derive(Debug, Clone)]
pub struct TimerCoding {
    key: Layout,
    windows: WindowCoding,
}

impl TimerCoding {
    /// The coding of a timer coder.
    ///
    /// # Errors
    /// Another coder, or parts whose values cannot be stepped over.
    pub fn of(coder: &Coder) -> Result<Self> {
        if !coder.is(urn::TIMER) {
            return Err(Error::descriptor(format!(
                "a timer family has the coder {coder}, not {}",
                urn::TIMER
            )));
        }
        Ok(TimerCoding {
            key: Layout::of(coder.component(0)?)?,
            windows: WindowCoding::of(coder.component(1)?)?,
        })
    }
}

impl TimerRecord {
    /// Appends the wire form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key);
        put_varint(out, self.tag.len() as u64);
        out.extend_from_slice(self.tag.as_bytes());
        self.windows.encode(out);
        match &self.firing {
            None => out.push(1),
            Some(firing) => {
                out.push(0);
                firing.at.encode(out);
                firing.hold.encode(out);
                firing.pane.encode(out, false);
            }
        }
    }

    /// Reads one timer.
    ///
    /// # Errors
    /// Bytes that end early or that the coding does not allow.
    pub fn decode(input: &mut Input<'_>, coding: &TimerCoding) -> Result<Self> {
        let before = input.rest();
        coding.key.skip(input, Nesting::Nested)?;
        let key = input.share(&before[..before.len() - input.remaining()]);
        let tag = input.length()?;
        let tag = std::str::from_utf8(input.take(tag)?)
            .map_err(|e| Error::decode("the tag of a timer is not valid UTF-8").because(e))?;
        let mut windows = WindowBytes::none();
        windows.decode_into(input, &coding.windows)?;
        let firing = match input.byte()? {
            1 => None,
            0 => Some(Firing {
                at: Timestamp::decode(input)?,
                hold: Timestamp::decode(input)?,
                pane: Pane::decode(input)?.0,
            }),
            byte => {
                return Err(Error::decode(format!(
                    "the clear bit of a timer is {byte}, not 0 or 1"
                )));
            }
        };
        Ok(TimerRecord {
            key,
            tag: tag.to_owned(),
            windows,
            firing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coding(key: &'static str, window: &'static str) -> TimerCoding {
        let parts = [Coder::standard(key, []), Coder::standard(window, [])];
        TimerCoding::of(&Coder::standard(urn::TIMER, parts)).expect("known parts")
    }

    #[test]
    fn golden_bytes() {
        let set = b"\x03key\x03tag\0\0\0\x01\0\x80\0\0\0\0\0\x03\xe8\x80\0\0\0\0\0\x03\xe8\x0f";
        let clear = b"\x03key\x03tag\0\0\0\x01\x01";
        let second = Timestamp::from_millis(1000);
        let firing = Firing {
            at: second,
            hold: second,
            pane: Pane::NO_FIRING,
        };
        for (bytes, firing) in [(&set[..], Some(firing)), (clear, None)] {
            let coding = coding(urn::STRING_UTF8, urn::GLOBAL_WINDOW);
            let mut input = Input::new(bytes);
            let timer = TimerRecord::decode(&mut input, &coding).expect("valid");
            assert!(input.is_empty());
            assert_eq!(
                (&timer.key[..], timer.tag.as_str()),
                (&b"\x03key"[..], "tag")
            );
            assert_eq!(timer.windows, WindowBytes::global());
            assert_eq!(timer.firing, firing);
            let mut out = Vec::new();
            timer.encode(&mut out);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn bytes_that_lie_are_errors() {
        let coding = coding(urn::VARINT, urn::INTERVAL_WINDOW);
        for lie in [
            &b""[..],
            b"\x01",
            b"\x01\x05t",
            b"\x01\0\xff\xff\xff\xff",
            b"\x01\0\0\0\0\0\x02",
        ] {
            assert!(
                TimerRecord::decode(&mut Input::new(lie), &coding).is_err(),
                "{lie:?}"
            );
        }
        assert!(TimerCoding::of(&Coder::standard(urn::VARINT, [])).is_err());
    }
}
