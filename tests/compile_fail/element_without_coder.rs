use ferrobeam::prelude::*;

#[derive(Clone)]
struct Opaque;

struct Boxes;

impl DoFn for Boxes {
    type In = Opaque;
    type Io = Out<String>;

    fn process(&mut self, _: Opaque, _: &mut Cx<'_>, _: &mut Out<String>) -> Result {
        Ok(())
    }
}

#[derive(Ports)]
struct OpaqueIo {
    boxes: Out<Opaque>,
}

fn main() {}
