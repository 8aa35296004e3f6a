//! State that functions keep, as the runner sees it.

use beam_proto::fnexec::OrderedListRange;
use beam_proto::fnexec::state_key::{OrderedListUserState, Type};
use bytes::Bytes;
use ferrobeam::dofn::Sum;
use ferrobeam::element::{Nesting, encoded};
use ferrobeam::prelude::*;
use ferrobeam::testing::{
    Descriptor, FakeRunner, StateTerms, Write, bag_key, in_global_window, map_key, map_keys_key,
};
use serde::{Deserialize, Serialize};

use crate::support::registry;

/// Does to its state what its elements say, and tells what it reads.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.Cells/v1")]
struct Keeper;

#[derive(Ports)]
struct KeeperIo {
    told: Out<String>,
    bag: BagState<i64>,
    total: CombiningState<Sum<i64>>,
    map: MapState<String, i64>,
    list: OrderedListState<i64>,
}

impl DoFn for Keeper {
    type In = Kv<String, String>;
    type Io = KeeperIo;

    fn process(&mut self, Kv(_, script): Self::In, cx: &mut Cx<'_>, io: &mut KeeperIo) -> Result {
        for step in script.split("; ") {
            let words: Vec<&str> = step.split(' ').collect();
            let number = |at: usize| words[at].parse::<i64>().unwrap();
            let told = match words[0] {
                "add" => {
                    let n = number(1);
                    io.bag.add(&n)?;
                    io.total.add(n)?;
                    io.map.put(&n.to_string(), &(n * n))?;
                    io.list.add(Timestamp::from_millis(-n), &n)?;
                    continue;
                }
                "clear" => {
                    io.bag.clear()?;
                    io.total.clear()?;
                    io.map.clear()?;
                    io.list.clear(..)?;
                    continue;
                }
                "plus" => {
                    io.total.add(number(1))?;
                    continue;
                }
                "clear-bag" => {
                    io.bag.clear()?;
                    continue;
                }
                "bag" => format!("{:?}", io.bag.read()?.to_vec()?),
                "count" => io.bag.read()?.iter().count().to_string(),
                "total" => io.total.read()?.to_string(),
                "map" => {
                    let entries = io.map.entries()?;
                    let mut entries = entries.to_vec()?;
                    entries.sort_by_key(|Kv(_, square)| *square);
                    let entries = entries.iter().map(|Kv(n, square)| format!("{n}: {square}"));
                    entries.collect::<Vec<_>>().join(", ")
                }
                "list" => {
                    let values = io.list.read(..)?.to_vec()?.into_iter();
                    format!("{:?}", values.map(|(_, n)| n).collect::<Vec<_>>())
                }
                _ => panic!("{script}"),
            };
            io.told.emit(cx, told);
        }
        Ok(())
    }
}

/// A runner, and a stage with state.
fn stage(seed: u64) -> (FakeRunner, Descriptor) {
    let mut registry = registry();
    registry.add::<Keeper>();
    let mut stage = Descriptor::new("cells");
    let input = stage.source("source", Kv::<String, String>::coder());
    let told = stage.par_do("keep", &Keeper, &input);
    stage.sink("told", &told["told"]);
    (FakeRunner::of(registry).seed(seed).start(), stage)
}

fn scripts<const N: usize>(scripts: [(&str, &str); N]) -> Vec<bytes::Bytes> {
    in_global_window(scripts.map(|(key, script)| Kv(key.to_owned(), script.to_owned())))
}

fn run<const N: usize>(
    runner: &FakeRunner,
    stage: &Descriptor,
    told: [(&str, &str); N],
) -> Vec<String> {
    let outcome = runner.bundle(stage).input("source", scripts(told)).run();
    outcome.assert_ok();
    outcome.values("told")
}

fn key_of(key: &str) -> Vec<u8> {
    encoded(&key.to_owned(), Nesting::Nested)
}

#[test]
fn state_outlives_bundles_and_keys_are_apart() {
    let (runner, stage) = stage(1);
    runner.cut_state(3);
    let all = "bag; total; map; list";
    run(&runner, &stage, [("a", "add 1; add 300"), ("b", "add 7")]);
    assert_eq!(
        run(
            &runner,
            &stage,
            [("a", all), ("b", all), ("c", "bag; total")]
        ),
        [
            "[1, 300]",
            "301",
            "1: 1, 300: 90000",
            "[300, 1]",
            "[7]",
            "7",
            "7: 49",
            "[7]",
            "[]",
            "0"
        ]
    );
    run(&runner, &stage, [("a", "clear; add 2")]);
    assert_eq!(
        run(&runner, &stage, [("a", all)]),
        ["[2]", "2", "2: 4", "[2]"]
    );
    runner.close();
}

#[test]
fn what_is_appended_unread_does_not_hide_what_is_stored() {
    let (runner, stage) = stage(2);
    let bag = bag_key("keep", "bag", "", key_of("k"));
    runner.set_state(bag.clone(), vec![1, 2]);
    run(&runner, &stage, [("k", "add 3")]);
    assert_eq!(runner.state(&bag), vec![1, 2, 3]);
    for _ in 0..2 {
        assert_eq!(run(&runner, &stage, [("k", "bag")]), ["[1, 2, 3]"]);
    }
    runner.close();
}

#[test]
fn nor_is_it_taken_for_all_that_is_stored_under_a_token() {
    let (runner, stage) = stage(2);
    let bag = bag_key("keep", "bag", "", key_of("k"));
    runner.set_state(bag.clone(), vec![1, 2]);
    runner.promise(StateTerms::default().user_state("token"));
    run(&runner, &stage, [("k", "add 3")]);
    for _ in 0..2 {
        assert_eq!(run(&runner, &stage, [("k", "bag")]), ["[1, 2, 3]"]);
    }
    assert_eq!(runner.pages_read(&bag), 1);
    runner.close();
}

