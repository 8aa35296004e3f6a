use ferrobeam::prelude::*;

#[derive(Ports)] //~ `f64` is not a view of a side input
struct PriceIo {
    priced: Out<f64>,
    vat: Side<f64>, //~ `f64` is not a view of a side input //~ use Single<T>, List<T>, MapView<K, V> or MultiMap<K, V>
}

fn main() {}
