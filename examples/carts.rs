//! Finds the shopping carts that people left: a source of one's own, state, a timer, and a side input.
//!
//! ```sh
//! cargo run --example carts -- --job_endpoint=localhost:8099 --output=carts.txt
//! ```
//!
//! It needs a runner that keeps event time while a source goes on, such as Prism or Flink; Beam's local runner in Python
//! fires timers at once. Each line of the output is a visitor and what the cart is worth. The functions are tested without a
//! runner: `cargo test --example carts`.

use std::sync::Arc;
use std::time::Duration;

use ferrobeam::exec::Registry;
use ferrobeam::pipeline::{Pipeline, PipelineOptions};
use ferrobeam::prelude::*;
use serde::{Deserialize, Serialize};

/// After so long without a visit a cart is given up.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// What one visit does: puts a thing into the cart, or, where there is none, pays.
type Visit = Kv<String, Option<String>>;

/// The log of a shop, one visit a minute. It could as well be a queue or a table: whatever has positions that can be
/// claimed one by one.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "carts.Visits/v1")]
struct Visits {
    /// How many visits are read before the rest is left for later.
    at_once: i64,
}

impl Splittable for Visits {
    type In = Vec<String>;
    type Tracker = OffsetTracker;
    type Watermark = Manual;
    type Io = Out<Visit>;

    // A shop never closes.
    const IS_BOUNDED: bool = false;

    fn initial(&self, log: &Vec<String>) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, i64::try_from(log.len())?))
    }

    fn initial_watermark(&self, _: &Vec<String>, _: &OffsetRange, _: Timestamp) -> Result<i64> {
        Ok(0)
    }

    fn process(
        &mut self,
        log: &Vec<String>,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        visits: &mut Out<Visit>,
    ) -> Result<Resume> {
        let first = claims.restriction().start;
        for minute in first..first + self.at_once {
            if !claims.claim(minute) {
                return Ok(Resume::Done);
            }
            let line = &log[usize::try_from(minute)?];
            let (visitor, thing) = line
                .split_once(' ')
                .ok_or_else(|| Error::user(format!("no visit: {line:?}")))?;
            let thing = (thing != "pays").then(|| thing.to_owned());
            let at = Timestamp::from_millis(minute * 60_000);
            visits.emit_at(cx, at, Kv(visitor.to_owned(), thing));
            claims.advance_watermark(at);
        }
        Ok(Resume::After(Duration::from_millis(10)))
    }
}

/// Keeps the cart of each visitor, and tells of it when nobody has come for a while.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "carts.Abandoned/v1")]
struct Abandoned;

/// The timer that runs while a cart waits.
struct Waiting;

#[derive(Ports)]
struct AbandonedIo {
    carts: Out<Kv<String, f64>>,
    prices: Side<MapView<String, f64>>,
    things: BagState<String>,
    waiting: Timer<Waiting>,
    /// Carts that were paid.
    paid: Counter,
}

impl DoFn for Abandoned {
    type In = Visit;
    type Io = AbandonedIo;

    fn process(&mut self, Kv(_, thing): Visit, cx: &mut Cx<'_>, io: &mut AbandonedIo) -> Result {
        match thing {
            Some(thing) => {
                io.things.add(&thing)?;
                // A timer that is set again forgets when it was set to before.
                io.waiting.set(cx, cx.timestamp() + PATIENCE);
            }
            None => {
                io.things.clear()?;
                io.waiting.clear(cx);
                io.paid.inc();
            }
        }
        Ok(())
    }
}

impl OnTimer<Waiting> for Abandoned {
    fn on_timer(
        &mut self,
        visitor: &String,
        _: Fired<'_>,
        cx: &mut Cx<'_>,
        io: &mut AbandonedIo,
    ) -> Result {
        let mut worth = 0.0;
        for thing in io.things.read()?.to_vec()? {
            worth += io.prices.get(&thing)?.copied().unwrap_or_default();
        }
        io.things.clear()?;
        io.carts.emit(cx, Kv(visitor.clone(), worth));
        Ok(())
    }
}

