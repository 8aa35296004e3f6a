//! Messages, services and URNs of the Apache Beam protocols, with no logic of our own.
//!
//! The text under `proto/` is the source, written by hand. The Rust is generated from it, which
//! the test `bootstrap` checks; the test `descriptors` compares the text with an installed Apache
//! Beam.
//!
//! Every `bytes` field is a [`bytes::Bytes`], so payloads are slices of the received message, and
//! every map is a `BTreeMap`, so equal messages have equal encodings. Clients and servers are in
//! modules such as [`fnexec::beam_fn_control_client`].

pub mod urns;

pub use model::expansion::v1 as expansion;
pub use model::fn_execution::v1 as fnexec;
pub use model::job_management::v1 as job;
pub use model::pipeline::v1 as pipeline;

/// The package tree below `org.apache.beam.model`. Generated code names a message of another
/// package by its path from here.
#[allow(
    missing_docs,
    unreachable_pub,
    rust_2018_idioms,
    clippy::all,
    clippy::allow_attributes_without_reason,
    rustdoc::all,
    reason = "generated code; its documentation is the comments of the .proto text"
)]
mod model {
    pub mod expansion {
        /// How SDKs ask each other for transforms: package `org.apache.beam.model.expansion.v1`.
        pub mod v1 {
            include!("generated/org.apache.beam.model.expansion.v1.rs");
        }
    }
    pub mod fn_execution {
        /// What a runner and a worker say to each other: package
        /// `org.apache.beam.model.fn_execution.v1`.
        pub mod v1 {
            include!("generated/org.apache.beam.model.fn_execution.v1.rs");
        }
    }
    pub mod job_management {
        /// How pipelines and their artifacts reach a runner: package
        /// `org.apache.beam.model.job_management.v1`.
        pub mod v1 {
            include!("generated/org.apache.beam.model.job_management.v1.rs");
        }
    }
    pub mod pipeline {
        /// What a pipeline consists of: package `org.apache.beam.model.pipeline.v1`.
        pub mod v1 {
            include!("generated/org.apache.beam.model.pipeline.v1.rs");
        }
    }
}
