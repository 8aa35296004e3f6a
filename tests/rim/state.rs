//! State that bundles read: the tails of grouped values, and side inputs.

use ferrobeam::element::{Coder, Nesting, encoded};
use ferrobeam::prelude::*;
use ferrobeam::testing::{
    Bundle, Descriptor, FakeRunner, in_global_window, in_windows, iterable_key, multimap_key,
    multimap_keys_key, tail_key, whole_multimap_key,
};
use ferrobeam::window::{FixedWindows, IntervalWindow, SlidingWindows, WindowFn};
use serde::{Deserialize, Serialize};

use crate::support::{Look, registry};

/// Sums the values of each key, twice over.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.SumTwice/v1")]
struct SumTwice;

impl DoFn for SumTwice {
    type In = Kv<String, Iter<i64>>;
    type Io = Out<Kv<String, i64>>;

    fn process(
        &mut self,
        Kv(key, values): Self::In,
        cx: &mut Cx<'_>,
        out: &mut Self::Io,
    ) -> Result {
        let mut sum = 0;
        for _ in 0..2 {
            for value in &values {
                sum += value?;
            }
        }
        out.emit(cx, Kv(key, sum));
        Ok(())
    }
}

/// Takes the first value of each key only.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.First/v1")]
struct First;

impl DoFn for First {
    type In = Kv<String, Iter<i64>>;
    type Io = Out<i64>;

    fn process(&mut self, Kv(_, values): Self::In, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        if let Some(first) = values.iter().next() {
            out.emit(cx, first?);
        }
        Ok(())
    }
}

/// Looks keys up.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.Lookup/v1")]
struct Lookup;

#[derive(Ports)]
struct LookupIo {
    out: Out<Kv<String, Vec<i64>>>,
    keys: Out<String>,
    table: Side<MultiMap<String, i64>>,
}

impl DoFn for Lookup {
    type In = String;
    type Io = LookupIo;

    fn process(&mut self, key: String, cx: &mut Cx<'_>, io: &mut LookupIo) -> Result {
        let values = io.table.get(&key)?.to_vec()?;
        io.out.emit(cx, Kv(key, values));
        for key in &io.table.keys()? {
            io.keys.emit(cx, key?);
        }
        Ok(())
    }
}

fn runner(seed: u64) -> FakeRunner {
    let mut registry = registry();
    registry.add::<SumTwice>().add::<First>().add::<Lookup>();
    FakeRunner::of(registry).seed(seed).start()
}

/// A grouped value, of which the runner keeps all but some.
fn state_backed(key: &str, inline: &[i64], token: &str) -> Vec<u8> {
    let mut element = in_global_window([0i64]).concat();
    element.pop();
    key.to_owned().encode(&mut element, Nesting::Nested);
    element.extend([0xff; 4]);
    if !inline.is_empty() {
        element.push(inline.len() as u8);
        inline
            .iter()
            .for_each(|value| value.encode(&mut element, Nesting::Nested));
    }
    // A count of -1, and the token.
    element.extend([0xff; 9]);
    element.extend([1, token.len() as u8]);
    element.extend(token.as_bytes());
    element
}

fn varints(values: impl IntoIterator<Item = i64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    values
        .into_iter()
        .for_each(|value| value.encode(&mut bytes, Nesting::Nested));
    bytes
}

fn grouped(id: &str, values: Coder) -> Descriptor {
    let mut stage = Descriptor::new(id);
    let groups = stage.source("source", Coder::kv(String::coder(), values));
    let sums = stage.par_do("sum", &SumTwice, &groups);
    stage.sink("sums", &sums["output"]);
    let firsts = stage.par_do("first", &First, &groups);
    stage.sink("firsts", &firsts["output"]);
    stage
}

