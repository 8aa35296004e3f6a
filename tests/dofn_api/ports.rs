//! Functions with outputs, metrics and a name.

use ferrobeam::dofn::{
    DoubleDistribution, DoubleGauge, DoubleSum, Exponential, FunctionPayload, Named, Spread,
};
use ferrobeam::prelude::*;
use ferrobeam::serde_json;
use ferrobeam::testing::{Bench, DoFnTester};
use serde::{Deserialize, Serialize};

use crate::text;

/// Splits lines into words.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "text.Words/v1")]
struct Words {
    min_len: usize,
    #[serde(skip)]
    seen: usize,
}

impl DoFn for Words {
    type In = String;
    type Io = Out<String>;

    fn process(&mut self, line: String, cx: &mut Cx<'_>, out: &mut Out<String>) -> Result {
        for word in line.split(' ').filter(|w| w.len() >= self.min_len) {
            self.seen += 1;
            out.emit(cx, word.to_owned());
        }
        Ok(())
    }
}

/// Prices orders in another currency.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "shop.Price/v2", upgrade = tax_is_called_vat)]
struct Price {
    vat: f64,
}

fn tax_is_called_vat(mut config: serde_json::Value) -> Result<serde_json::Value> {
    if let Some(tax) = config.as_object_mut().and_then(|c| c.remove("tax")) {
        config["vat"] = tax;
    }
    Ok(config)
}

#[derive(Ports)]
struct PriceIo {
    priced: Out<Kv<String, f64>>,
    rejected: Out<String>,
    rates: Side<MapView<String, f64>>,
    #[port(name = "unknown-items")]
    unknown: Counter,
    sizes: Distribution,
    latest: Gauge,
}

impl DoFn for Price {
    type In = Kv<String, i64>;
    type Io = PriceIo;

    fn process(&mut self, Kv(item, n): Self::In, cx: &mut Cx<'_>, io: &mut PriceIo) -> Result {
        io.sizes.add(n);
        io.latest.set(n);
        match io.rates.get(&item)?.copied() {
            Some(rate) => io
                .priced
                .emit(cx, Kv(item, rate * n as f64 * (1.0 + self.vat))),
            None => {
                io.unknown.inc();
                io.rejected.emit(cx, item);
            }
        }
        Ok(())
    }
}

fn price() -> DoFnTester<Price> {
    let rates = vec![Kv("tea".into(), 4.0), Kv("milk".into(), 1.0)];
    DoFnTester::of(Price { vat: 0.5 }).sides(PriceIoSides { rates })
}

#[test]
fn one_output() {
    let mut tester = DoFnTester::of(Words {
        min_len: 3,
        seen: 0,
    });
    let words = tester.run(text(["to be or not", "that is the question"]));
    assert_eq!(words.unwrap().values(), ["not", "that", "the", "question"]);
}

#[test]
fn two_outputs_a_side_input_and_metrics() {
    let mut tester = price();
    let orders = [("tea", 2), ("salt", 1), ("milk", 9)].map(|(item, n)| Kv(item.into(), n));
    let PriceIoOutputs { priced, rejected } = tester.run(orders).unwrap();
    assert_eq!(
        priced.values(),
        [Kv("tea".to_owned(), 12.0), Kv("milk".to_owned(), 13.5)]
    );
    assert_eq!(rejected.values(), ["salt"]);
    assert_eq!(tester.counter("unknown-items"), Some(1));
    assert_eq!(
        tester.distribution("sizes"),
        Some(Spread {
            count: 3,
            sum: 12,
            min: 1,
            max: 9
        })
    );
    assert_eq!(tester.gauge("latest"), Some(9));
    assert_eq!(tester.counter("sizes"), None);
    assert_eq!(tester.counter("unknown"), None);

    // Metrics are those of the last bundle; configuration and side inputs stay.
    let priced = tester.run([Kv("milk".into(), 2)]).unwrap().priced;
    assert_eq!(priced.values(), [Kv("milk".to_owned(), 3.0)]);
    assert_eq!(tester.counter("unknown-items"), Some(0));
}

#[test]
fn outputs_can_be_printed() {
    let outputs = price().run([Kv("salt".into(), 1)]).unwrap();
    assert_eq!(
        format!("{outputs:?}"),
        r#"PriceIoOutputs { priced: [], rejected: ["salt"] }"#
    );
}

