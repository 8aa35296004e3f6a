use ferrobeam::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DoFn)]
struct Nameless;

#[derive(Serialize, Deserialize, CombineFn)]
#[beam(upgrade = std::convert::identity)]
struct NamelessCombiner;

#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "text.Words")]
struct Versionless;

#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "text.Words/latest")]
struct Latest;

#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "")]
struct Empty;

#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "long words/v1")]
struct Spaces;

#[derive(Serialize, Deserialize, DoFn)]
#[beam(urn = "text.Words/v1")]
struct Unknown;

#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "text.Each/v1")]
struct Each<T>(T);

fn main() {}
