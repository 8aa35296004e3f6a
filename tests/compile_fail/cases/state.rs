use ferrobeam::prelude::*;

#[derive(Ports)]
struct TotalsIo {
    totals: Out<i64>,
    total: ValueState<i64>,
}

struct Totals;

impl DoFn for Totals {
    type In = i64;
    type Io = TotalsIo; //~ state and timers need a keyed input, but the input is `i64`

    fn process(&mut self, n: i64, _: &mut Cx<'_>, io: &mut TotalsIo) -> Result {
        io.total.write(n)
    }
}

fn main() {}
