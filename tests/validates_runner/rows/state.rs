//! State. What is done to a cell stands in the elements, as words: `add x`, `read`.

use ferrobeam::dofn::{MapState, MultimapState, SetState, Sum};
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::window::{FixedWindows, WindowFn};
use serde::{Deserialize, Serialize};

use super::functions::{at, interval, pair};
use super::rows;
use crate::behaviour::How;
use crate::case::Case;
use crate::runner::Runner;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs state_value,
    Runs state_value_clear,
    Runs state_value_unset,
    Runs state_bag_append_read_append_read,
    Runs state_bag_clear_then_append,
    Runs state_set,
    Runs state_set_contains,
    Runs state_map,
    Runs state_map_remove,
    Runs state_multimap,
    Runs state_combining,
    Runs state_ordered_list_range,
    Runs state_ordered_list_clear_range,
    Runs state_per_window,
    Runs state_two_keys_interleaved,
    Runs state_large_bag,
    Runs state_many_cells,
];

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<Lists>()
        .add::<Maps>()
        .add::<Times>()
        .add::<LargeBag>()
        .add::<Counts>()
        .add::<ManyCells>();
}

/// A word and what comes after it.
fn deeds(script: &str) -> impl Iterator<Item = (&str, &str)> {
    script.split(';').map(|deed| {
        let deed = deed.trim();
        deed.split_once(' ').unwrap_or((deed, ""))
    })
}

fn unknown<T>(deed: &str) -> Result<T> {
    Err(Error::user(format!("nobody knows how to {deed:?}")))
}

fn joined(mut values: Vec<String>) -> String {
    values.sort();
    values.join(",")
}

/// Does to a value, a bag and a sum what its elements say.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Lists/v1")]
struct Lists;

#[derive(Ports)]
struct ListsIo {
    told: Out<Kv<String, String>>,
    value: ValueState<String>,
    bag: BagState<String>,
    sum: CombiningState<Sum<i64>>,
}

impl DoFn for Lists {
    type In = Kv<String, String>;
    type Io = ListsIo;

    fn process(&mut self, Kv(key, script): Self::In, cx: &mut Cx<'_>, io: &mut ListsIo) -> Result {
        for (deed, with) in deeds(&script) {
            let told = match deed {
                "write" => {
                    io.value.write(with.to_owned())?;
                    continue;
                }
                "unset" => {
                    io.value.clear()?;
                    continue;
                }
                "value" => format!("{:?}", io.value.read()?),
                "put" => {
                    io.bag.add(&with.to_owned())?;
                    continue;
                }
                "empty" => {
                    io.bag.clear()?;
                    continue;
                }
                "bag" => io.bag.read()?.to_vec()?.join(","),
                "add" => {
                    io.sum.add(with.parse()?)?;
                    continue;
                }
                "sum" => io.sum.read()?.to_string(),
                deed => return unknown(deed),
            };
            io.told.emit(cx, Kv(key.clone(), told));
        }
        Ok(())
    }
}

/// Does to a set, a map and a multimap what its elements say.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Maps/v1")]
struct Maps;

#[derive(Ports)]
struct MapsIo {
    told: Out<Kv<String, String>>,
    set: SetState<String>,
    map: MapState<String, String>,
    many: MultimapState<String, String>,
}

impl DoFn for Maps {
    type In = Kv<String, String>;
    type Io = MapsIo;

    fn process(&mut self, Kv(key, script): Self::In, cx: &mut Cx<'_>, io: &mut MapsIo) -> Result {
        for (deed, with) in deeds(&script) {
            let (name, value) = with.split_once('=').unwrap_or((with, ""));
            let (with, name, value) = (with.to_owned(), name.to_owned(), value.to_owned());
            let told = match deed {
                "insert" => {
                    io.set.add(&with)?;
                    continue;
                }
                "has" => io.set.contains(&with)?.to_string(),
                "set" => joined(io.set.read()?.to_vec()?),
                "put" => {
                    io.map.put(&name, &value)?;
                    continue;
                }
                "remove" => {
                    io.map.remove(&name)?;
                    continue;
                }
                "get" => format!("{:?}", io.map.get(&name)?),
                "keys" => joined(io.map.keys()?.to_vec()?),
                "add" => {
                    io.many.add(&name, &value)?;
                    continue;
                }
                "all" => joined(io.many.get(&name)?.to_vec()?),
                deed => return unknown(deed),
            };
            io.told.emit(cx, Kv(key.clone(), told));
        }
        Ok(())
    }
}

