//! Elements whose coder no runner knows: it puts lengths before them, wherever they stand.

use ferrobeam::element::{Coder, Header, Input, Nesting};
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, assert_round_trip, with_header};

/// A temperature in tenths of a degree, as text behind its length.
#[derive(Debug, Clone, PartialEq)]
struct Celsius(i64);

impl Element for Celsius {
    fn coder() -> Coder {
        Coder::own::<Self>("test:celsius:v1", "")
    }

    fn encode(&self, out: &mut Vec<u8>, _at: Nesting) {
        let text = self.0.to_string();
        out.push(text.len() as u8);
        out.extend_from_slice(text.as_bytes());
    }

    fn decode(input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
        let length = input.byte()?;
        let bytes = input.take(length.into())?;
        let wrong = || Error::user("this is not a temperature");
        let text = std::str::from_utf8(bytes).map_err(|e| wrong().because(e))?;
        text.parse().map(Celsius).map_err(|e| wrong().because(e))
    }
}

fn warmer() -> Steps<Kv<Celsius, i64>, impl Step<Kv<Celsius, i64>, Out = Kv<i64, Celsius>>> {
    steps("test.warmer/v1").map(|Kv(Celsius(tenths), by)| Kv(by, Celsius(tenths + by)))
}

#[test]
fn a_runner_may_put_a_length_before_any_part_of_a_pair() {
    assert_round_trip([Celsius(-5), Celsius(1_234_567_890)]);
    let mut registry = Registry::new();
    registry.add_steps(warmer);
    let runner = FakeRunner::start(registry);
    let prefixed = Coder::length_prefix(Celsius::coder());
    let number = i64::coder;
    let sends = |is_prefixed: bool, text: &str| {
        let own = [&[text.len() as u8], text.as_bytes()].concat();
        let prefix = is_prefixed.then_some(own.len() as u8);
        prefix.into_iter().chain(own).collect::<Vec<u8>>()
    };
    for (id, source, sink) in [
        ("own", false, false),
        ("both", true, true),
        ("in", true, false),
        ("out", false, true),
    ] {
        let coder = |is_prefixed| match is_prefixed {
            true => prefixed.clone(),
            false => Celsius::coder(),
        };
        let mut stage = Descriptor::new(id);
        let pairs = stage.source("source", Coder::kv(coder(source), number()));
        let warm = stage.steps("warmer", &warmer(), &pairs);
        let sent = stage.collection("sent", Coder::kv(number(), coder(sink)), pairs.windowing);
        stage.sink_as("sink", sent.windowed(), &warm);
        let header = Header::global(Timestamp::MIN);
        let input = ["-5", "1234567890", "warm"].map(|text| {
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            bytes.extend(sends(source, text));
            bytes.push(7);
            bytes
        });
        let [cold, hot, wrong] = input;
        let outcome = runner.bundle(&stage).input("source", [cold, hot]).run();
        outcome.assert_ok();
        let mut expected = Vec::new();
        for text in ["2", "1234567897"] {
            expected.extend(with_header(&header, &7_i64));
            expected.extend(sends(sink, text));
        }
        assert_eq!(outcome.bytes("sink"), expected, "{id}");
        let outcome = runner.bundle(&stage).input("source", [wrong]).run();
        let error = outcome.expect_error();
        assert!(
            error.contains("temperature") && error.contains("source"),
            "{id}: {error}"
        );
    }
    runner.close();
}
