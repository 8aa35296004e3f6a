//! State as functions keep it.

use ferrobeam::prelude::*;
use ferrobeam::testing::{DoFnTester, Requests};
use ferrobeam::window::{FixedWindows, WindowFn};
use std::time::Duration;

use crate::ms;

/// Does to its state what its elements say, and tells what it reads.
struct Keeper;

#[derive(Ports)]
struct KeeperIo {
    told: Out<String>,
    value: ValueState<String>,
    bag: BagState<i64>,
    wake: Timer<Wake>,
}

/// The time has come to tell what is in the state.
struct Wake;

fn told(io: &mut KeeperIo, words: &[&str]) -> Result<Option<String>> {
    let number = |word: &str| word.parse::<i64>().unwrap();
    Ok(match *words {
        ["value", "read"] => Some(io.value.read()?.cloned().unwrap_or_else(|| "-".into())),
        ["value", "write", value] => {
            io.value.write(value.into())?;
            None
        }
        ["value", "clear"] => {
            io.value.clear()?;
            None
        }
        ["bag", "add", n] => {
            io.bag.add(&number(n))?;
            None
        }
        ["bag", "clear"] => {
            io.bag.clear()?;
            None
        }
        ["bag", "read"] => Some(format!("{:?}", io.bag.read()?.to_vec()?)),
        ["bag", "read", "late"] => {
            let before = io.bag.read()?;
            io.bag.clear()?;
            io.bag.add(&-1)?;
            Some(format!("{:?}", before.to_vec()?))
        }
        _ => panic!("{words:?}"),
    })
}

fn follow(script: &str, cx: &mut Cx<'_>, io: &mut KeeperIo) -> Result {
    for step in script.split("; ").filter(|step| !step.is_empty()) {
        let words: Vec<&str> = step.split(' ').collect();
        if words == ["wake"] {
            io.wake.set(cx, cx.timestamp());
        } else if let Some(told) = told(io, &words)? {
            io.told.emit(cx, told);
        }
    }
    Ok(())
}

impl DoFn for Keeper {
    type In = Kv<String, String>;
    type Io = KeeperIo;

    fn process(&mut self, Kv(_, script): Self::In, cx: &mut Cx<'_>, io: &mut KeeperIo) -> Result {
        follow(&script, cx, io)
    }
}

impl OnTimer<Wake> for Keeper {
    fn on_timer(
        &mut self,
        key: &String,
        _: Fired<'_>,
        cx: &mut Cx<'_>,
        io: &mut KeeperIo,
    ) -> Result {
        let value = io.value.read()?.cloned();
        io.told.emit(cx, format!("{key} woke: {value:?}"));
        io.value.clear()
    }
}

/// Runs a bundle of scripts, each after its key and a colon.
fn run<const N: usize>(tester: &mut DoFnTester<Keeper>, scripts: [&str; N]) -> Vec<String> {
    let scripts = scripts.map(|script| {
        let (key, script) = script.split_once(": ").unwrap();
        Kv(key.to_owned(), script.to_owned())
    });
    tester.run(scripts).unwrap().told.values()
}

#[test]
fn a_value_is_read_as_it_was_written() {
    let mut tester = DoFnTester::of(Keeper).in_pages(3);
    let first = "a: value read; value write x; value read; value clear; value read; value write y";
    assert_eq!(run(&mut tester, [first]), ["-", "x", "-"]);
    assert_eq!(run(&mut tester, ["a: value read; value clear"]), ["y"]);
    assert_eq!(run(&mut tester, ["a: value read"]), ["-"]);
}

#[test]
fn keys_are_apart() {
    let mut tester = DoFnTester::of(Keeper);
    let scripts = [
        "a: value write 1; bag add 1",
        "b: value read; value write 2; bag add 2; bag read",
        "a: value read; bag add 3; bag read",
        "ab: value read; bag read",
        "b: value read; bag read",
    ];
    assert_eq!(
        run(&mut tester, scripts),
        ["-", "[2]", "1", "[1, 3]", "-", "[]", "2", "[2]"]
    );
    assert_eq!(
        run(&mut tester, ["b: value read", "a: value read"]),
        ["2", "1"]
    );
}

