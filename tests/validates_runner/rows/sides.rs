//! Side inputs.

use ferrobeam::dofn::Sum;
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::window::{FixedWindows, SlidingWindows, WindowFn};
use serde::{Deserialize, Serialize};

use super::functions::{Range, interval, pair, timed};
use super::rows;
use crate::behaviour::How;
use crate::case::Case;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs side_singleton,
    Runs side_singleton_default,
    Runs side_singleton_empty_error,
    Runs side_singleton_two_error,
    Runs side_iterable,
    Runs side_list,
    Runs side_map,
    Runs side_multimap,
    Runs side_map_missing_key,
    Runs side_map_keys,
    Runs side_in_combine_output,
    Runs side_windowed,
    Runs side_global_for_windowed_main,
    Runs side_sliding_main,
    Runs side_large,
    Runs side_two_inputs,
    Runs side_same_collection_twice,
    Runs side_iterated_twice,
];

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<AddOne>()
        .add::<OrMinusOne>()
        .add::<AddAll>()
        .add::<LookUp>()
        .add::<LookUpAll>()
        .add::<KeysOf>()
        .add::<Both>();
}

/// Adds the one value of a side input.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.AddOne/v1")]
struct AddOne;

#[derive(Ports)]
struct AddOneIo {
    sums: Out<i64>,
    one: Side<Single<i64>>,
}

impl DoFn for AddOne {
    type In = i64;
    type Io = AddOneIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut AddOneIo) -> Result {
        let sum = n + io.one.get()?;
        io.sums.emit(cx, sum);
        Ok(())
    }
}

fn add_one(case: &mut Case, side: &[i64]) -> ferrobeam::pipeline::PCollection<i64> {
    let numbers = case.p.create("Numbers", [1i64, 2]);
    let one = case.p.create("Side", side.to_vec()).as_single();
    numbers
        .par_do_with("Add one", AddOne, AddOneIoSides { one })
        .sums
}

fn side_singleton(case: &mut Case) {
    let sums = add_one(case, &[10]);
    case.expect(&sums).contains_in_any_order([11, 12]);
}

fn side_singleton_empty_error(case: &mut Case) {
    add_one(case, &[]);
    case.fails_with(["side input \"one\" is empty"]);
}

fn side_singleton_two_error(case: &mut Case) {
    add_one(case, &[1, 2]);
    case.fails_with(["side input \"one\" has more than one value"]);
}

/// The one value of a side input, else −1.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.OrMinusOne/v1")]
struct OrMinusOne;

#[derive(Ports)]
struct OrMinusOneIo {
    values: Out<i64>,
    one: Side<Single<i64>>,
}

impl DoFn for OrMinusOne {
    type In = i64;
    type Io = OrMinusOneIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut OrMinusOneIo) -> Result {
        let value = n + io.one.get_optional()?.copied().unwrap_or(-1);
        io.values.emit(cx, value);
        Ok(())
    }
}

fn side_singleton_default(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64, 2]);
    let none = case.p.create("None", Vec::<i64>::new()).as_single();
    let values = numbers.par_do_with("Or minus one", OrMinusOne, OrMinusOneIoSides { one: none });
    case.expect(&values.values).contains_in_any_order([0, 1]);
}

/// Adds all values of a side input, as often as asked, and emits how many there are and each sum.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.AddAll/v1")]
struct AddAll {
    times: usize,
}

#[derive(Ports)]
struct AddAllIo {
    sums: Out<Kv<i64, Vec<i64>>>,
    all: Side<List<i64>>,
}

impl DoFn for AddAll {
    type In = i64;
    type Io = AddAllIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut AddAllIo) -> Result {
        let all = io.all.values()?;
        let sum = |_| all.iter().sum::<Result<i64>>();
        let sums = (0..self.times).map(sum).collect::<Result<Vec<_>>>()?;
        io.sums.emit(cx, Kv(n, sums));
        Ok(())
    }
}

fn side_iterable(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64, 2]);
    let all = case.p.create("Side", 0..100i64).as_list();
    let out = numbers.par_do_with("Add all", AddAll { times: 1 }, AddAllIoSides { all });
    case.expect(&out.sums)
        .contains_in_any_order([Kv(1, vec![4950]), Kv(2, vec![4950])]);
}

