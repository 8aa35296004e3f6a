//! What a worker remembers of the runner's state from one bundle to the next.

use ferrobeam::element::{Nesting, encoded};
use ferrobeam::prelude::*;
use ferrobeam::testing::{
    Descriptor, FakeRunner, StateTerms, bag_key, in_global_window, iterable_key, tail_key,
};
use ferrobeam::window::WindowFn;
use serde::{Deserialize, Serialize};

use crate::support::{Look, registry};

/// Counts the elements of each key; fails at a negative one, after it has counted it.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.CountAll/v1")]
struct CountAll;

#[derive(Ports)]
struct CountAllIo {
    counts: Out<i64>,
    count: ValueState<i64>,
}

impl DoFn for CountAll {
    type In = Kv<String, i64>;
    type Io = CountAllIo;

    fn process(&mut self, Kv(_, n): Self::In, cx: &mut Cx<'_>, io: &mut CountAllIo) -> Result {
        let count = io.count.read()?.copied().unwrap_or(0) + 1;
        io.count.write(count)?;
        io.counts.emit(cx, count);
        if n < 0 {
            return Err(Error::user("a negative number"));
        }
        Ok(())
    }
}

/// Sums a side input and values that the runner keeps back.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.SumBoth/v1")]
struct SumBoth;

#[derive(Ports)]
struct SumBothIo {
    sums: Out<i64>,
    hot: Side<List<Vec<u8>>>,
}

impl DoFn for SumBoth {
    type In = Kv<String, Iter<Vec<u8>>>;
    type Io = SumBothIo;

    fn process(&mut self, Kv(_, values): Self::In, cx: &mut Cx<'_>, io: &mut SumBothIo) -> Result {
        let mut sums = [0; 3];
        for value in &io.hot.values()? {
            sums[0] += value?.len() as i64;
        }
        for sum in &mut sums[1..] {
            for value in &values {
                *sum += value?.len() as i64;
            }
        }
        for sum in sums {
            io.sums.emit(cx, sum);
        }
        Ok(())
    }
}

fn runner() -> FakeRunner {
    let mut registry = registry();
    registry.add::<CountAll>().add::<SumBoth>();
    FakeRunner::of(registry)
        .option("max_cache_memory_usage_mb", 8)
        .start()
}

fn counting() -> Descriptor {
    let mut stage = Descriptor::new("counting");
    let pairs = stage.source("source", Kv::<String, i64>::coder());
    let counts = stage.par_do("count", &CountAll, &pairs);
    stage.sink("sink", &counts["counts"]);
    stage
}

fn count(runner: &FakeRunner, n: i64) -> Result<i64, String> {
    let input = in_global_window([Kv("k".to_owned(), n)]);
    let outcome = runner.bundle(&counting()).input("source", input).run();
    match &outcome.error {
        None => Ok(outcome.values::<i64>("sink")[0]),
        Some(error) => Err(error.clone()),
    }
}

#[test]
fn user_state_is_fetched_once_for_a_token() {
    let runner = runner();
    let key = bag_key(
        "count",
        "count",
        "",
        encoded(&"k".to_owned(), Nesting::Nested),
    );
    runner.set_state(key.clone(), vec![7]);
    runner.promise(StateTerms::default().user_state("one"));
    for expected in [8, 9, 10] {
        assert_eq!(count(&runner, 1), Ok(expected));
    }
    assert_eq!(runner.pages_read(&key), 1);
    assert_eq!(&runner.state(&key)[..], [10]);

    // What another token stands for is not known.
    runner.promise(StateTerms::default().user_state("two"));
    assert_eq!(count(&runner, 1), Ok(11));
    assert_eq!(runner.pages_read(&key), 2);

    // Nothing of a bundle that fails is remembered.
    assert!(count(&runner, -1).expect_err("fails").contains("negative"));
    assert_eq!(count(&runner, 1), Ok(12));

    // Without a token each bundle asks.
    let before = runner.pages_read(&key);
    runner.promise(StateTerms::default());
    assert_eq!(count(&runner, 1), Ok(13));
    assert_eq!(count(&runner, 1), Ok(14));
    assert_eq!(runner.pages_read(&key), before + 2);
    runner.close();
}

