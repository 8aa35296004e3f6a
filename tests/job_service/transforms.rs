//! Each transform gives what it promises.

use ferrobeam::Kv;
use ferrobeam::dofn::Sum;
use ferrobeam::window::{FixedWindows, SessionWindows, SlidingWindows, WindowFn};

use crate::functions::{
    Item, Price, PriceIoSides, Stamp, WithWindow, ones, registry, show, show_group, show_item,
    show_pair,
};
use crate::run;

fn pairs() -> Vec<Kv<String, i64>> {
    [("a", 1), ("b", 2), ("a", 3)]
        .map(|(k, v)| Kv(k.to_owned(), v))
        .to_vec()
}

#[test]
fn grouping_and_combining() {
    let ran = run(registry(), |p, outputs| {
        let pairs = p.create("Pairs", pairs());
        let grouped = pairs.group_by_key("Group");
        outputs.write("grouped", &grouped.steps("Show groups", show_group()));
        let summed = pairs.combine_per_key("Sum", Sum::<i64>::new());
        outputs.write("summed", &summed.steps("Show sums", show_pair()));
        let counted = pairs.count_per_key("Count");
        outputs.write("counted", &counted.steps("Show counts", show_pair()));
        let occurs = pairs.keys("Keys").count_per_element("Occurs");
        outputs.write("occurs", &occurs.steps("Show occurs", show_pair()));
        let total = pairs
            .values("Values")
            .combine_globally("Total", Sum::<i64>::new());
        outputs.write("total", &total.steps("Show total", show()));
        let untyped = pairs
            .raw()
            .combine_values_per_key("Untyped", Sum::<i64>::new());
        let untyped = untyped.typed::<Kv<String, i64>>().unwrap();
        outputs.write("untyped", &untyped.steps("Show untyped", show_pair()));
    });
    assert_eq!(ran.lines("grouped"), ["a=[1, 3]", "b=[2]"]);
    assert_eq!(ran.lines("summed"), ["a=4", "b=2"]);
    assert_eq!(ran.lines("counted"), ["a=2", "b=1"]);
    assert_eq!(ran.lines("occurs"), ["a=2", "b=1"]);
    assert_eq!(ran.lines("total"), ["6"]);
    assert_eq!(ran.lines("untyped"), ["a=4", "b=2"]);
}

#[test]
fn the_combination_of_nothing() {
    let ran = run(registry(), |p, outputs| {
        let none = p.create("None", Vec::<i64>::new());
        let sum = none.combine_globally("Sum", Sum::<i64>::new());
        let count = none.count_globally("Count");
        let both = p.flatten("Both", [sum, count]);
        outputs.write("both", &both.steps("Show", show()));
    });
    assert_eq!(ran.lines("both"), ["0", "0"]);
}

#[test]
fn side_inputs_and_several_outputs() {
    let ran = run(registry(), |p, outputs| {
        let orders = [("tea", 2), ("rum", 1), ("gum", 1)].map(|(k, v)| Kv(k.to_owned(), v));
        let rates = [("tea", 10), ("rum", 50)].map(|(k, v)| Kv(k.to_owned(), v));
        let discounts = [("tea", 3), ("tea", 4)].map(|(k, v)| Kv(k.to_owned(), v));
        let sides = PriceIoSides {
            rates: p.create("Rates", rates).as_map(),
            discounts: p.create("Discounts", discounts).as_multimap(),
            bonus: p.create("Bonus", [100i64]).as_single(),
            banned: p.create("Banned", ["rum".to_owned()]).as_list(),
        };
        let orders = p.create("Orders", orders);
        let out = orders.par_do_with("Price", Price { factor: 2 }, sides);
        outputs.write("priced", &out.priced.steps("Show", show_pair()));
        outputs.write("rejected", &out.rejected);
    });
    assert_eq!(ran.lines("priced"), ["tea=133"]);
    assert_eq!(ran.lines("rejected"), ["gum is unknown", "rum is banned"]);
    assert_eq!(ran.metrics.counter("test.Price", "orders"), Some(3));
    let amounts = ran.metrics.distribution("test.Price", "amounts").unwrap();
    assert_eq!(
        (amounts.count, amounts.sum, amounts.min, amounts.max),
        (3, 4, 1, 2)
    );
    let elsewhere = ran.metrics.of_transform("Orders/Values");
    assert_eq!(elsewhere.counter("test.Price", "orders"), None);
}