fn side_list(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64]);
    let none = case.p.create("None", Vec::<i64>::new()).as_list();
    let out = numbers.par_do_with("Add none", AddAll { times: 1 }, AddAllIoSides { all: none });
    case.expect(&out.sums)
        .contains_in_any_order([Kv(1, vec![0])]);
    let all = case.p.create("Side", [1i64, 1, 1]).as_list();
    let out = numbers.par_do_with("Add all", AddAll { times: 1 }, AddAllIoSides { all });
    case.expect(&out.sums)
        .contains_in_any_order([Kv(1, vec![3])]);
}

fn side_iterated_twice(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64]);
    let all = case.p.create("Side", 0..100i64).as_list();
    let out = numbers.par_do_with("Add all", AddAll { times: 3 }, AddAllIoSides { all });
    case.expect(&out.sums)
        .contains_in_any_order([Kv(1, vec![4950; 3])]);
}

fn side_large(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64]);
    let pairs = case
        .p
        .create("Count", [1_000_000i64])
        .par_do("Range", Range { keys: 1 });
    let all = pairs.values("Values").as_list();
    let out = numbers.par_do_with("Add all", AddAll { times: 2 }, AddAllIoSides { all });
    case.expect(&out.sums)
        .contains_in_any_order([Kv(1, vec![499_999_500_000; 2])]);
}

/// The value of a key, if it has one.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.LookUp/v1")]
struct LookUp;

#[derive(Ports)]
struct LookUpIo {
    found: Out<Kv<String, Option<i64>>>,
    map: Side<MapView<String, i64>>,
}

impl DoFn for LookUp {
    type In = String;
    type Io = LookUpIo;

    fn process(&mut self, key: String, cx: &mut Cx<'_>, io: &mut LookUpIo) -> Result {
        let value = io.map.get(&key)?.copied();
        io.found.emit(cx, Kv(key, value));
        Ok(())
    }
}

fn look_up<const N: usize>(
    case: &mut Case,
    keys: [&str; N],
) -> ferrobeam::pipeline::PCollection<Kv<String, Option<i64>>> {
    let keys = case.p.create("Keys", keys.map(String::from));
    let map = case
        .p
        .create("Map", [pair("a", 1i64), pair("b", 2)])
        .as_map();
    keys.par_do_with("Look up", LookUp, LookUpIoSides { map })
        .found
}

fn side_map(case: &mut Case) {
    let found = look_up(case, ["a", "b", "a"]);
    case.expect(&found).contains_in_any_order([
        pair("a", Some(1)),
        pair("a", Some(1)),
        pair("b", Some(2)),
    ]);
}

fn side_map_missing_key(case: &mut Case) {
    let found = look_up(case, ["c", "a", ""]);
    case.expect(&found).contains_in_any_order([
        pair("c", None),
        pair("a", Some(1)),
        pair("", None),
    ]);
}

/// The values of a key.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.LookUpAll/v1")]
struct LookUpAll;

#[derive(Ports)]
struct LookUpAllIo {
    found: Out<Kv<String, Vec<i64>>>,
    map: Side<MultiMap<String, i64>>,
}

impl DoFn for LookUpAll {
    type In = String;
    type Io = LookUpAllIo;

    fn process(&mut self, key: String, cx: &mut Cx<'_>, io: &mut LookUpAllIo) -> Result {
        let mut values = io.map.get(&key)?.to_vec()?;
        values.sort();
        io.found.emit(cx, Kv(key, values));
        Ok(())
    }
}

fn side_multimap(case: &mut Case) {
    // So many that a worker asks for all at once where the runner can tell.
    let names = ["a", "b", "c", "d", "e"];
    let keys = case.p.create("Keys", names.map(String::from));
    let map = [
        ("a", 1i64),
        ("b", 2),
        ("a", 3),
        ("d", 4),
        ("a", 1),
        ("e", 5),
        ("d", 4),
    ];
    let map = map.map(|(key, value)| pair(key, value));
    let map = case.p.create("Map", map).as_multimap();
    let out = keys.par_do_with("Look up", LookUpAll, LookUpAllIoSides { map });
    case.expect(&out.found).contains_in_any_order([
        pair("a", vec![1, 1, 3]),
        pair("b", vec![2]),
        pair("c", vec![]),
        pair("d", vec![4, 4]),
        pair("e", vec![5]),
    ]);
}

/// The keys of a side input.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.KeysOf/v1")]
struct KeysOf;

#[derive(Ports)]
struct KeysOfIo {
    keys: Out<String>,
    map: Side<MultiMap<String, i64>>,
}

