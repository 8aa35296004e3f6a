use ferrobeam::dofn::FunctionPayload;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Words;

fn main() {
    let _ = FunctionPayload::of(&Words);
}
