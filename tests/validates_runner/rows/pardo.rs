//! Elements and functions over them.

use std::time::Duration;

use ferrobeam::dofn::{Step, Steps, steps};
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::window::{FixedWindows, GlobalWindow, IntervalWindow, SlidingWindows, WindowFn};
use serde::{Deserialize, Serialize};

use super::functions::{Item, Range, at, interval, key_by_parity, pair, plus_one, text, timed};
use super::rows;
use crate::behaviour::How;
use crate::case::Case;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs pardo_identity,
    Runs pardo_empty,
    Runs pardo_fan_out,
    Runs pardo_multi_output,
    Runs pardo_output_type_change,
    Runs pardo_timestamps,
    Runs pardo_timestamp_skew,
    Runs pardo_finish_output,
    Runs pardo_lifecycle,
    Runs pardo_instance_reuse,
    Runs pardo_error,
    Runs pardo_panic,
    Runs pardo_error_in_start,
    Runs pardo_error_in_finish,
    Runs pardo_error_in_setup,
    Runs pardo_error_in_teardown,
    Runs pardo_chain_fused,
    Runs pardo_large_element,
    Runs pardo_zero_byte_element,
    Runs pardo_many_tiny,
    Runs reshuffle,
    Runs create_values,
    Runs create_timestamped,
    Runs create_rows,
    Runs impulse,
];

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<Never>()
        .add::<Sort>()
        .add::<Shift<5>>()
        .add::<Shift<0>>()
        .add::<AtEnd>()
        .add::<Life>()
        .add::<Fails>()
        .add::<Large>()
        .add_steps(item)
        .add_steps(priced)
        .add_steps(digest)
        .add_steps(units);
}

fn pardo_identity(case: &mut Case) {
    let numbers = case.p.create("Numbers", 0..1000i64);
    case.expect(&numbers.steps("Plus one", plus_one()))
        .contains_in_any_order(1..=1000);
}

/// Fails on whatever comes.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Never/v1")]
struct Never;

impl DoFn for Never {
    type In = i64;
    type Io = Out<i64>;

    fn process(&mut self, n: i64, _cx: &mut Cx<'_>, _out: &mut Out<i64>) -> Result {
        Err(Error::user(format!("{n} came from nowhere")))
    }
}

fn pardo_empty(case: &mut Case) {
    let none = case.p.create("None", Vec::<i64>::new());
    case.expect(&none.par_do("Never", Never)).is_empty();
}

fn pardo_fan_out(case: &mut Case) {
    let numbers = case.p.create("Numbers", [1i64, 2, 3]);
    case.expect(&numbers.steps("Text", text()))
        .contains_in_any_order(["1", "2", "3"].map(String::from));
    case.expect(&numbers.steps("Plus one", plus_one()))
        .contains_in_any_order([2, 3, 4]);
    case.expect(&numbers).contains_in_any_order([1, 2, 3]);
}

/// Sorts numbers.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Sort/v1")]
struct Sort;

#[derive(Ports)]
struct SortIo {
    even: Out<i64>,
    odd: Out<String>,
    all: Out<Kv<i64, i64>>,
    unused: Out<i64>,
}

impl DoFn for Sort {
    type In = i64;
    type Io = SortIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut SortIo) -> Result {
        if n % 2 == 0 {
            io.even.emit(cx, n);
        } else {
            io.odd.emit(cx, n.to_string());
        }
        io.all.emit(cx, Kv(n, n * n));
        io.unused.emit(cx, n);
        Ok(())
    }
}

fn pardo_multi_output(case: &mut Case) {
    let sorted = case.p.create("Numbers", [1i64, 2, 3]).par_do("Sort", Sort);
    case.expect(&sorted.even).contains_in_any_order([2]);
    case.expect(&sorted.odd)
        .contains_in_any_order(["1", "3"].map(String::from));
    case.expect(&sorted.all)
        .contains_in_any_order([Kv(1, 1), Kv(2, 4), Kv(3, 9)]);
}

fn item() -> Steps<String, impl Step<String, Out = Item>> {
    steps("vr.item/v1").map(|name: String| Item::new(&name, name.len() as i64))
}

fn priced() -> Steps<Item, impl Step<Item, Out = Kv<String, i64>>> {
    steps("vr.priced/v1").map(|item: Item| Kv(item.name, item.count))
}

