//! ferrobeam: a Rust SDK harness for Apache Beam.

pub mod dofn;
pub mod element;
mod error;
pub mod exec;
pub mod harness;
pub mod model;
pub mod prelude;
pub mod testing;
pub mod window;

pub use beam_derive::{CombineFn, DoFn, Ports, Row};
pub use element::row::{DynRow, Row, Schema};
pub use element::{Element, Iter, Kv, Timestamp};
pub use error::{Context, Error, ErrorKind, Result};
/// The JSON that configurations travel as, which [`dofn::Named::upgrade`] works on.
pub use serde_json;
