//! Transforms for other SDKs: the expansion service.
//!
//! A pipeline in Python, Java, Go or YAML asks the service for a transform by name. The service builds it into the
//! pipeline that the request holds, with the same builder as pipelines of our own, and says in which environment its
//! functions run. Runners then start workers of this very binary.
//!
//! - A [`SchemaTransform`] is a configuration, a row with published fields, that knows how to build itself. Clients
//!   find it by discovery, with documentation.
//! - A transform of a plain URN ([`Catalogue::add_urn`]) reads its payload itself, and takes inputs of any type and
//!   number.
//!
//! Invariant: what the client sent comes back unchanged, everything new has an id in the client's namespace, and
//! whatever goes wrong is a message for the pipeline's author. `namespace` checks the first two of every answer.

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