fn pardo_output_type_change(case: &mut Case) {
    let names = case.p.create("Names", ["a", "tea"].map(String::from));
    let items = names.steps("Item", item()).reshuffle("Shuffle");
    case.expect(&items)
        .contains_in_any_order([Item::new("a", 1), Item::new("tea", 3)]);
    case.expect(&items.steps("Priced", priced()))
        .contains_in_any_order([pair("a", 1), pair("tea", 3)]);
}

fn pardo_timestamps(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([1, 2, 13]));
    let fixed = numbers.window_into(
        "Fixed",
        WindowFn::Fixed(FixedWindows {
            size: 10,
            offset: 0,
        }),
    );
    let grouped = fixed.steps("Parity", key_by_parity()).group_by_key("Group");
    case.expect_groups(&grouped).contains_in([
        (interval(0, 10), pair("odd", vec![1])),
        (interval(0, 10), pair("even", vec![2])),
        (interval(10, 20), pair("odd", vec![13])),
    ]);
}

/// Emits five milliseconds earlier.
#[derive(Serialize, Deserialize)]
struct Shift<const SKEW: u64>;

impl ferrobeam::dofn::Named for Shift<5> {
    const NAME: &'static str = "vr.Earlier/v1";
}

impl ferrobeam::dofn::Named for Shift<0> {
    const NAME: &'static str = "vr.TooEarly/v1";
}

impl<const SKEW: u64> DoFn for Shift<SKEW> {
    type In = i64;
    type Io = Out<i64>;
    const ALLOWED_TIMESTAMP_SKEW: Duration = Duration::from_millis(SKEW);

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        out.emit_at(cx, cx.timestamp() - Duration::from_millis(5), n);
        Ok(())
    }
}

fn pardo_timestamp_skew(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([100]));
    let earlier = numbers.par_do("Earlier", Shift::<5>);
    earlier.par_do("Too early", Shift::<0>);
    case.fails_with(["an output at 90 ms is earlier than its input at 95 ms"]);
}

/// Emits each bundle's elements at its end, in windows and at times of its own.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.AtEnd/v1")]
struct AtEnd {
    #[serde(skip)]
    seen: Vec<i64>,
}

impl DoFn for AtEnd {
    type In = i64;
    type Io = Out<i64>;

    fn process(&mut self, n: i64, _cx: &mut Cx<'_>, _out: &mut Out<i64>) -> Result {
        self.seen.push(n);
        Ok(())
    }

    fn finish_bundle(&mut self, cx: &mut BundleCx, out: &mut Out<i64>) -> Result {
        for n in self.seen.drain(..) {
            let start = n / 10 * 10;
            out.emit_in(cx, &interval(start, start + 10), at(n + 1), n);
        }
        Ok(())
    }
}

fn pardo_finish_output(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([1, 2, 13]));
    let fixed = numbers.window_into(
        "Fixed",
        WindowFn::Fixed(FixedWindows {
            size: 10,
            offset: 0,
        }),
    );
    case.expect(&fixed.par_do("At end", AtEnd { seen: Vec::new() }))
        .contains_in_at([
            (interval(0, 10), at(2), 1),
            (interval(0, 10), at(3), 2),
            (interval(10, 20), at(14), 13),
        ]);
}

/// Sees that it is called in order. Emits how many elements of the bundle came before.
#[derive(Serialize, Deserialize, DoFn, Default)]
#[beam(name = "vr.Life/v1")]
struct Life {
    #[serde(skip)]
    setups: u32,
    #[serde(skip)]
    bundles: u32,
    #[serde(skip)]
    ended: u32,
    #[serde(skip)]
    before: i64,
}

impl Life {
    fn check(&self, bundles_open: u32, call: &str) -> Result {
        if self.setups == 1 && self.bundles - self.ended == bundles_open {
            return Ok(());
        }
        Err(Error::user(format!(
            "{call} came after {} setups, {} starts and {} ends of bundles",
            self.setups, self.bundles, self.ended
        )))
    }
}

impl DoFn for Life {
    type In = i64;
    type Io = Out<i64>;

    fn setup(&mut self) -> Result {
        self.setups += 1;
        self.check(0, "setup")
    }

