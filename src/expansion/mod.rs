//! Transforms for other SDKs: the expansion service.

mod artifacts;
mod catalogue;
mod discover;
mod environment;
mod lint;
mod namespace;
mod options;
mod request;
mod response;
mod service;
mod suggest;

pub use artifacts::Artifacts;
pub use catalogue::Catalogue;
pub use discover::Listing;
pub use environment::{CAPABILITIES, Places, Start, environment};
pub use options::PipelineOptions;
pub use request::EncodedRow;
pub use service::{ExpansionService, expand};