#[test]
fn grouped_values_may_be_inline_or_in_state() {
    let state_backed_varints =
        Coder::standard("beam:coder:state_backed_iterable:v1", [i64::coder()]);
    for (seed, coder) in [
        (1, Coder::iterable(i64::coder())),
        (2, state_backed_varints),
    ] {
        let runner = runner(seed);
        runner.set_state(tail_key("tail of b"), varints(1000..3000));
        runner.cut_state(100);
        let input = [
            in_global_window([Kv("a".to_owned(), vec![1i64, 2])]).concat(),
            state_backed("b", &[3, 4], "tail of b"),
            in_global_window([Kv("c".to_owned(), Vec::<i64>::new())]).concat(),
            state_backed("d", &[], "no such tail"),
        ];
        let stage = grouped("grouped", coder);
        let outcome = runner.bundle(&stage).input("source", input).run();
        let sum = 2 * (7 + (1000..3000).sum::<i64>());
        let expected = [("a", 6), ("b", sum), ("c", 0), ("d", 0)];
        let expected = expected.map(|(key, sum)| Kv(key.to_owned(), sum));
        assert_eq!(outcome.values::<Kv<String, i64>>("sums"), expected);
        assert_eq!(outcome.values::<i64>("firsts"), [1, 3]);
        runner.close();
    }
}

#[test]
fn values_that_nobody_reads_are_not_fetched() {
    let runner = runner(0);
    let mut stage = Descriptor::new("unread");
    let groups = stage.source("source", <Kv<String, Iter<i64>>>::coder());
    let firsts = stage.par_do("first", &First, &groups);
    stage.sink("sink", &firsts["output"]);
    // The runner refuses, so that a request would fail the bundle.
    runner.refuse_state(tail_key("unread"), "nobody may read this");
    let input = [state_backed("a", &[5, 6], "unread")];
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert_eq!(outcome.values::<i64>("sink"), [5]);
    runner.close();
}

#[test]
fn grouped_values_that_leave_the_worker_are_whole() {
    let runner = runner(3);
    runner.set_state(tail_key("tail"), varints(0..100));
    runner.cut_state(7);
    let coder = Coder::kv(String::coder(), Coder::iterable(i64::coder()));
    let mut stage = Descriptor::new("through");
    let groups = stage.source("source", coder);
    stage.sink("sink", &groups);
    let input = [state_backed("a", &[-1], "tail")];
    let outcome = runner.bundle(&stage).input("source", input).run();
    let groups = outcome.values::<Kv<String, Iter<i64>>>("sink");
    let expected: Vec<i64> = (-1..100).collect();
    assert_eq!(groups[0].1.to_vec().unwrap(), expected);
    runner.close();
}

#[test]
fn state_that_the_runner_refuses_fails_the_bundle() {
    let runner = runner(0);
    let stage = grouped("refused", Coder::iterable(i64::coder()));
    runner.refuse_state(tail_key("lost"), "the backend is down");
    let input = [state_backed("a", &[1], "lost")];
    let outcome = runner.bundle(&stage).input("source", input).run();
    let error = outcome.expect_error();
    for part in [
        "the backend is down",
        "values of a grouped key",
        "transform \"sum\"",
    ] {
        assert!(error.contains(part), "{error}");
    }
    runner.close();
}

#[test]
fn pages_that_lie_are_errors() {
    let runner = runner(0);
    let stage = grouped("lies", Coder::iterable(i64::coder()));
    // A varint that does not end.
    runner.set_state(tail_key("cut off"), vec![1, 0x80]);
    let input = [state_backed("a", &[1], "cut off")];
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert!(
        outcome.expect_error().contains("end within a value"),
        "{outcome:?}"
    );
    runner.set_state(tail_key("too long"), vec![0xff; 100]);
    let input = [state_backed("a", &[1], "too long")];
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert!(outcome.expect_error().contains("varint"), "{outcome:?}");
    runner.close();
}

fn looking<'a>(runner: &'a FakeRunner, main: WindowFn, side: WindowFn, at: i64) -> Bundle<'a> {
    let mut stage = Descriptor::new(format!("{main:?} and {side:?}"));
    let numbers = stage.source_in("source", i64::coder(), main);
    let side = stage.collection("side", i64::coder(), side);
    let out = stage.par_do_with("look", &Look, &numbers, &[("side", &side)]);
    stage.sink("sink", &out["out"]);
    let input = in_windows(&main, [(Timestamp::from_millis(at), 0i64)]);
    runner.bundle(&stage).input("source", input)
}

fn fixed(seconds: i64) -> WindowFn {
    WindowFn::Fixed(FixedWindows {
        size: seconds * 1000,
        offset: 0,
    })
}

fn window(start: i64, end: i64) -> Vec<u8> {
    encoded(
        &IntervalWindow::from_millis(start * 1000, end * 1000),
        Nesting::Nested,
    )
}

