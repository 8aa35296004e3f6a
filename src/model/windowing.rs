//! Window functions as protos.

use beam_proto::pipeline::{
    FixedWindowsPayload, FunctionSpec, SessionWindowsPayload, SlidingWindowsPayload,
};
use bytes::Bytes;
use prost::Message;
use prost_types::{Duration, Timestamp};

use crate::error::{Error, Result};
use crate::window::{FixedWindows, SessionWindows, SlidingWindows, WindowFn};

/// URN of [`WindowFn::Global`].
pub const GLOBAL: &str = "beam:window_fn:global_windows:v1";
/// URN of [`WindowFn::Fixed`].
pub const FIXED: &str = "beam:window_fn:fixed_windows:v1";
/// URN of [`WindowFn::Sliding`].
pub const SLIDING: &str = "beam:window_fn:sliding_windows:v1";
/// URN of [`WindowFn::Session`].
pub const SESSION: &str = "beam:window_fn:session_windows:v1";

/// The standard window function that a proto names; `None` if it is another SDK's own.
///
/// # Errors
/// A payload that cannot be read, or lengths that are not positive.
pub fn window_fn(spec: &FunctionSpec) -> Result<Option<WindowFn>> {
    let unreadable =
        |e| Error::descriptor(format!("the payload of {} cannot be read", spec.urn)).because(e);
    let payload = &spec.payload[..];
    let known = match spec.urn.as_str() {
        GLOBAL => WindowFn::Global,
        FIXED => {
            let fixed = FixedWindowsPayload::decode(payload).map_err(unreadable)?;
            WindowFn::Fixed(FixedWindows {
                size: span(fixed.size),
                offset: point(fixed.offset),
            })
        }
        SLIDING => {
            let sliding = SlidingWindowsPayload::decode(payload).map_err(unreadable)?;
            WindowFn::Sliding(SlidingWindows {
                size: span(sliding.size),
                period: span(sliding.period),
                offset: point(sliding.offset),
            })
        }
        SESSION => {
            let session = SessionWindowsPayload::decode(payload).map_err(unreadable)?;
            WindowFn::Session(SessionWindows {
                gap: span(session.gap_size),
            })
        }
        _ => return Ok(None),
    };
    known.checked().map(Some)
}

/// The proto of a standard window function.
pub fn to_proto(window_fn: &WindowFn) -> FunctionSpec {
    let (urn, payload) = match window_fn {
        WindowFn::Global => (GLOBAL, Vec::new()),
        WindowFn::Fixed(fixed) => {
            let payload = FixedWindowsPayload {
                size: Some(duration(fixed.size)),
                offset: Some(timestamp(fixed.offset)),
            };
            (FIXED, payload.encode_to_vec())
        }
        WindowFn::Sliding(sliding) => {
            let payload = SlidingWindowsPayload {
                size: Some(duration(sliding.size)),
                offset: Some(timestamp(sliding.offset)),
                period: Some(duration(sliding.period)),
            };
            (SLIDING, payload.encode_to_vec())
        }
        WindowFn::Session(session) => (
            SESSION,
            SessionWindowsPayload {
                gap_size: Some(duration(session.gap)),
            }
            .encode_to_vec(),
        ),
    };
    FunctionSpec {
        urn: urn.into(),
        payload: Bytes::from(payload),
    }
}

fn millis(seconds: i64, nanos: i32) -> i64 {
    seconds
        .saturating_mul(1000)
        .saturating_add(i64::from(nanos).div_euclid(1_000_000))
}

fn span(duration: Option<Duration>) -> i64 {
    duration.map_or(0, |d| millis(d.seconds, d.nanos))
}

fn point(timestamp: Option<Timestamp>) -> i64 {
    timestamp.map_or(0, |t| millis(t.seconds, t.nanos))
}

fn duration(millis: i64) -> Duration {
    Duration {
        seconds: millis / 1000,
        nanos: (millis % 1000) as i32 * 1_000_000,
    }
}

/// Milliseconds since 1970 as a proto, whose nanoseconds are never negative.
pub fn timestamp(millis: i64) -> Timestamp {
    Timestamp {
        seconds: millis.div_euclid(1000),
        nanos: millis.rem_euclid(1000) as i32 * 1_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protos_round_trip() {
        for function in [
            WindowFn::Global,
            WindowFn::Fixed(FixedWindows {
                size: 10_500,
                offset: -1,
            }),
            WindowFn::Sliding(SlidingWindows {
                size: 10_000,
                period: 5_000,
                offset: 3,
            }),
            WindowFn::Session(SessionWindows { gap: 1 }),
        ] {
            assert_eq!(
                window_fn(&to_proto(&function)).expect("valid"),
                Some(function)
            );
        }
    }

    #[test]
    fn lengths_must_be_positive() {
        let spec = FunctionSpec {
            urn: FIXED.into(),
            payload: Bytes::new(),
        };
        assert!(
            window_fn(&spec)
                .expect_err("no size")
                .to_string()
                .contains("positive")
        );
    }
}