    fn start_bundle(&mut self, _out: &mut Out<i64>) -> Result {
        self.check(0, "start_bundle")?;
        self.bundles += 1;
        self.before = 0;
        Ok(())
    }

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        self.check(1, "process")?;
        out.emit(cx, n);
        self.before += 1;
        Ok(())
    }

    fn finish_bundle(&mut self, _cx: &mut BundleCx, _out: &mut Out<i64>) -> Result {
        self.check(1, "finish_bundle")?;
        self.ended += 1;
        Ok(())
    }

    fn teardown(&mut self) {
        if let Err(error) = self.check(0, "teardown") {
            tracing::error!("{error}");
        }
    }
}

fn pardo_lifecycle(case: &mut Case) {
    let numbers = case.p.create("Numbers", 0..20i64);
    case.expect(&numbers.par_do("Life", Life::default()))
        .contains_in_any_order(0..20);
}

fn pardo_instance_reuse(case: &mut Case) {
    // Many small bundles, where the runner makes some of the groups of a reshuffle.
    let numbers = case.p.create("Numbers", 0..50i64);
    let lives = numbers.reshuffle("Shuffle").par_do("Life", Life::default());
    let again = lives
        .reshuffle("Shuffle again")
        .par_do("Life again", Life::default());
    case.expect(&again).contains_in_any_order(0..50);
}

/// A way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Way {
    Error,
    Panic,
    Start,
    Finish,
    Setup,
    Teardown,
}

/// Fails.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Fails/v1")]
struct Fails(Way);

impl Fails {
    fn fail_if(&self, way: Way) -> Result {
        if self.0 == way {
            return Err(Error::user(format!("{way:?} is not liked here")));
        }
        Ok(())
    }
}

impl DoFn for Fails {
    type In = i64;
    type Io = Out<i64>;

    fn setup(&mut self) -> Result {
        self.fail_if(Way::Setup)
    }

    fn start_bundle(&mut self, _out: &mut Out<i64>) -> Result {
        self.fail_if(Way::Start)
    }

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        if n == 41 {
            self.fail_if(Way::Error)?;
            assert!(self.0 != Way::Panic, "{n} is one too many");
        }
        out.emit(cx, n);
        Ok(())
    }

    fn finish_bundle(&mut self, _cx: &mut BundleCx, _out: &mut Out<i64>) -> Result {
        self.fail_if(Way::Finish)
    }

    fn teardown(&mut self) {
        assert!(self.0 != Way::Teardown, "this panic is expected");
    }
}

fn fails<const N: usize>(case: &mut Case, way: Way, texts: [&str; N]) {
    let numbers = case.p.create("Numbers", [40i64, 41, 42]);
    numbers.par_do("Unlucky", Fails(way));
    case.fails_with(texts);
}

fn pardo_error(case: &mut Case) {
    fails(case, Way::Error, ["Error is not liked here", "Unlucky"]);
}

fn pardo_panic(case: &mut Case) {
    fails(
        case,
        Way::Panic,
        ["41 is one too many", "pardo.rs:", "Unlucky"],
    );
}

fn pardo_error_in_start(case: &mut Case) {
    fails(case, Way::Start, ["Start is not liked here", "Unlucky"]);
}

fn pardo_error_in_finish(case: &mut Case) {
    fails(case, Way::Finish, ["Finish is not liked here", "Unlucky"]);
}

fn pardo_error_in_setup(case: &mut Case) {
    fails(case, Way::Setup, ["Setup is not liked here", "Unlucky"]);
}

fn pardo_error_in_teardown(case: &mut Case) {
    let numbers = case.p.create("Numbers", [40i64, 41, 42]);
    case.expect(&numbers.par_do("Unlucky", Fails(Way::Teardown)))
        .contains_in_any_order([40, 41, 42]);
}

fn pardo_chain_fused(case: &mut Case) {
    let mut numbers = case.p.create("Numbers", [0i64, 100]);
    for n in 0..50 {
        numbers = numbers.steps(&format!("Plus one {n}"), plus_one());
    }
    case.expect(&numbers).contains_in_any_order([50, 150]);
}

/// Elements of as many bytes as the numbers say.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Large/v1")]
struct Large;

impl DoFn for Large {
    type In = i64;
    type Io = Out<Vec<u8>>;

