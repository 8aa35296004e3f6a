//! Requests of real clients, and what they get for an answer.

#![allow(clippy::unwrap_used, reason = "tests")]

mod config;
mod discover;
mod golden;
mod outputs;
mod service;
mod text;
mod transforms;