#[test]
fn windows_are_apart() {
    let windows = WindowFn::Fixed(FixedWindows::of(Duration::from_secs(10)));
    let mut tester = DoFnTester::of(Keeper).in_windows(windows);
    let mut at = |millis, script: &str| {
        let element = Kv("a".to_owned(), script.to_owned());
        tester
            .run_at([(ms(millis), element)])
            .unwrap()
            .told
            .values()
    };
    at(1_000, "bag add 1");
    at(11_000, "bag add 2");
    assert_eq!(at(2_000, "bag add 3; bag read"), ["[1, 3]"]);
    assert_eq!(at(12_000, "bag read"), ["[2]"]);
}

#[test]
fn a_bag_keeps_its_order() {
    let mut tester = DoFnTester::of(Keeper).in_pages(2);
    assert_eq!(
        run(&mut tester, ["a: bag add 300; bag add 2; bag read"]),
        ["[300, 2]"]
    );
    let more = "a: bag add 300; bag read; bag clear; bag read; bag add 4; bag read";
    assert_eq!(run(&mut tester, [more]), ["[300, 2, 300]", "[]", "[4]"]);
    assert_eq!(
        run(&mut tester, ["a: bag read late; bag read"]),
        ["[4]", "[-1]"]
    );
    assert_eq!(run(&mut tester, ["a: bag read"]), ["[-1]"]);
}

#[test]
fn what_was_added_unread_is_behind_what_is_stored() {
    let mut tester = DoFnTester::of(Keeper);
    run(&mut tester, ["a: bag add 1; bag add 2"]);
    tester.state_requests();
    run(&mut tester, ["a: bag add 3"]);
    let only_an_append = Requests {
        appends: 1,
        ..Requests::default()
    };
    assert_eq!(tester.state_requests(), only_an_append);
    assert_eq!(run(&mut tester, ["a: bag read"]), ["[1, 2, 3]"]);
}

#[test]
fn nothing_is_asked_twice_and_nothing_is_sent_early() {
    let mut tester = DoFnTester::of(Keeper);
    run(&mut tester, ["a: value write x; bag add 1"]);
    tester.state_requests();
    let scripts = [
        "a: value read; bag read; bag add 2",
        "b: value read",
        "a: value read; bag read; value write y; value write z",
    ];
    assert_eq!(run(&mut tester, scripts), ["x", "[1]", "-", "x", "[1, 2]"]);
    let requests = Requests {
        gets: 3,
        appends: 2,
        clears: 1,
    };
    assert_eq!(tester.state_requests(), requests);
}

#[test]
fn timers_see_the_state_of_their_key() {
    let mut tester = DoFnTester::of(Keeper).at(ms(5));
    run(&mut tester, ["a: value write x; wake", "b: value write y"]);
    let woken = tester.advance_watermark(ms(6)).unwrap().told.values();
    assert_eq!(woken, ["a woke: Some(\"x\")"]);
    assert_eq!(
        run(&mut tester, ["a: value read", "b: value read"]),
        ["-", "y"]
    );
}

/// Looks at state outside of `process`.
struct Early;

#[derive(Ports)]
struct EarlyIo {
    told: Out<i64>,
    #[port(name = "the-total")]
    total: ValueState<i64>,
}

impl DoFn for Early {
    type In = Kv<String, i64>;
    type Io = EarlyIo;

    fn process(&mut self, Kv(_, n): Self::In, cx: &mut Cx<'_>, io: &mut EarlyIo) -> Result {
        io.total.write(n)?;
        io.told.emit(cx, n);
        Ok(())
    }

    fn finish_bundle(&mut self, _: &mut BundleCx, io: &mut EarlyIo) -> Result {
        io.total.write(1)
    }
}

#[test]
fn there_is_no_state_without_a_key() {
    let mut tester = DoFnTester::of(Early);
    let error = tester.run([Kv("a".to_owned(), 1)]).err().unwrap();
    assert_eq!(error.place("state"), Some("the-total"));
    assert!(
        error.message().contains("belongs to a key and a window"),
        "{error}"
    );
}

/// Fills its bag with megabytes, and tells how many it counts before, after, and of a reader from before.
struct Fill;

