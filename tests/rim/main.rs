//! A real worker against a runner that plays the other side of the protocol.
#![allow(clippy::unwrap_used, reason = "tests")]

mod basics;
mod errors;
mod support;
