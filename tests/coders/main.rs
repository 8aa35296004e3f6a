//! Beam's conformance cases for coders, `standard_coders.yaml` of the installed apache-beam: every example is a test.
#![allow(clippy::unwrap_used, reason = "tests")]

mod check;
mod dynamic;
mod pages;
mod spec;
mod typed;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let specs = match spec::load() {
        Ok(specs) => specs,
        Err(reason) => {
            eprintln!("{reason}");
            std::process::exit(1);
        }
    };
    let trials = specs.into_iter().flat_map(trials).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn trials(spec: spec::Spec) -> Vec<Trial> {
    let spec = std::sync::Arc::new(spec);
    let mut trials = Vec::new();
    for &at in &spec.nestings {
        for example in 0..spec.examples.len() {
            let name = format!("{:02}_{}/{at:?}/{example}", spec.index, spec.coder);
            let spec = spec.clone();
            let trial = move || check::example(&spec, example, at).map_err(Failed::from);
            trials.push(Trial::test(name.to_lowercase(), trial));
        }
    }
    trials
}
