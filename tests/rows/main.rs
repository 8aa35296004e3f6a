//! Rows: golden bytes, hostile bytes, derived structs, configurations.
#![allow(clippy::unwrap_used, reason = "tests")]

mod config;
mod derive;
mod golden;
mod hostile;
mod keys;
mod schemas;
mod support;
