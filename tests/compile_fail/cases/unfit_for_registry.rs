use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use serde::{Deserialize, Serialize};

/// Has a name, but does nothing.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "text.Words/v1")]
struct Words;

/// Does something, but has no name.
struct Nameless;

impl DoFn for Nameless {
    type In = String;
    type Io = ();

    fn process(&mut self, _: String, _: &mut Cx<'_>, _: &mut ()) -> Result {
        Ok(())
    }
}

fn main() {
    let mut registry = Registry::new();
    registry.add::<Words>(); //~ `Words` is not a DoFn
    registry.add::<Nameless>(); //~ `Nameless` has no name to travel under
    registry.add_combine::<Words>(); //~ `Words` is not a CombineFn
}