#[test]
fn state_that_the_runner_says_is_not_there_is_not_asked_for() {
    let runner = runner();
    let key = bag_key(
        "count",
        "count",
        "",
        encoded(&"k".to_owned(), Nesting::Nested),
    );
    runner.promise(StateTerms::default().no_state());
    assert_eq!(count(&runner, 1), Ok(1));
    assert_eq!(runner.pages_read(&key), 0);
    runner.promise(StateTerms::default());
    assert_eq!(count(&runner, 1), Ok(2));
    runner.close();
}

#[test]
fn a_side_input_is_fetched_once_for_a_token() {
    let runner = runner();
    let mut stage = Descriptor::new("looking");
    let numbers = stage.source("source", i64::coder());
    let side = stage.collection("side", i64::coder(), WindowFn::Global);
    let out = stage.par_do_with("look", &Look, &numbers, &[("side", &side)]);
    stage.sink("sink", &out["out"]);
    let key = iterable_key("look", "side", "");
    let sums = |expected: i64| {
        let input = in_global_window([0i64, 0, 0]);
        let outcome = runner.bundle(&stage).input("source", input).run();
        assert_eq!(outcome.values::<i64>("sink"), [expected; 3]);
    };
    runner.set_state(key.clone(), vec![40, 2]);
    runner.promise(StateTerms::default().side_input("look", "side", "one"));
    sums(42);
    sums(42);
    assert_eq!(runner.pages_read(&key), 1);
    // Another token, and then none: each bundle asks once, however many elements look.
    runner.set_state(key.clone(), vec![1]);
    runner.promise(StateTerms::default().side_input("look", "side", "two"));
    sums(1);
    runner.promise(StateTerms::default());
    sums(1);
    assert_eq!(runner.pages_read(&key), 3);
    runner.close();
}

#[test]
fn all_pages_of_a_side_input_are_remembered() {
    let runner = runner();
    let mut stage = Descriptor::new("looking");
    let numbers = stage.source("source", i64::coder());
    let side = stage.collection("side", i64::coder(), WindowFn::Global);
    let out = stage.par_do_with("look", &Look, &numbers, &[("side", &side)]);
    stage.sink("sink", &out["out"]);
    let key = iterable_key("look", "side", "");
    runner.set_state(key.clone(), vec![1; 25]);
    runner.cut_state_evenly(10);
    runner.promise(StateTerms::default().side_input("look", "side", "token"));
    for _ in 0..2 {
        let input = in_global_window([0i64, 0]);
        let outcome = runner.bundle(&stage).input("source", input).run();
        assert_eq!(outcome.values::<i64>("sink"), [25, 25]);
        assert_eq!(runner.pages_read(&key), 3);
    }
    runner.close();
}

#[test]
fn a_huge_value_does_not_push_out_what_is_used() {
    const MIB: usize = 1 << 20;
    let runner = runner();
    let mut stage = Descriptor::new("summing");
    let values = ferrobeam::element::Coder::standard(
        ferrobeam::element::coder::urn::STATE_BACKED_ITERABLE,
        [Vec::<u8>::coder()],
    );
    let pairs = ferrobeam::element::Coder::kv(String::coder(), values);
    let groups = stage.source("source", pairs);
    let side = stage.collection("side", Vec::<u8>::coder(), WindowFn::Global);
    let out = stage.par_do_with("sum", &SumBoth, &groups, &[("hot", &side)]);
    stage.sink("sink", &out["sums"]);
    let hot = iterable_key("sum", "hot", "");
    runner.set_state(hot.clone(), encoded(&vec![1u8; 100 << 10], Nesting::Nested));
    let page = encoded(&vec![2u8; MIB - 3], Nesting::Nested);
    let tail = tail_key("tail");
    runner.set_state(tail.clone(), page.repeat(64));
    runner.cut_state_evenly(MIB);
    runner.promise(StateTerms::default().side_input("sum", "hot", "token"));
    // A key, and a list whose end is in the runner's state.
    let mut group = Vec::new();
    ferrobeam::element::Header::global(Timestamp::MIN).encode(&mut group);
    group.extend(encoded(&"k".to_owned(), Nesting::Nested));
    group.extend([0xff; 4 + 9]);
    group.extend(b"\x01\x04tail");
    let size = 64 * (MIB as i64 - 3);
    for bundles in 1..=2 {
        let outcome = runner.bundle(&stage).input("source", [group.clone()]).run();
        assert_eq!(outcome.values::<i64>("sink"), [100 << 10, size, size]);
        assert_eq!(runner.pages_read(&hot), 1);
        // Each of the two times that the value is read.
        assert!(runner.pages_read(&tail) <= bundles * 128);
    }
    runner.close();
}