/// One line of text for each cart.
fn format() -> Steps<Kv<String, f64>, impl Step<Kv<String, f64>, Out = String>> {
    steps("carts.format/v1").map(|Kv(visitor, worth)| format!("{visitor} left {worth:.2}"))
}

fn find_carts(pipeline: &Pipeline, log: Vec<String>, output: &str) {
    let prices = [("book", 12.5), ("lamp", 30.0), ("pen", 1.5)];
    let prices = prices.map(|(thing, price)| Kv(thing.to_owned(), price));
    let prices = pipeline.create("Prices", prices).as_map();
    pipeline
        .create("Log", [log])
        .par_do_splittable("Visits", Visits { at_once: 5 })
        .par_do_with("Abandoned", Abandoned, AbandonedIoSides { prices })
        .carts
        .steps("Format", format())
        .write_lines("Write", output);
}

/// What happened at each minute of an hour.
fn log() -> Vec<String> {
    let mut log = vec!["eve pen".to_owned(); 60];
    for (minute, visit) in [
        (0, "ada book"),
        (1, "bob lamp"),
        (2, "ada pen"),
        (3, "ada pays"),
        (4, "cyd book"),
        (20, "cyd lamp"),
        (59, "eve pays"),
    ] {
        log[minute] = visit.to_owned();
    }
    log
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry
        .add_splittable::<Visits>()
        .add::<Abandoned>()
        .add_steps(format);
    registry
}

fn main() -> Result {
    let mut options = PipelineOptions::from_args(std::env::args().skip(1))?;
    let output = options.take("output");
    let output = output.ok_or_else(|| Error::config("name a file with --output="))?;

    let pipeline = Pipeline::new();
    find_carts(&pipeline, log(), &output);
    let mut job = pipeline.run(&options, &Arc::new(registry()))?;
    let state = job.wait(None)?;
    let paid = job.metrics()?.counter("carts.Abandoned", "paid");
    println!("{state}: {} carts were paid", paid.unwrap_or(0));
    Ok(())
}

#[cfg(test)]
mod tests {
    use ferrobeam::testing::{DoFnTester, SplittableTester};

    use super::*;

    fn minute(n: i64) -> Timestamp {
        Timestamp::from_millis(n * 60_000)
    }

    #[test]
    fn every_visit_is_read_once_however_the_log_is_cut() {
        for seed in 0..20 {
            let mut tester = SplittableTester::of(Visits { at_once: 7 });
            let visits = tester.cutting(seed).run([log()]).expect("a good log");
            let paid = visits.values();
            let paid = paid.iter().filter(|Kv(_, thing)| thing.is_none());
            assert_eq!((visits.values().len(), paid.count()), (60, 2));
        }
    }

    #[test]
    fn a_cart_is_given_up_half_an_hour_after_the_last_visit() -> Result {
        let visit = |at, who: &str, thing: Option<&str>| {
            (minute(at), Kv(who.to_owned(), thing.map(str::to_owned)))
        };
        let prices = [("book", 12.5), ("lamp", 30.0)];
        let prices = prices.map(|(thing, price)| Kv(thing.to_owned(), price));
        let mut tester = DoFnTester::of(Abandoned).sides(AbandonedIoSides {
            prices: prices.to_vec(),
        });
        tester.run_at([
            visit(0, "ada", Some("book")),
            visit(4, "cyd", Some("book")),
            visit(5, "ada", None),
            visit(20, "cyd", Some("lamp")),
        ])?;
        let early = tester.advance_watermark(minute(49))?;
        assert_eq!(early.carts.values(), []);
        let late = tester.advance_watermark(minute(51))?;
        assert_eq!(late.carts.values(), [Kv("cyd".to_owned(), 42.5)]);
        Ok(())
    }
}