/// Does to values by time what its elements say.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Times/v1")]
struct Times;

#[derive(Ports)]
struct TimesIo {
    told: Out<Kv<String, String>>,
    times: OrderedListState<String>,
}

impl DoFn for Times {
    type In = Kv<String, String>;
    type Io = TimesIo;

    fn process(&mut self, Kv(key, script): Self::In, cx: &mut Cx<'_>, io: &mut TimesIo) -> Result {
        for (deed, with) in deeds(&script) {
            let (from, to) = with.split_once(' ').unwrap_or((with, ""));
            let from = at(from.parse()?);
            match deed {
                "add" => io.times.add(from, &to.to_owned())?,
                "clear" => io.times.clear(from..at(to.parse()?))?,
                "range" => {
                    let within = io.times.read(from..at(to.parse()?))?.to_vec()?;
                    let values = within.into_iter().map(|(_, value)| value);
                    let told = values.collect::<Vec<_>>().join(",");
                    io.told.emit(cx, Kv(key.clone(), told));
                }
                deed => return unknown(deed),
            }
        }
        Ok(())
    }
}

/// Fills a bag and reads it.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.LargeBag/v1")]
struct LargeBag;

#[derive(Ports)]
struct LargeBagIo {
    sums: Out<Kv<i64, i64>>,
    bag: BagState<i64>,
}

impl DoFn for LargeBag {
    type In = Kv<String, i64>;
    type Io = LargeBagIo;

    fn process(&mut self, Kv(_, count): Self::In, cx: &mut Cx<'_>, io: &mut LargeBagIo) -> Result {
        for n in 0..count {
            io.bag.add(&n)?;
        }
        let (mut values, mut sum) = (0, 0);
        for value in &io.bag.read()? {
            values += 1;
            sum += value?;
        }
        io.sums.emit(cx, Kv(values, sum));
        Ok(())
    }
}

/// Counts the elements of each key and window.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Counts/v1")]
pub(crate) struct Counts;

#[derive(Ports)]
pub(crate) struct CountsIo {
    counts: Out<Kv<String, i64>>,
    count: ValueState<i64>,
}

impl DoFn for Counts {
    type In = Kv<String, i64>;
    type Io = CountsIo;

    fn process(&mut self, Kv(key, _): Self::In, cx: &mut Cx<'_>, io: &mut CountsIo) -> Result {
        let count = io.count.read()?.copied().unwrap_or(0) + 1;
        io.count.write(count)?;
        io.counts.emit(cx, Kv(key, count));
        Ok(())
    }
}

/// A function with thirty cells.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.ManyCells/v1")]
struct ManyCells;

macro_rules! many_cells {
    ($($cell:ident)*) => {
        #[derive(Ports)]
        struct ManyCellsIo {
            sums: Out<Kv<String, i64>>,
            $($cell: ValueState<i64>,)*
        }

        impl ManyCellsIo {
            fn cells(&mut self) -> Vec<&mut ValueState<i64>> {
                vec![$(&mut self.$cell),*]
            }
        }
    };
}

many_cells!(
    a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 c0 c1 c2 c3 c4 c5 c6 c7 c8 c9
);

impl DoFn for ManyCells {
    type In = Kv<String, i64>;
    type Io = ManyCellsIo;

    fn process(&mut self, Kv(key, by): Self::In, cx: &mut Cx<'_>, io: &mut ManyCellsIo) -> Result {
        for (n, cell) in io.cells().into_iter().enumerate() {
            cell.write(by * n as i64)?;
        }
        let mut sum = 0;
        for cell in io.cells() {
            sum += cell.read()?.copied().unwrap_or(0);
        }
        io.sums.emit(cx, Kv(key, sum));
        Ok(())
    }
}

/// Expects that what `Lists` is told to do yields these lines.
fn lists<const N: usize>(case: &mut Case, script: &str, told: [&str; N]) {
    let scripts = case.p.create("Scripts", [pair("k", script.to_owned())]);
    let lines = scripts.par_do("Do", Lists).told;
    case.expect(&lines)
        .contains_in_any_order(told.map(|line| pair("k", line.to_owned())));
}

fn maps<const N: usize>(case: &mut Case, script: &str, told: [&str; N]) {
    // Java's runners keep lists only, and Python's do not list the keys of maps.
    if case.runner != Runner::Prism {
        case.p.keeping_maps_in_bags();
    }
    let scripts = case.p.create("Scripts", [pair("k", script.to_owned())]);
    let lines = scripts.par_do("Do", Maps).told;
    case.expect(&lines)
        .contains_in_any_order(told.map(|line| pair("k", line.to_owned())));
}

