//! Side inputs in each view.

use ferrobeam::Row;
use ferrobeam::exec::Registry;
use ferrobeam::expansion::{Catalogue, Outputs};
use ferrobeam::prelude::*;
use serde::{Deserialize, Serialize};

pub(crate) fn functions(registry: &mut Registry) {
    registry.add::<LookUp>();
}

pub(crate) fn transforms(catalogue: &mut Catalogue) {
    catalogue.add_urn("ferrobeam:test:look_up", |call| {
        let sides = LookUpIoSides {
            offset: call.input("offset")?.as_single(),
            all: call.input("all")?.as_list(),
            one: call.input("one")?.as_map(),
            many: call.input("many")?.as_multimap(),
        };
        let keys = call.input::<String>("keys")?;
        Ok(Outputs::only(
            keys.par_do_with("Look up", LookUp, sides).found,
        ))
    });
}

/// What the side inputs hold for a key.
#[derive(Clone, Row)]
struct Found {
    key: String,
    offset: i64,
    all: Vec<i64>,
    one: Option<i64>,
    many: Vec<i64>,
}

/// Looks each key up.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "test.LookUp/v1")]
struct LookUp;

#[derive(Ports)]
struct LookUpIo {
    found: Out<Found>,
    offset: Side<Single<i64>>,
    all: Side<List<i64>>,
    one: Side<MapView<String, i64>>,
    many: Side<MultiMap<String, i64>>,
}

impl DoFn for LookUp {
    type In = String;
    type Io = LookUpIo;

    fn process(&mut self, key: String, cx: &mut Cx<'_>, io: &mut LookUpIo) -> Result {
        let found = Found {
            offset: *io.offset.get()?,
            all: sorted(&io.all.values()?)?,
            one: io.one.get(&key)?.copied(),
            many: sorted(&io.many.get(&key)?)?,
            key,
        };
        io.found.emit(cx, found);
        Ok(())
    }
}

fn sorted(numbers: &Iter<i64>) -> Result<Vec<i64>> {
    let mut numbers = numbers.to_vec()?;
    numbers.sort_unstable();
    Ok(numbers)
}
