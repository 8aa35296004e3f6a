//! The ready-made binary: a few transforms that work without any Rust of one's own.

mod words;

use std::process::ExitCode;

use ferrobeam::cli::{self, App};

fn main() -> ExitCode {
    cli::run(
        App::new()
            .functions(words::functions)
            .transforms(words::transforms),
    )
}