    fn process(&mut self, size: i64, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result {
        out.emit(cx, large(size));
        Ok(())
    }
}

fn large(size: i64) -> Vec<u8> {
    (0..size).map(|n| (n ^ n >> 8) as u8).collect()
}

/// Size and content in short, in an order of the bytes that matters.
fn digest_of(bytes: &[u8]) -> Kv<i64, i64> {
    let sum = bytes.iter().fold(7i64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(i64::from(*byte))
    });
    Kv(bytes.len() as i64, sum)
}

fn digest() -> Steps<Vec<u8>, impl Step<Vec<u8>, Out = Kv<i64, i64>>> {
    steps("vr.digest/v1").map(|bytes: Vec<u8>| digest_of(&bytes))
}

fn pardo_large_element(case: &mut Case) {
    const SIZE: i64 = 64 << 20;
    let elements = case.p.create("Sizes", [SIZE, 1]).par_do("Large", Large);
    let digests = elements.reshuffle("Shuffle").steps("Digest", digest());
    case.expect(&digests)
        .contains_in_any_order([digest_of(&large(SIZE)), digest_of(&large(1))]);
}

fn units() -> Steps<Kv<i64, i64>, impl Step<Kv<i64, i64>, Out = ()>> {
    steps("vr.units/v1").map(drop)
}

fn pardo_zero_byte_element(case: &mut Case) {
    let pairs = case
        .p
        .create("Count", [1000i64])
        .par_do("Range", Range { keys: 1 });
    let units = pairs.steps("Units", units()).reshuffle("Shuffle");
    case.expect(&units.count_globally("Count units"))
        .contains_in_any_order([1000]);
}

fn pardo_many_tiny(case: &mut Case) {
    let pairs = case
        .p
        .create("Count", [1_000_000i64])
        .par_do("Range", Range { keys: 100 });
    let tiny = pairs.keys("Tiny");
    case.expect(&tiny.count_globally("Count all"))
        .contains_in_any_order([1_000_000]);
    let grouped = tiny.count_per_element("Count each");
    case.expect(&grouped)
        .contains_in_any_order((0..100).map(|key| Kv(key, 10_000)));
}

fn reshuffle(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([1, 2, 13]));
    let sliding = WindowFn::Sliding(SlidingWindows {
        size: 10,
        period: 5,
        offset: 0,
    });
    let windowed = numbers.window_into("Sliding", sliding);
    case.expect(&windowed.reshuffle("Shuffle")).contains_in_at([
        (interval(-5, 5), at(1), 1),
        (interval(0, 10), at(1), 1),
        (interval(-5, 5), at(2), 2),
        (interval(0, 10), at(2), 2),
        (interval(5, 15), at(13), 13),
        (interval(10, 20), at(13), 13),
    ]);
}

fn create_values(case: &mut Case) {
    let texts = case.p.create("Texts", ["", "a", "ä"].map(String::from));
    case.expect(&texts)
        .contains_in_any_order(["ä", "", "a"].map(String::from));
    let numbers = case.p.create("Numbers", [i64::MIN, -1, i64::MAX]);
    case.expect(&numbers)
        .contains_in_any_order([-1, i64::MIN, i64::MAX]);
    let lists = case.p.create("Lists", [vec![Some(0.5), None], vec![]]);
    case.expect(&lists)
        .contains_in_any_order([vec![], vec![Some(0.5), None]]);
}

fn create_timestamped(case: &mut Case) {
    let numbers = case.p.create_timestamped("Numbers", timed([-1, 0, 13]));
    case.expect(&numbers).contains_at(timed([13, -1, 0]));
    let windowed = numbers.window_into(
        "Fixed",
        WindowFn::Fixed(FixedWindows {
            size: 10,
            offset: 0,
        }),
    );
    case.expect(&windowed).contains_in::<IntervalWindow>([
        (interval(-10, 0), -1),
        (interval(0, 10), 0),
        (interval(10, 20), 13),
    ]);
}

fn create_rows(case: &mut Case) {
    let items = case
        .p
        .create("Items", [Item::new("a", 1), Item::new("b", 2)]);
    case.expect(&items)
        .contains_in_any_order([Item::new("b", 2), Item::new("a", 1)]);
}

fn impulse(case: &mut Case) {
    let impulse = case.p.impulse("Impulse");
    case.expect(&impulse)
        .contains_in_at([(GlobalWindow, Timestamp::MIN, Vec::new())]);
}