#[test]
fn functions_travel_by_name_and_configuration() {
    let words = Words {
        min_len: 3,
        seen: 7,
    };
    let payload = FunctionPayload::of(&words).unwrap().to_bytes();
    assert_eq!(
        payload,
        br#"{"format":1,"name":"text.Words/v1","config":{"min_len":3}}"#
    );
    let mut tester = DoFnTester::sent(&words).unwrap();
    let out = tester.run(text(["a bc def"])).unwrap();
    assert_eq!(out.values(), ["def"]);

    let old = br#"{"format":1,"name":"shop.Price/v1","config":{"tax":0.5}}"#;
    let price: Price = FunctionPayload::parse(old).unwrap().function().unwrap();
    assert_eq!(price.vat, 0.5);
    assert_eq!(Price::NAME, "shop.Price/v2");
}

/// Ports that are generic, partly in types that only one of the companions needs.
#[derive(Ports)]
struct BothIo<A: Element, B = i64>
where
    B: Element,
{
    #[port(name = "self")]
    a: Out<A>,
    r#type: Side<List<B>>,
}

struct Both<A>(std::marker::PhantomData<fn(A)>);

impl<A: Element> DoFn for Both<A> {
    type In = A;
    type Io = BothIo<A>;

    fn process(&mut self, a: A, cx: &mut Cx<'_>, io: &mut BothIo<A>) -> Result {
        for _ in &io.r#type.values()? {
            io.a.emit(cx, a.clone());
        }
        Ok(())
    }
}

#[test]
fn ports_may_be_generic() {
    let mut tester =
        DoFnTester::of(Both(std::marker::PhantomData)).sides(BothIoSides { r#type: vec![1, 2] });
    let outputs: BothIoOutputs<bool, Bench> = tester.run([true]).unwrap();
    assert_eq!(outputs.a.values(), [true, true]);
    assert_eq!(format!("{outputs:?}"), "BothIoOutputs { a: [true, true] }");
}

/// Keeps sets and counts by bucket, and reads an option.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "api.Keep/v1")]
struct Keep;

#[derive(Ports)]
struct KeepIo {
    out: Out<String>,
    names: StringSet,
    #[port(name = "odd: ä/%")]
    files: BoundedTrie,
    lengths: Histogram<Exponential<0, 4>>,
    halves: DoubleSum,
    spread: DoubleDistribution,
    last: DoubleGauge,
    options: Options,
}

impl DoFn for Keep {
    type In = String;
    type Io = KeepIo;

    fn process(&mut self, text: String, cx: &mut Cx<'_>, io: &mut KeepIo) -> Result {
        io.names.add(&text);
        io.files.add(&text.split('/').collect::<Vec<_>>());
        io.lengths.add(text.len() as f64);
        io.halves.add(text.len() as f64 / 2.0);
        io.spread.add(text.len() as f64 / 2.0);
        io.last.set(text.len() as f64 / 2.0);
        if let Some(suffix) = io.options.parse::<String>("suffix")? {
            io.out.emit(cx, text + &suffix);
        }
        Ok(())
    }
}

#[test]
fn sets_tries_and_histograms_are_those_of_the_last_bundle() {
    let mut tester = DoFnTester::of(Keep);
    tester.run(text(["old"])).unwrap();
    let outputs = tester.run(text(["a/b", "a/c", "a/b", "a/long"])).unwrap();
    assert_eq!(outputs.out.values(), Vec::<String>::new());
    let names = tester.string_set("names").unwrap();
    assert_eq!(Vec::from_iter(names), ["a/b", "a/c", "a/long"]);
    let files = tester.bounded_trie("odd: ä/%").unwrap().paths();
    let files: Vec<_> = files.iter().map(|path| path.segments.join(",")).collect();
    assert_eq!(files, ["a,b", "a,c", "a,long"]);
    let lengths = tester.histogram("lengths").unwrap();
    assert_eq!((lengths.count, lengths.counts), (4, vec![0, 3, 1, 0]));
    assert_eq!(tester.double_sum("halves"), Some(7.5));
    let spread = tester.double_distribution("spread").unwrap();
    assert_eq!((spread.count, spread.sum), (4, 7.5));
    assert_eq!((spread.min, spread.max), (1.5, 3.0));
    assert_eq!(tester.double_gauge("last"), Some(3.0));
    assert_eq!(tester.string_set("lengths"), None);
    assert_eq!(tester.bounded_trie("files"), None);
    tester.run(text([])).unwrap();
    assert_eq!(tester.histogram("lengths"), None);
}

#[test]
fn options_are_given_to_the_tester() {
    let mut tester = DoFnTester::of(Keep).option("suffix", "!");
    let outputs = tester.run(text(["a"])).unwrap();
    assert_eq!(outputs.out.values(), ["a!"]);
    let mut tester = DoFnTester::of(Keep).option("suffix", 1);
    let error = tester.run(text(["a"])).unwrap_err();
    assert!(
        error.to_string().contains(r#"option "suffix" is 1"#),
        "{error}"
    );
}
