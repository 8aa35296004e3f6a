//! ferrobeam: a Rust SDK harness for Apache Beam.
