//! What the compiler says about mistakes.
//!
//! The messages are those of the Rust version that the workspace names. Where one changes on purpose, or the compiler's
//! list of alternatives does, write them anew with `TRYBUILD=overwrite cargo test --test compile`.

#[test]
fn messages() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