#[test]
fn a_failed_clear_fails_the_bundle_although_its_append_works() {
    let (runner, stage) = stage(3);
    let bag = bag_key("keep", "bag", "", key_of("k"));
    runner.refuse_state_write(bag, Write::Clear, "backend down");
    let input = scripts([("k", "clear-bag; add 1; bag")]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    let error = outcome.expect_error();
    assert!(error.contains("backend down"), "{error}");
    assert!(error.contains("bag"), "{error}");
    assert_eq!(run(&runner, &stage, [("other", "add 2; bag")]), ["[2]"]);
    runner.close();
}

#[test]
fn a_long_bag_is_read_page_by_page() {
    let (runner, stage) = stage(4);
    let mut values = Vec::new();
    for n in 0..100_000i64 {
        n.encode(&mut values, Nesting::Nested);
    }
    runner.set_state(bag_key("keep", "bag", "", key_of("k")), values);
    runner.cut_state(10_000);
    assert_eq!(
        run(&runner, &stage, [("k", "count; add 5; count")]),
        ["100000", "100001"]
    );
    runner.close();
}

#[test]
fn maps_may_be_kept_in_bags() {
    let mut registry = registry();
    registry.add::<Keeper>();
    let mut stage = Descriptor::new("bags");
    stage.keeping_maps_in_bags();
    let input = stage.source("source", Kv::<String, String>::coder());
    let told = stage.par_do("keep", &Keeper, &input);
    stage.sink("told", &told["told"]);
    let runner = FakeRunner::of(registry).seed(5).start();
    run(&runner, &stage, [("k", "add 1; add 2; add 1")]);
    assert!(
        !runner
            .state(&bag_key("keep", "map", "", key_of("k")))
            .is_empty()
    );
    assert_eq!(
        run(&runner, &stage, [("k", "add 3; map")]),
        ["1: 1, 2: 4, 3: 9"]
    );
    runner.close();
}

/// The key of an ordered list of `keep`, from one time to another.
fn list_key(key: &str, start: i64, end: i64) -> Type {
    Type::OrderedListUserState(OrderedListUserState {
        transform_id: "keep".into(),
        user_state_id: "list".into(),
        window: Bytes::new(),
        key: key_of(key).into(),
        range: Some(OrderedListRange { start, end }),
    })
}

/// An append of these bytes.
fn append(data: &[u8]) -> (Write, Bytes) {
    (Write::Append, Bytes::copy_from_slice(data))
}

const CLEAR: (Write, Bytes) = (Write::Clear, Bytes::new());

#[test]
fn writes_are_these_bytes_and_a_clear_comes_first() {
    let (runner, stage) = stage(6);
    let bag = bag_key("keep", "bag", "", key_of("k"));
    let total = bag_key("keep", "total", "", key_of("k"));
    let value = |n: &str| map_key("keep", "map", "", key_of("k"), key_of(n));
    let keys = map_keys_key("keep", "map", "", key_of("k"));
    let list = list_key("k", i64::MIN, i64::MAX);

    run(&runner, &stage, [("k", "add 1; add 300")]);
    let mut added = vec![append(&[1, 0xac, 2])];
    let mut totals = vec![append(&[0xad, 2])];
    // Sort keys of -300 and -1, and the values behind their lengths.
    let minus = |low: u8, next: u8| [low, next, 255, 255, 255, 255, 255, 255, 255, 1];
    let records = [
        &minus(0xd4, 0xfd)[..],
        &[2, 0xac, 2],
        &minus(0xff, 0xff),
        &[1, 1],
    ];
    let mut listed = vec![append(&records.concat())];
    assert_eq!(runner.writes(&bag), added);
    assert_eq!(runner.writes(&total), totals);
    assert_eq!(runner.writes(&value("1")), [CLEAR, append(&[1])]);
    let squared = [CLEAR, append(&[0x90, 0xbf, 5])];
    assert_eq!(runner.writes(&value("300")), squared);
    assert_eq!(runner.writes(&keys), []);
    assert_eq!(runner.writes(&list), listed);

    run(&runner, &stage, [("k", "add 9; clear; add 2")]);
    added.extend([CLEAR, append(&[2])]);
    totals.extend([CLEAR, append(&[2])]);
    let records = [&minus(0xfe, 0xff)[..], &[1, 2]];
    listed.extend([CLEAR, append(&records.concat())]);
    assert_eq!(runner.writes(&bag), added);
    assert_eq!(runner.writes(&total), totals);
    assert_eq!(runner.writes(&keys), [CLEAR]);
    assert_eq!(runner.writes(&value("2")), [append(&[4])]);
    assert_eq!(runner.writes(&value("9")), []);
    assert_eq!(runner.writes(&value("300")), squared);
    assert_eq!(runner.writes(&list), listed);
    runner.close();
}

#[test]
fn a_total_that_nobody_reads_does_not_grow_for_ever() {
    let (runner, stage) = stage(7);
    let total = bag_key("keep", "total", "", key_of("k"));
    let mut most = 0;
    for _ in 0..500 {
        run(&runner, &stage, [("k", "plus 1")]);
        most = most.max(runner.state(&total).len());
    }
    // One byte for each accumulator, or two for what they were merged into.
    assert!((10..200).contains(&most), "{most}");
    let reads = runner.pages_read(&total);
    assert!((3..16).contains(&reads), "{reads}");
    assert_eq!(run(&runner, &stage, [("k", "total")]), ["500"]);
    runner.close();
}
