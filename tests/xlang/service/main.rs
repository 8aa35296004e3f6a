//! The transforms that `tests/xlang/test_behaviours.py` asks for: each is as small as the behaviour that it shows.

mod keys;
mod outputs;
mod sides;
mod values;
mod windows;

use std::process::ExitCode;

use ferrobeam::cli::{self, App};
use ferrobeam::exec::Registry;
use ferrobeam::expansion::Catalogue;

fn main() -> ExitCode {
    cli::run(App::new().functions(functions).transforms(transforms))
}

fn functions(registry: &mut Registry) {
    values::functions(registry);
    keys::functions(registry);
    windows::functions(registry);
    sides::functions(registry);
    outputs::functions(registry);
}

fn transforms(catalogue: &mut Catalogue) {
    values::transforms(catalogue);
    keys::transforms(catalogue);
    windows::transforms(catalogue);
    sides::transforms(catalogue);
    outputs::transforms(catalogue);
}