#[derive(Ports)]
struct FillIo {
    told: Out<String>,
    bag: BagState<Vec<u8>>,
}

impl DoFn for Fill {
    type In = Kv<String, i64>;
    type Io = FillIo;

    fn process(&mut self, Kv(_, n): Self::In, cx: &mut Cx<'_>, io: &mut FillIo) -> Result {
        let before = io.bag.read()?;
        if n < 0 {
            io.bag.clear()?;
        }
        for _ in 0..n.abs() {
            io.bag.add(&vec![7; 1 << 20])?;
        }
        let after = io.bag.read()?;
        let told = format!("{} {}", before.iter().count(), after.iter().count());
        io.told.emit(cx, told);
        Ok(())
    }
}

#[test]
fn much_is_sent_early_but_never_under_a_reader() {
    let mut tester = DoFnTester::of(Fill);
    let fill = |key: &str, n| Kv(key.to_owned(), n);
    let told = tester.run([fill("a", 20), fill("b", 20), fill("a", 3), fill("b", -2)]);
    assert_eq!(
        told.unwrap().told.values(),
        ["0 20", "0 20", "20 23", "20 2"]
    );
    // Those of the first key are sent early, in three appends, since none is larger than ten megabytes. Those of the second are
    // cleared before they are sent.
    let requests = tester.state_requests();
    assert_eq!((requests.appends, requests.clears), (3 + 1 + 1, 1));
    let told = tester.run([fill("a", 0), fill("b", 0)]).unwrap().told;
    assert_eq!(told.values(), ["23 23", "2 2"]);
}

#[test]
fn many_cells_are_sent_early() {
    let mut tester = DoFnTester::of(Keeper);
    let add = |n: i64| Kv(n.to_string(), format!("bag add {n}; value write {n}"));
    let read = |n: i64| Kv(n.to_string(), "bag read; value read".to_owned());
    tester.run((0..15_000).map(add)).unwrap();
    let told = tester.run((0..15_000).map(read)).unwrap().told.values();
    assert_eq!(told.len(), 30_000);
    assert_eq!(told[29_998..], ["[14999]", "14999"]);
}

/// Keeps units in state of every kind, and tells how many there are.
struct Units;

#[derive(Ports)]
struct UnitsIo {
    told: Out<Vec<i64>>,
    value: ValueState<()>,
    bag: BagState<()>,
    set: SetState<()>,
    map: MapState<(), ()>,
    multimap: MultimapState<(), ()>,
    list: OrderedListState<()>,
}

impl DoFn for Units {
    type In = Kv<String, i64>;
    type Io = UnitsIo;

    fn process(&mut self, Kv(_, n): Self::In, cx: &mut Cx<'_>, io: &mut UnitsIo) -> Result {
        for n in 0..n {
            io.value.write(())?;
            io.bag.add(&())?;
            io.set.add(&())?;
            io.map.put(&(), &())?;
            io.multimap.add(&(), &())?;
            io.list.add(ms(n), &())?;
        }
        let told = [
            usize::from(io.value.read()?.is_some()),
            io.bag.read()?.iter().count(),
            io.set.read()?.iter().count(),
            io.map.entries()?.iter().count(),
            io.multimap.get(&())?.iter().count(),
            io.multimap.entries()?.iter().count(),
            io.list.read(..)?.iter().count(),
        ];
        let told = told.map(|count| i64::try_from(count).unwrap());
        io.told.emit(cx, told.to_vec());
        Ok(())
    }
}

#[test]
fn units_are_values_too() {
    for tester in [
        DoFnTester::of(Units),
        DoFnTester::of(Units).keeping_maps_in_bags(),
    ] {
        let mut tester = tester.in_pages(2);
        let mut told = |n| {
            let element = Kv("k".to_owned(), n);
            tester.run([element]).unwrap().told.values()
        };
        assert_eq!(told(0), [[0; 7]]);
        assert_eq!(told(3), [[1, 3, 1, 1, 3, 3, 3]]);
        assert_eq!(told(0), [[1, 3, 1, 1, 3, 3, 3]]);
        assert_eq!(told(2), [[1, 5, 1, 1, 5, 5, 5]]);
    }
}
