use ferrobeam::prelude::*;
use ferrobeam::testing::DoFnTester;

struct Price;

#[derive(Ports)]
struct PriceIo {
    priced: Out<f64>,
    rates: Side<MapView<String, f64>>,
    vat: Side<Single<f64>>,
}

impl DoFn for Price {
    type In = String;
    type Io = PriceIo;

    fn process(&mut self, _: String, _: &mut Cx<'_>, _: &mut PriceIo) -> Result {
        Ok(())
    }
}

fn main() {
    let _ = DoFnTester::of(Price).sides(PriceIoSides { rates: vec![] }); //~ missing field `vat` in initializer of `PriceIoSides
}