fn times<const N: usize>(case: &mut Case, script: &str, told: [&str; N]) {
    let scripts = case.p.create("Scripts", [pair("k", script.to_owned())]);
    let lines = scripts.par_do("Do", Times).told;
    case.expect(&lines)
        .contains_in_any_order(told.map(|line| pair("k", line.to_owned())));
}

fn state_value(case: &mut Case) {
    let ones = ["a", "b", "a", "a"].map(|key| pair(key, 1i64));
    let counts = case.p.create("Ones", ones).par_do("Count", Counts).counts;
    case.expect(&counts).contains_in_any_order([
        pair("a", 1),
        pair("a", 2),
        pair("a", 3),
        pair("b", 1),
    ]);
}

fn state_value_clear(case: &mut Case) {
    let script = "write one; value; unset; value; write two; value";
    lists(case, script, ["Some(\"one\")", "None", "Some(\"two\")"]);
}

fn state_value_unset(case: &mut Case) {
    lists(case, "value", ["None"]);
}

fn state_bag_append_read_append_read(case: &mut Case) {
    lists(case, "put a; bag; put b; put c; bag", ["a", "a,b,c"]);
}

fn state_bag_clear_then_append(case: &mut Case) {
    lists(case, "put a; empty; put b; bag", ["b"]);
}

fn state_set(case: &mut Case) {
    maps(case, "insert b; insert a; insert b; set", ["a,b"]);
}

fn state_set_contains(case: &mut Case) {
    maps(
        case,
        "has a; insert a; has a; has b",
        ["false", "true", "false"],
    );
}

fn state_map(case: &mut Case) {
    let script = "put x=1; put y=2; put x=3; get x; get y; get z; keys";
    maps(case, script, ["Some(\"3\")", "Some(\"2\")", "None", "x,y"]);
}

fn state_map_remove(case: &mut Case) {
    let script = "put x=1; put y=2; remove x; get x; keys";
    maps(case, script, ["None", "y"]);
}

fn state_multimap(case: &mut Case) {
    let script = "add x=1; add x=2; add y=3; all x; all y; all z";
    maps(case, script, ["1,2", "3", ""]);
}

fn state_combining(case: &mut Case) {
    lists(case, "sum; add 40; sum; add 2; sum", ["0", "40", "42"]);
}

fn state_ordered_list_range(case: &mut Case) {
    let script = "add 30 c; add 10 a; add 20 b; range 10 30; range 0 100";
    times(case, script, ["a,b", "a,b,c"]);
}

fn state_ordered_list_clear_range(case: &mut Case) {
    let script = "add 30 c; add 10 a; add 20 b; clear 15 25; range 0 100";
    times(case, script, ["a,c"]);
}

fn state_per_window(case: &mut Case) {
    let ones = [1, 2, 11].map(|time| (at(time), pair("k", 1i64)));
    let ones = case.p.create_timestamped("Ones", ones);
    let fixed = WindowFn::Fixed(FixedWindows {
        size: 10,
        offset: 0,
    });
    let counts = ones
        .window_into("Fixed", fixed)
        .par_do("Count", Counts)
        .counts;
    case.expect(&counts).contains_in([
        (interval(0, 10), pair("k", 1)),
        (interval(0, 10), pair("k", 2)),
        (interval(10, 20), pair("k", 1)),
    ]);
}

fn state_two_keys_interleaved(case: &mut Case) {
    let ones = (0..20).map(|n| pair(if n % 2 == 0 { "even" } else { "odd" }, 1i64));
    let counts = case.p.create("Ones", ones).par_do("Count", Counts).counts;
    let each = (1..=10i64).flat_map(|n| [pair("even", n), pair("odd", n)]);
    case.expect(&counts).contains_in_any_order(each);
}

fn state_large_bag(case: &mut Case) {
    // 22 MB as varints: more than a cell may hold, and than one append may.
    let count = 6_000_000i64;
    let bags = case.p.create("Bags", [pair("k", count)]);
    let sums = bags.par_do("Fill", LargeBag).sums;
    case.expect(&sums)
        .contains_in_any_order([Kv(count, count * (count - 1) / 2)]);
}

fn state_many_cells(case: &mut Case) {
    let numbers = case.p.create("Numbers", [pair("a", 1i64), pair("b", 2)]);
    let sums = numbers.par_do("Thirty", ManyCells).sums;
    case.expect(&sums)
        .contains_in_any_order([pair("a", 435), pair("b", 870)]);
}
