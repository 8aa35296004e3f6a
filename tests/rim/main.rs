//! A real worker against a runner that plays the other side of the protocol.
#![allow(clippy::unwrap_used, reason = "tests")]

mod basics;
mod cache;
mod cached_sides;
mod cells;
mod child;
mod connections;
mod embedding;
mod errors;
mod finalize;
mod large;
mod logging;
mod metrics;
mod nodes;
mod options;
mod own_coders;
mod page;
mod pool;
mod rows;
mod sampling;
mod seeds;
mod shutdown;
mod siblings;
mod splits;
mod splittable;
mod state;
mod storm;
mod stuck;
mod support;
mod threads;
mod timers;
mod times;
mod windows;