#[test]
fn a_side_input_is_read_in_its_own_window() {
    let runner = runner(0);
    // [0, 60 s), in the bytes that other SDKs write.
    let minute = [0x80, 0, 0, 0, 0, 0, 0xea, 0x60, 0xe0, 0xd4, 3];
    assert_eq!(window(0, 60), minute);
    runner.set_state(iterable_key("look", "side", minute.to_vec()), vec![40, 2]);
    let outcome = looking(&runner, fixed(10), fixed(60), 25_000).run();
    assert_eq!(outcome.values::<i64>("sink"), [42]);

    // An element in two windows is looked at once in each.
    let sliding = WindowFn::Sliding(SlidingWindows {
        size: 10_000,
        period: 5_000,
        offset: 0,
    });
    runner.set_state(iterable_key("look", "side", window(50, 60)), vec![1]);
    runner.set_state(iterable_key("look", "side", window(60, 70)), vec![2]);
    let outcome = looking(&runner, sliding, fixed(10), 58_000).run();
    let mut seen: Vec<_> = outcome
        .elements::<i64>("sink")
        .iter()
        .map(|element| (element.windows::<IntervalWindow>().unwrap(), element.value))
        .collect();
    seen.sort();
    let expected = [
        (vec![IntervalWindow::from_millis(50_000, 60_000)], 1),
        (vec![IntervalWindow::from_millis(55_000, 65_000)], 2),
    ];
    assert_eq!(seen, expected);

    // Before 1970, and in the global window, whose encoding is empty.
    runner.set_state(iterable_key("look", "side", window(-60, 0)), vec![3]);
    let outcome = looking(&runner, fixed(10), fixed(60), -1).run();
    assert_eq!(outcome.values::<i64>("sink"), [3]);
    runner.set_state(iterable_key("look", "side", ""), vec![4]);
    let outcome = looking(&runner, fixed(10), WindowFn::Global, 25_000).run();
    assert_eq!(outcome.values::<i64>("sink"), [4]);
    let outcome = looking(&runner, WindowFn::Global, WindowFn::Global, 25_000).run();
    assert_eq!(outcome.values::<i64>("sink"), [4]);
    runner.close();
}

#[test]
fn what_was_read_in_one_bundle_is_not_taken_for_the_next() {
    let runner = runner(0);
    for value in [1u8, 2, 3] {
        runner.set_state(iterable_key("look", "side", ""), vec![value]);
        let outcome = looking(&runner, WindowFn::Global, WindowFn::Global, 0).run();
        assert_eq!(outcome.values::<i64>("sink"), [i64::from(value)]);
    }
    runner.close();
}

#[test]
fn large_side_inputs_come_in_pages() {
    let runner = runner(4);
    runner.set_state(iterable_key("look", "side", ""), varints(0..5000));
    runner.cut_state(50);
    let outcome = looking(&runner, WindowFn::Global, WindowFn::Global, 0).run();
    assert_eq!(outcome.values::<i64>("sink"), [(0..5000).sum::<i64>()]);
    runner.close();
}

#[test]
fn keys_of_a_side_input_are_looked_up() {
    // With the coders of our own types, and with those that a runner has that does not know them.
    let prefixed = |coder| Coder::length_prefix(coder);
    let plain = <Kv<String, i64>>::coder();
    let wrapped = Coder::kv(prefixed(String::coder()), prefixed(i64::coder()));
    for (seed, coder) in [(5, plain), (6, wrapped.clone())] {
        let is_wrapped = coder == wrapped;
        let runner = runner(seed);
        let mut stage = Descriptor::new("lookup");
        let keys = stage.source("source", String::coder());
        let side = stage.collection("side", coder, WindowFn::Global);
        let out = stage.par_do_with("look", &Lookup, &keys, &[("table", &side)]);
        stage.sink("out", &out["out"]);
        stage.sink("keys", &out["keys"]);
        let values = |values: &[i64]| -> Vec<u8> {
            let values = values.iter().map(|value| encoded(value, Nesting::Outer));
            if is_wrapped {
                let framed = values.map(|value| [&[value.len() as u8], &value[..]].concat());
                framed.collect::<Vec<_>>().concat()
            } else {
                values.collect::<Vec<_>>().concat()
            }
        };
        // The length of a text is the same with and without a prefix.
        runner.set_state(
            multimap_key("look", "table", "", b"\x01a".to_vec()),
            values(&[1, 300]),
        );
        runner.set_state(
            multimap_keys_key("look", "table", ""),
            b"\x01a\x02bc".to_vec(),
        );
        runner.cut_state(2);
        let input = in_global_window(["a".to_owned(), "?".to_owned()]);
        let outcome = runner.bundle(&stage).input("source", input).run();
        let out = outcome.values::<Kv<String, Vec<i64>>>("out");
        assert_eq!(out, [Kv("a".into(), vec![1, 300]), Kv("?".into(), vec![])]);
        assert_eq!(outcome.values::<String>("keys"), ["a", "bc", "a", "bc"]);
        runner.close();
    }
}

