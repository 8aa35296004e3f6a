use ferrobeam::prelude::*;

#[derive(Clone)]
struct Opaque;

struct Boxes;

impl DoFn for Boxes {
    type In = Opaque; //~ `Opaque` cannot be an element of a PCollection //~ implement `Element` to name its coder
    type Io = Out<String>;

    fn process(&mut self, _: Opaque, _: &mut Cx<'_>, _: &mut Out<String>) -> Result {
        Ok(())
    }
}

#[derive(Ports)] //~ `Opaque` cannot be an element
struct OpaqueIo {
    boxes: Out<Opaque>, //~ no coder is known for `Opaque`
}

fn main() {}
