//! Keys of types that only the caller knows.

use ferrobeam::dofn::Sum;
use ferrobeam::element::Raw;
use ferrobeam::exec::Registry;
use ferrobeam::expansion::{Catalogue, Outputs};
use ferrobeam::prelude::*;

pub(crate) fn functions(registry: &mut Registry) {
    registry.add_steps(tenfold);
}

pub(crate) fn transforms(catalogue: &mut Catalogue) {
    catalogue.add_urn("ferrobeam:test:tenfold_sums", |call| {
        let pairs = call.only_input::<Kv<Raw, i64>>()?;
        let tenfold = pairs.steps("Tenfold", tenfold());
        Ok(Outputs::only(
            tenfold.combine_per_key("Sum", Sum::<i64>::new()),
        ))
    });
}

/// The values times ten.
fn tenfold() -> Steps<Kv<Raw, i64>, impl Step<Kv<Raw, i64>, Out = Kv<Raw, i64>>> {
    steps("test.tenfold/v1").map(|Kv(key, n): Kv<Raw, i64>| Kv(key, 10 * n))
}
