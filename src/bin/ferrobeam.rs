//! The ready-made binary.

use std::process::ExitCode;

use ferrobeam::cli::{self, App};

fn main() -> ExitCode {
    cli::run(App::new())
}
