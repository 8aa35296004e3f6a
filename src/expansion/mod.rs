//! Transforms for other SDKs: the expansion service.

mod artifacts;
mod environment;
mod lint;
mod namespace;
mod options;
mod request;
mod response;
mod suggest;

pub use artifacts::Artifacts;
pub use environment::{CAPABILITIES, Places, Start, environment};
pub use options::PipelineOptions;
pub use request::EncodedRow;
