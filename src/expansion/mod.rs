//! Transforms for other SDKs: the expansion service.

mod artifacts;
mod call;
mod catalogue;
mod collections;
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
pub use beam_derive::Collections;
pub use call::Call;
pub use catalogue::{Catalogue, SchemaTransform};
pub use collections::{Collection, Collections, Described, Inputs, Outputs, Rows};
pub use discover::Listing;
pub use environment::{Places, Start, environment};
pub use options::CallerOptions;
pub use request::EncodedRow;
pub use service::{ExpansionService, expand};