#[test]
fn windows_of_each_kind() {
    let fixed = WindowFn::Fixed(FixedWindows {
        size: 10,
        offset: 0,
    });
    let sliding = WindowFn::Sliding(SlidingWindows {
        size: 10,
        period: 5,
        offset: 0,
    });
    let sessions = WindowFn::Session(SessionWindows { gap: 5 });
    let ran = run(registry(), |p, outputs| {
        let stamped = p.create("Numbers", [1i64, 2, 13]).par_do("Stamp", Stamp);
        for (name, windows) in [
            ("fixed", fixed),
            ("sliding", sliding),
            ("sessions", sessions),
        ] {
            p.scope(name, |p| {
                let windowed = stamped.window_into("Window", windows);
                let sums = windowed.combine_globally("Sum", Sum::<i64>::new());
                outputs.write(name, &sums.par_do("Show", WithWindow).shown);
                let one_by_one = windowed.reshuffle("Shuffle").par_do("Show all", WithWindow);
                p.scope("All", |_| {
                    outputs.write(&format!("all {name}"), &one_by_one.shown)
                });
            });
        }
    });
    assert_eq!(ran.lines("fixed"), ["13 at 19 until 19", "3 at 9 until 9"]);
    assert_eq!(
        ran.lines("sliding"),
        [
            "13 at 14 until 14",
            "13 at 19 until 19",
            "3 at 4 until 4",
            "3 at 9 until 9"
        ]
    );
    assert_eq!(
        ran.lines("sessions"),
        ["13 at 17 until 17", "3 at 6 until 6"]
    );
    assert_eq!(
        ran.lines("all fixed"),
        ["1 at 1 until 9", "13 at 13 until 19", "2 at 2 until 9"]
    );
    assert_eq!(ran.lines("all sliding").len(), 6);
    assert_eq!(
        ran.lines("all sessions"),
        ["1 at 1 until 5", "13 at 13 until 17", "2 at 2 until 6"]
    );
}

#[test]
fn rows_and_numbers_survive_a_reshuffle() {
    let ran = run(registry(), |p, outputs| {
        let items = ["a", "b"].map(|name| Item {
            name: name.into(),
            count: 2,
        });
        let items = p.create("Items", items);
        outputs.write("before", &items.steps("Show", show_item()));
        let after = items.reshuffle("Shuffle");
        outputs.write("after", &after.steps("Show again", show_item()));
        let occurs = items
            .reshuffle("Shuffle for counting")
            .count_globally("Count");
        outputs.write("count", &occurs.steps("Show count", show()));
        let numbers = p.create("Numbers", (0..2000i64).collect::<Vec<_>>());
        let sum = numbers
            .reshuffle("Shuffle numbers")
            .combine_globally("Sum", Sum::<i64>::new());
        outputs.write("sum", &sum.steps("Show sum", show()));
    });
    assert_eq!(ran.lines("before"), ["2 x a", "2 x b"]);
    assert_eq!(ran.lines("after"), ["2 x a", "2 x b"]);
    assert_eq!(ran.lines("count"), ["2"]);
    assert_eq!(ran.lines("sum"), ["1999000"]);
}

#[test]
fn flattening_and_files() {
    let folder = tempfile::TempDir::new().unwrap();
    let input = folder.path().join("lines");
    std::fs::write(&input, "one\r\ntwo\n\nthree").unwrap();
    let ran = run(registry(), |p, outputs| {
        let read = p.read_lines("Read", input.to_str().unwrap());
        let twice = p.flatten("Twice", [read.clone(), read.clone()]);
        let counted = twice
            .steps("Ones", ones())
            .combine_per_key("Sum", Sum::<i64>::new());
        outputs.write("twice", &counted.steps("Show", show_pair()));
        let alone = p.flatten("Alone", [read]);
        outputs.write("alone", &alone);
        let nothing = p.flatten::<String>("Nothing", []);
        outputs.write("with nothing", &p.flatten("More", [alone, nothing]));
    });
    assert_eq!(ran.lines("twice"), ["=2", "one=2", "three=2", "two=2"]);
    assert_eq!(ran.lines("alone"), ["", "one", "three", "two"]);
    assert_eq!(ran.lines("with nothing"), ["", "one", "three", "two"]);
}
