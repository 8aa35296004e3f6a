//! ferrobeam: a Rust SDK harness for Apache Beam.

pub mod element;
mod error;
pub mod window;

pub use element::{Element, Iter, Kv, Timestamp};
pub use error::{Context, Error, ErrorKind, Result};
