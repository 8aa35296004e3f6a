//! What a worker remembers of side inputs from one bundle to the next.

use beam_proto::fnexec::state_key::Type;
use ferrobeam::element::{Coder, Header, Nesting, coder::urn, encoded};
use ferrobeam::prelude::*;
use ferrobeam::testing::{
    Descriptor, FakeRunner, StateTerms, in_global_window, iterable_key, tail_key,
};
use ferrobeam::window::WindowFn;
use serde::{Deserialize, Serialize};

use crate::support::{Look, registry};

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
    registry.add::<SumBoth>();
    FakeRunner::of(registry)
        .option("max_cache_memory_usage_mb", 8)
        .start()
}

/// A stage that adds a side input to each number, and the key of that side input.
fn looking() -> (Descriptor, Type) {
    let mut stage = Descriptor::new("looking");
    let numbers = stage.source("source", i64::coder());
    let side = stage.collection("side", i64::coder(), WindowFn::Global);
    let out = stage.par_do_with("look", &Look, &numbers, &[("side", &side)]);
    stage.sink("sink", &out["out"]);
    (stage, iterable_key("look", "side", ""))
}

#[test]
fn a_side_input_is_fetched_once_for_a_token() {
    let runner = runner();
    let (stage, key) = looking();
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
fn bundles_that_want_a_side_input_at_once_fetch_it_once() {
    let runner = runner();
    let (stage, key) = looking();
    runner.set_state(key.clone(), vec![9]);
    runner.promise(StateTerms::default().side_input("look", "side", "token"));
    runner.hold_state();
    let bundles: Vec<_> = (0..10).map(|_| runner.bundle(&stage).start()).collect();
    for bundle in &bundles {
        bundle.send("source", in_global_window([1i64]).concat());
        bundle.end_all();
    }
    runner.expect_held_state(1);
    runner.release_state();
    for bundle in bundles {
        assert_eq!(bundle.wait().values::<i64>("sink"), [10]);
    }
    assert_eq!(runner.pages_read(&key), 1);
    runner.close();
}

#[test]
fn all_pages_of_a_side_input_are_remembered() {
    let runner = runner();
    let (stage, key) = looking();
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
fn of_a_huge_side_input_no_more_than_the_start_is_remembered() {
    const PAGE: usize = 100 << 10;
    let runner = runner();
    let (stage, key) = looking();
    runner.set_state(key.clone(), vec![1; 30 * PAGE]);
    runner.cut_state_evenly(PAGE);
    runner.promise(StateTerms::default().side_input("look", "side", "token"));
    // An eighth of eight megabytes is kept, however many bundles come by.
    for pages in [30, 30 + 20, 30 + 20 + 20] {
        let input = in_global_window([0i64]);
        let outcome = runner.bundle(&stage).input("source", input).run();
        assert_eq!(outcome.values::<i64>("sink"), [30 * PAGE as i64]);
        assert_eq!(runner.pages_read(&key), pages);
    }
    runner.close();
}

#[test]
fn a_huge_value_does_not_push_out_what_is_used() {
    const MIB: usize = 1 << 20;
    let runner = runner();
    let mut stage = Descriptor::new("summing");
    let values = Coder::standard(urn::STATE_BACKED_ITERABLE, [Vec::<u8>::coder()]);
    let pairs = Coder::kv(String::coder(), values);
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
    Header::global(Timestamp::MIN).encode(&mut group);
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
