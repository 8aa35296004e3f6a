use ferrobeam::prelude::*;

#[derive(Ports)]
struct PriceIo {
    priced: Out<f64>,
    vat: Side<f64>,
}

fn main() {}
