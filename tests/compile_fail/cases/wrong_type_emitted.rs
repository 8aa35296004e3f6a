use ferrobeam::prelude::*;

struct Lengths;

impl DoFn for Lengths {
    type In = String;
    type Io = Out<i64>;

    fn process(&mut self, word: String, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        out.emit(cx, word); //~ expected `i64`, found `String`
        Ok(())
    }
}

fn main() {}