impl DoFn for KeysOf {
    type In = i64;
    type Io = KeysOfIo;

    fn process(&mut self, _n: i64, cx: &mut Cx<'_>, io: &mut KeysOfIo) -> Result {
        for key in &io.map.keys()? {
            io.keys.emit(cx, key?);
        }
        Ok(())
    }
}

fn side_map_keys(case: &mut Case) {
    let one = case.p.create("One", [1i64]);
    let map = [pair("a", 1i64), pair("b", 2), pair("a", 3)];
    let map = case.p.create("Map", map).as_multimap();
    let out = one.par_do_with("Keys", KeysOf, KeysOfIoSides { map });
    case.expect(&out.keys)
        .contains_in_any_order(["a", "b"].map(String::from));
}

fn side_in_combine_output(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64, 2, 3]);
    let one = numbers
        .combine_globally("Sum", Sum::<i64>::new())
        .as_single();
    let out = numbers.par_do_with("Add one", AddOne, AddOneIoSides { one });
    case.expect(&out.sums).contains_in_any_order([7, 8, 9]);
}

fn fixed(size: i64) -> WindowFn {
    WindowFn::Fixed(FixedWindows { size, offset: 0 })
}

fn side_windowed(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([1, 12, 101]));
    let numbers = numbers.window_into("Short", fixed(10));
    let side = case
        .p
        .create_timestamped("Side", timed([1000, 1099, 1150].map(|n| n - 1000)));
    let side = side.window_into("Long", fixed(100));
    let out = numbers.par_do_with(
        "Add all",
        AddAll { times: 1 },
        AddAllIoSides {
            all: side.as_list(),
        },
    );
    case.expect(&out.sums).contains_in([
        (interval(0, 10), Kv(1, vec![99])),
        (interval(10, 20), Kv(12, vec![99])),
        (interval(100, 110), Kv(101, vec![150])),
    ]);
}

fn side_global_for_windowed_main(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([1, 12]));
    let numbers = numbers.window_into("Short", fixed(10));
    let all = case.p.create("Side", [1i64, 2]).as_list();
    let out = numbers.par_do_with("Add all", AddAll { times: 1 }, AddAllIoSides { all });
    case.expect(&out.sums).contains_in([
        (interval(0, 10), Kv(1, vec![3])),
        (interval(10, 20), Kv(12, vec![3])),
    ]);
}

fn side_sliding_main(case: &mut Case) {
    let sliding = WindowFn::Sliding(SlidingWindows {
        size: 20,
        period: 10,
        offset: 0,
    });
    let numbers = case.p.create_timestamped("Numbers", timed([15]));
    let numbers = numbers.window_into("Sliding", sliding);
    let side = case.p.create_timestamped("Side", timed([5, 11, 25]));
    let side = side.window_into("Fixed", fixed(10));
    // The windows of the main input end at 20 and 30, in the side windows that end there.
    let out = numbers.par_do_with(
        "Add all",
        AddAll { times: 1 },
        AddAllIoSides {
            all: side.as_list(),
        },
    );
    case.expect(&out.sums).contains_in([
        (interval(0, 20), Kv(15, vec![11])),
        (interval(10, 30), Kv(15, vec![25])),
    ]);
}

/// Values from two side inputs.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Both/v1")]
struct Both;

#[derive(Ports)]
struct BothIo {
    sums: Out<Kv<i64, i64>>,
    one: Side<Single<i64>>,
    all: Side<List<i64>>,
}

impl DoFn for Both {
    type In = i64;
    type Io = BothIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut BothIo) -> Result {
        let all = io.all.values()?.iter().sum::<Result<i64>>()?;
        let one = *io.one.get()?;
        io.sums.emit(cx, Kv(n + one, all));
        Ok(())
    }
}

fn side_two_inputs(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64, 2]);
    let one = case.p.create("One", [10i64]).as_single();
    let all = case.p.create("All", [1i64, 2]).as_list();
    let out = numbers.par_do_with("Both", Both, BothIoSides { one, all });
    case.expect(&out.sums)
        .contains_in_any_order([Kv(11, 3), Kv(12, 3)]);
}

fn side_same_collection_twice(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64]);
    let side = case.p.create("Side", [10i64]);
    let sides = BothIoSides {
        one: side.as_single(),
        all: side.as_list(),
    };
    let out = numbers.par_do_with("Both", Both, sides);
    case.expect(&out.sums).contains_in_any_order([Kv(11, 10)]);
}
