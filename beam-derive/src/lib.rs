//! Derive macros of ferrobeam.