/// A stage of functions that take the first value of each key only.
fn taking_firsts() -> Descriptor {
    let mut stage = Descriptor::new("firsts");
    let groups = stage.source("source", <Kv<String, Iter<i64>>>::coder());
    let firsts = stage.par_do("first", &First, &groups);
    stage.sink("firsts", &firsts["output"]);
    stage
}

#[test]
fn the_next_page_is_asked_for_before_one_is_used_up() {
    let runner = runner(8);
    let stage = taking_firsts();
    runner.cut_state_evenly(10);
    runner.set_state(tail_key("tail"), varints([1; 20]));
    runner.hold_state();
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", state_backed("k", &[], "tail"));
    bundle.end_all();
    runner.expect_held_state(1);
    runner.answer_held_state();
    // The function takes one value of ten, and yet there is a request for the second page.
    runner.expect_held_state(1);
    assert_eq!(runner.pages_read(&tail_key("tail")), 1);
    runner.release_state();
    assert_eq!(bundle.wait().values::<i64>("firsts"), [1]);
    // It was answered while the bundle lived. There is no third one to ask for.
    assert_eq!(runner.pages_read(&tail_key("tail")), 2);
    runner.close();
}

#[test]
fn readers_that_stop_early_do_not_matter_to_others() {
    let runner = runner(9);
    let stage = taking_firsts();
    runner.cut_state_evenly(10);
    runner.set_state(tail_key("tail"), varints([1; 100]));
    // The second page, which nobody has read, serves all who come after the first.
    let input = (0..20).map(|n| state_backed(&n.to_string(), &[], "tail"));
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert_eq!(outcome.values::<i64>("firsts"), [1; 20]);
    assert_eq!(runner.pages_read(&tail_key("tail")), 21);
    // More of them than pages may wait for readers.
    let tail = |n: i64| format!("tail {n}");
    for n in 0..20 {
        runner.set_state(tail_key(tail(n)), varints([n; 100]));
    }
    let input = (0..20).map(|n| state_backed(&n.to_string(), &[], &tail(n)));
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert_eq!(outcome.values::<i64>("firsts"), Vec::from_iter(0..20));
    for n in 0..20 {
        assert_eq!(runner.pages_read(&tail_key(tail(n))), 2);
    }
    runner.close();
}

/// A stage of functions that look keys up in a side input of this coder.
fn looking_up(coder: Coder) -> Descriptor {
    let mut stage = Descriptor::new("lookup");
    let keys = stage.source("source", String::coder());
    let side = stage.collection("side", coder, WindowFn::Global);
    let out = stage.par_do_with("look", &Lookup, &keys, &[("table", &side)]);
    stage.sink("out", &out["out"]);
    stage.sink("keys", &out["keys"]);
    stage
}

/// Looks up "0", "1" and so on, and expects each number for its key, and nothing for the last.
fn look_up(runner: &FakeRunner, stage: &Descriptor, count: i64) {
    let input = in_global_window((0..=count).map(|n| n.to_string()));
    let outcome = runner.bundle(stage).input("source", input).run();
    let out = outcome.values::<Kv<String, Vec<i64>>>("out");
    let expected = (0..=count).map(|n| {
        let values = if n < count { vec![n, n] } else { vec![] };
        Kv(n.to_string(), values)
    });
    assert_eq!(out, expected.collect::<Vec<_>>());
}

/// How often each of so many keys was asked for.
fn asked_for(runner: &FakeRunner, count: i64) -> Vec<usize> {
    let key = |n: i64| encoded(&n.to_string(), Nesting::Nested);
    let keys = (0..count).map(|n| multimap_key("look", "table", "", key(n)));
    keys.map(|key| runner.pages_read(&key)).collect()
}

