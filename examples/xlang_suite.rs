//! A binary with transforms of one's own: those that Beam's cross-language suite asks every SDK for.
//!
//! ```sh
//! cargo run --example xlang_suite -- 8097
//! EXPANSION_PORT=8097 python -m pytest --pyargs apache_beam.transforms.validate_runner_xlang_test
//! ```

use std::process::ExitCode;

use ferrobeam::Row;
use ferrobeam::cli::{self, App};
use ferrobeam::dofn::Sum;
use ferrobeam::element::Raw;
use ferrobeam::exec::Registry;
use ferrobeam::expansion::{Catalogue, Outputs};
use ferrobeam::prelude::*;
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    cli::run(App::new().functions(functions).transforms(transforms))
}

/// Puts a text in front of each element.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "suite.Prefix/v1")]
struct Prefix {
    text: String,
}

impl DoFn for Prefix {
    type In = String;
    type Io = Out<String>;

    fn process(&mut self, element: String, cx: &mut Cx<'_>, out: &mut Out<String>) -> Result {
        out.emit(cx, format!("{}{element}", self.text));
        Ok(())
    }
}

/// Puts the one value of a side input behind each element.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "suite.AppendSide/v1")]
struct AppendSide;

#[derive(Ports)]
struct AppendSideIo {
    appended: Out<String>,
    suffix: Side<Single<String>>,
}

impl DoFn for AppendSide {
    type In = String;
    type Io = AppendSideIo;

    fn process(&mut self, element: String, cx: &mut Cx<'_>, io: &mut AppendSideIo) -> Result {
        let appended = element + io.suffix.get()?;
        io.appended.emit(cx, appended);
        Ok(())
    }
}

/// Tells even numbers from odd ones.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "suite.Partition/v1")]
struct Partition;

#[derive(Ports)]
struct PartitionIo {
    even: Out<i64>,
    odd: Out<i64>,
}

impl DoFn for Partition {
    type In = i64;
    type Io = PartitionIo;

    fn process(&mut self, number: i64, cx: &mut Cx<'_>, io: &mut PartitionIo) -> Result {
        let side = if number % 2 == 0 {
            &mut io.even
        } else {
            &mut io.odd
        };
        side.emit(cx, number);
        Ok(())
    }
}

/// Writes each element twice. A chain of closures is a function, too.
fn twice() -> Steps<String, impl Step<String, Out = String>> {
    steps("suite.twice/v1").map(|element: String| element.repeat(2))
}

/// Takes elements of any type and does nothing.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "suite.Swallow/v1")]
struct Swallow;

impl DoFn for Swallow {
    type In = Raw;
    type Io = ();

    fn process(&mut self, _element: Raw, _cx: &mut Cx<'_>, (): &mut ()) -> Result {
        Ok(())
    }
}

/// The functions that workers run.
fn functions(registry: &mut Registry) {
    registry
        .add::<Prefix>()
        .add::<AppendSide>()
        .add::<Partition>()
        .add::<Swallow>()
        .add_steps(twice);
}

/// How [`Prefix`] is configured from outside.
#[derive(Clone, Row)]
struct PrefixConfig {
    data: String,
}

/// The transforms that other SDKs may ask for. Most work on elements of any type, which stay what they are.
fn transforms(catalogue: &mut Catalogue) {
    catalogue
        .add_urn("beam:transforms:xlang:test:prefix", |call| {
            let PrefixConfig { data } = call.config()?;
            let elements = call.only_input::<String>()?;
            Ok(Outputs::only(
                elements.par_do("Prefix", Prefix { text: data }),
            ))
        })
        .add_urn("beam:transforms:xlang:test:multi", |call| {
            let mains = [call.input::<String>("main1")?, call.input("main2")?];
            let side = call.input::<String>("side")?;
            let sides = AppendSideIoSides {
                suffix: side.as_single(),
            };
            let main = call.pipeline().flatten("Mains", mains);
            let AppendSideIoOutputs { appended } = main.par_do_with("Append", AppendSide, sides);
            let doubled = side.steps("Twice", twice());
            Ok(Outputs::none().and("main", appended).and("side", doubled))
        })
        .add_urn("beam:transforms:xlang:test:gbk", |call| {
            let pairs = call.only_input::<Raw>()?;
            Ok(Outputs::only(pairs.group_by_key("Group")))
        })
        .add_urn("beam:transforms:xlang:test:cgbk", |call| {
            let inputs = [call.input::<Raw>("col1")?, call.input("col2")?];
            let pairs = call.pipeline().flatten("Both", inputs);
            Ok(Outputs::only(pairs.group_by_key("Group")))
        })
        .add_urn("beam:transforms:xlang:test:comgl", |call| {
            let numbers = call.only_input::<i64>()?;
            Ok(Outputs::only(
                numbers.combine_globally("Sum", Sum::<i64>::new()),
            ))
        })
        .add_urn("beam:transforms:xlang:test:compk", |call| {
            let pairs = call.only_input::<Raw>()?;
            let sums = pairs.combine_values_per_key("Sum", Sum::<i64>::new());
            Ok(Outputs::only(sums))
        })
        .add_urn("beam:transforms:xlang:test:flatten", |call| {
            let inputs: Result<Vec<_>> = call
                .tags()
                .into_iter()
                .map(|tag| call.input::<Raw>(tag))
                .collect();
            Ok(Outputs::only(call.pipeline().flatten("All", inputs?)))
        })
        .add_urn("beam:transforms:xlang:test:partition", |call| {
            let numbers = call.only_input::<i64>()?;
            let PartitionIoOutputs { even, odd } = numbers.par_do("Partition", Partition);
            Ok(Outputs::none().and("0", even).and("1", odd))
        })
        .add_urn("beam:transforms:xlang:test:nooutput", |call| {
            call.only_input::<Raw>()?.par_do("Swallow", Swallow);
            Ok(Outputs::none())
        })
        .add_urn("beam:transforms:xlang:count", |call| {
            let elements = call.only_input::<Raw>()?;
            Ok(Outputs::only(elements.count_per_element("Count")))
        });
}
