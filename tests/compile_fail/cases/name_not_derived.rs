use ferrobeam::dofn::FunctionPayload;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Words;

fn main() {
    let _ = FunctionPayload::of(&Words); //~ `Words` has no name to travel under //~ derive `DoFn` or `CombineFn` and say #[beam(name = "…")]
}