#[test]
fn who_looks_many_keys_up_gets_all_at_once() {
    let whole = whole_multimap_key("look", "table", "");
    let plain = <Kv<String, i64>>::coder();
    let prefixed = Coder::length_prefix(i64::coder());
    let wrapped = Coder::kv(Coder::length_prefix(String::coder()), prefixed);
    for (seed, coder) in [(10, plain), (11, wrapped.clone())] {
        let is_wrapped = coder == wrapped;
        let mut registry = registry();
        registry.add::<Lookup>();
        let runner = FakeRunner::of(registry)
            .whole_multimaps()
            .seed(seed)
            .start();
        runner.cut_state(5);
        let stage = looking_up(coder);
        let value = |n: i64| match is_wrapped {
            true => vec![1, n as u8],
            false => vec![n as u8],
        };
        let mut entries = Vec::new();
        for n in 0..50 {
            let key = encoded(&n.to_string(), Nesting::Nested);
            let values = [value(n), value(n)].concat();
            runner.set_state(
                multimap_key("look", "table", "", key.clone()),
                values.clone(),
            );
            entries.extend(key);
            entries.extend([0, 0, 0, 2]);
            entries.extend(values);
        }
        runner.set_state(whole.clone(), entries);
        look_up(&runner, &stage, 50);
        let asked = asked_for(&runner, 50);
        assert!(asked[0] > 0 && asked[1] > 0, "{asked:?}");
        assert_eq!(asked[2..], [0; 48]);
        assert!(runner.pages_read(&whole) > 0);
        runner.close();
    }
}

#[test]
fn keys_are_looked_up_one_by_one_where_all_at_once_will_not_do() {
    let whole = whole_multimap_key("look", "table", "");
    let runner = |seed| {
        let mut registry = registry();
        registry.add::<Lookup>();
        let runner = FakeRunner::of(registry).seed(seed);
        let runner = if seed == 14 {
            runner
        } else {
            runner.whole_multimaps()
        }
        .start();
        for n in 0..5 {
            let key = encoded(&n.to_string(), Nesting::Nested);
            runner.set_state(multimap_key("look", "table", "", key), vec![n as u8; 2]);
        }
        runner
    };
    let stage = looking_up(<Kv<String, i64>>::coder());
    // The runner refuses.
    let refusing = runner(12);
    refusing.refuse_state(whole.clone(), "no such state");
    look_up(&refusing, &stage, 5);
    assert_eq!(asked_for(&refusing, 5), [1; 5]);
    assert_eq!(refusing.pages_read(&whole), 0);
    refusing.close();
    // There is too much: a key of five million values.
    let large = runner(13);
    let mut entries = b"\x01x".to_vec();
    entries.extend(5_000_000u32.to_be_bytes());
    entries.extend(vec![0; 5_000_000]);
    large.set_state(whole.clone(), entries);
    for bundles in 1..=2 {
        look_up(&large, &stage, 5);
        assert_eq!(asked_for(&large, 5), [bundles; 5]);
        assert_eq!(large.pages_read(&whole), 1);
    }
    large.close();
    // The runner does not say that it can do it.
    let unable = runner(14);
    unable.refuse_state(whole.clone(), "nobody may ask for this");
    look_up(&unable, &stage, 5);
    assert_eq!(unable.pages_read(&whole), 0);
    unable.close();
}

#[test]
fn answers_may_come_in_any_order() {
    let runner = runner(7);
    runner.set_state(iterable_key("look", "side", ""), vec![9]);
    let stage = {
        let mut stage = Descriptor::new("any order");
        let numbers = stage.source("source", i64::coder());
        let side = stage.collection("side", i64::coder(), WindowFn::Global);
        let out = stage.par_do_with("look", &Look, &numbers, &[("side", &side)]);
        stage.sink("sink", &out["out"]);
        stage
    };
    runner.hold_state();
    let bundles: Vec<_> = (0..10).map(|_| runner.bundle(&stage).start()).collect();
    for (n, bundle) in (0i64..).zip(&bundles) {
        bundle.send("source", in_global_window([n * 100]).concat());
        bundle.end_all();
    }
    runner.expect_held_state(10);
    runner.release_state();
    for (n, bundle) in (0i64..).zip(bundles) {
        assert_eq!(bundle.wait().values::<i64>("sink"), [n * 100 + 9]);
    }
    runner.close();
}
