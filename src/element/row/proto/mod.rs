//! Schemas as the protobuf messages that row coders carry.
//!
//! Read and written by hand: the element layer stays free of the generated messages and of prost, a schema's depth is
//! bounded here by one rule, and what a worker does not act on (unknown options, field ids) costs nothing. Whoever
//! needs the generated `Schema` message gets it by parsing [`Schema::to_proto`].

mod read;
mod write;
