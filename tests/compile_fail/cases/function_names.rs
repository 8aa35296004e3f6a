use ferrobeam::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DoFn)]
struct Nameless; //~ say `#[beam(name = "…")]`: the name is written into pipelines and must outlive renames

#[derive(Serialize, Deserialize, CombineFn)]
#[beam(upgrade = std::convert::identity)]
struct NamelessCombiner; //~ say `#[beam(name = "…")]`

#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "text.Words")] //~ a name ends in a slash and a version, as in `shop.Price/v1`
struct Versionless;

#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "text.Words/latest")] //~ a name ends in a slash and a version
struct Latest;

#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "")] //~ the name is empty
struct Empty;

#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "long words/v1")] //~ a name consists of visible ASCII characters, without spaces
struct Spaces;

#[derive(Serialize, Deserialize, DoFn)]
#[beam(urn = "text.Words/v1")] //~ unknown key: use `name`, `upgrade` or `crate`
struct Unknown;

#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "text.Each/v1")]
struct Each<T>(T); //~ write `impl Named for Each<…>`

fn main() {}
