//! The program `fnsink`: a worker without user code.

use std::process::ExitCode;

use clap::Parser as _;
use fnbench::sink::{self, Args};

fn main() -> ExitCode {
    match sink::run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fnsink: {error:#}");
            ExitCode::FAILURE
        }
    }
}
