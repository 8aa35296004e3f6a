//! Parse, don't validate: protos become checked values here, once, and are built here.

mod circles;
pub mod coders;
pub mod descriptor;
pub mod metrics;
pub mod windowing;
