//! How many threads there are, and how much memory: measured in processes of their own.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use beam_proto::fnexec::log_entry::severity;
use ferrobeam::element::{Coder, Nesting, coder::urn, encoded};
use ferrobeam::harness::Budgets;
use ferrobeam::prelude::*;
use ferrobeam::testing::{
    Descriptor, FakeRunner, StateTerms, bag_key, in_global_window, iterable_key, tail_key,
};
use ferrobeam::window::WindowFn;
use serde::{Deserialize, Serialize};

use crate::child;
use crate::support::{At, Deed, Do, Gate, doing, passing, registry, sizes};

/// How many threads of this process have a name that begins so.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|own| own.starts_with(name)).count()
}

/// Memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages = statm.split_whitespace().nth(1).unwrap();
    pages.parse::<usize>().unwrap() * 4096
}

const MIB: usize = 1 << 20;

#[track_caller]
fn assert_grown_less(before: usize, mib: usize) {
    let grown = resident().saturating_sub(before) / MIB;
    assert!(grown < mib, "memory has grown by {grown} MiB");
}

/// One element of a MiB.
fn large() -> Vec<u8> {
    in_global_window([vec![7u8; MIB]]).concat()
}

#[test]
fn a_stalled_bundle_costs_neither_memory_nor_time() {
    child::run(
        "threads::a_stalled_bundle_costs_neither_memory_nor_time",
        || {
            let budgets = Budgets {
                inbound: 16 * MIB,
                outbound: 16 * MIB,
            };
            let runner = FakeRunner::of(registry()).budgets(budgets).start();
            let quick = passing::<i64>("quick");
            runner.bundle(&quick).run().assert_ok();
            let mut stage = Descriptor::new("stalled");
            let blobs = stage.source("source", Vec::<u8>::coder());
            let sizes = stage.steps("sizes", &sizes(), &blobs);
            stage.par_do("do", &Do::wait(At::Element(MIB as i64), "memory"), &sizes);
            let stalled = runner.bundle(&stage).start();
            stalled.send("source", large());
            Gate::named("memory").expect(1);
            let before = resident();
            for _ in 0..10 {
                let other = runner.bundle(&quick).start();
                for _ in 0..20 {
                    stalled.send("source", large());
                }
                let start = Instant::now();
                other.send("source", in_global_window([1i64]).concat());
                other.end_all();
                assert_eq!(other.wait().values::<i64>("sink"), [1]);
                assert!(start.elapsed() < Duration::from_secs(5));
            }
            assert_grown_less(before, 100);
            Gate::named("memory").open();
            stalled.end_all();
            let outcome = stalled.wait();
            outcome.assert_ok();
            assert_eq!(outcome.metrics.read_index("source"), Some(201));
            assert_grown_less(before, 100);
            runner.close();
        },
    );
}

/// Memory of a worker in another process, in MiB, as its status page says.
fn resident_mib(runner: &FakeRunner) -> f64 {
    let page = runner.status_page();
    let number = page
        .split_once("memory: ")
        .and_then(|(_, rest)| rest.split_once(" MiB resident"));
    number.expect("the page says it").0.parse().unwrap()
}

#[test]
fn input_of_a_bundle_that_fails_in_setup_costs_neither_memory_nor_time() {
    const NAME: &str =
        "threads::input_of_a_bundle_that_fails_in_setup_costs_neither_memory_nor_time";
    if child::is_for(NAME) {
        return child::work();
    }
    let runner = FakeRunner::of(registry())
        .without_worker()
        .provisions()
        .start();
    let child = child::worker_of(&runner, NAME);
    let quick = passing::<i64>("quick");
    runner.bundle(&quick).run().assert_ok();
    let before = resident_mib(&runner);
    let check_memory = || {
        let grown = resident_mib(&runner) - before;
        assert!(grown < 64.0, "memory has grown by {grown} MiB");
    };
    let setups = TcpListener::bind("127.0.0.1:0").unwrap();
    let call = Deed::CallAndFail(setups.local_addr().unwrap().to_string());
    let stage = doing("failing", Do::new(At::Setup, call));
    let mut failed = Vec::new();
    // Setup fails while the input comes, and after all of it and another bundle.
    for fails_after in [150, 300] {
        let failing = runner.bundle(&stage).start();
        let mut setup = Some(setups.accept().unwrap());
        let other = runner.bundle(&quick).start();
        for n in 0..300 {
            if n == fails_after {
                setup = None;
            }
            runner.send_data(failing.id(), "source", vec![0; MIB], false);
        }
        let start = Instant::now();
        other.send("source", in_global_window([1i64, 2, 3]).concat());
        other.end_all();
        assert_eq!(other.wait().values::<i64>("sink"), [1, 2, 3]);
        assert!(start.elapsed() < Duration::from_secs(1));
        check_memory();
        drop(setup);
        let outcome = failing.wait();
        let error = outcome.expect_error();
        assert!(error.contains("transform \"do\""), "{error}");
        runner.send_data(&outcome.id, "source", vec![0; MIB], true);
        runner.bundle(&quick).run().assert_ok();
        failed.push(outcome.id);
        check_memory();
    }
    runner.end_control();
    assert!(child.output().status.success());
    // The log tells of the failures, and of nothing else.
    let logs = runner.logs().into_iter();
    let told: Vec<_> = logs
        .filter(|entry| entry.severity() >= severity::Enum::Warn)
        .map(|entry| (entry.instruction_id, entry.message))
        .collect();
    let is_of = |((id, message), failed): (&(String, String), &String)| {
        id == failed && message.starts_with("bundle failed")
    };
    assert!(
        told.len() == 2 && told.iter().zip(&failed).all(is_of),
        "{told:?}"
    );
    runner.settle();
}

/// Looks at a side input, reads twice what the runner keeps of a value, and looks at the side input again.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.ReadTwice/v1")]
struct ReadTwice;

#[derive(Ports)]
struct ReadTwiceIo {
    seen: Out<i64>,
    hot: Side<List<Vec<u8>>>,
}

/// A number that depends on which blobs there are, and on their order.
fn seen<'a>(blobs: impl IntoIterator<Item = &'a [u8]>) -> i64 {
    let mix = |seen: i64, blob: &[u8]| {
        let this = blob.len() as i64 + i64::from(blob[0]);
        seen.wrapping_mul(31).wrapping_add(this)
    };
    blobs.into_iter().fold(0, mix)
}

impl DoFn for ReadTwice {
    type In = Kv<String, Iter<Vec<u8>>>;
    type Io = ReadTwiceIo;

    fn process(&mut self, Kv(_, blobs): Self::In, cx: &mut Cx<'_>, io: &mut Self::Io) -> Result {
        for is_hot in [true, false, false, true] {
            let mut all = 0i64;
            let mut add =
                |blob: Vec<u8>| all = all.wrapping_mul(31).wrapping_add(seen([&blob[..]]));
            if is_hot {
                for blob in &io.hot.values()? {
                    add(blob?);
                }
            } else {
                for blob in &blobs {
                    add(blob?);
                }
            }
            io.seen.emit(cx, all);
        }
        Ok(())
    }
}

#[test]
fn a_value_of_many_pages_costs_little_memory() {
    const NAME: &str = "threads::a_value_of_many_pages_costs_little_memory";
    if child::is_for(NAME) {
        let mut functions = registry();
        functions.add::<ReadTwice>();
        return child::work_with(functions);
    }
    let runner = FakeRunner::of(registry())
        .without_worker()
        .provisions()
        .option("max_cache_memory_usage_mb", 8)
        .start();
    let child = child::worker_of(&runner, NAME);
    let mut stage = Descriptor::new("many pages");
    let blobs = Coder::standard(urn::STATE_BACKED_ITERABLE, [Vec::<u8>::coder()]);
    let groups = stage.source("source", Coder::kv(String::coder(), blobs));
    let side = stage.collection("side", Vec::<u8>::coder(), WindowFn::Global);
    let out = stage.par_do_with("read", &ReadTwice, &groups, &[("hot", &side)]);
    stage.sink("sink", &out["seen"]);
    let hot = iterable_key("read", "hot", "");
    runner.set_state(hot.clone(), encoded(&vec![1u8; 100 << 10], Nesting::Nested));
    // With its length each is a page.
    let pages: Vec<_> = (0..64u8).map(|n| vec![n; MIB - 3]).collect();
    let tail = tail_key("tail");
    let bytes = pages.iter().map(|page| encoded(page, Nesting::Nested));
    runner.set_state(tail.clone(), bytes.collect::<Vec<_>>().concat());
    runner.cut_state_evenly(MIB);
    runner.promise(StateTerms::default().side_input("read", "hot", "token"));
    // A key, and a list all of which is in the runner's state.
    let mut group = in_global_window(["k".to_owned()]).concat();
    group.extend([0xff; 4 + 9]);
    group.extend(b"\x01\x04tail");

    runner.bundle(&stage).run().assert_ok();
    let before = resident_mib(&runner);
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", group);
    bundle.end_all();
    let mut most = before;
    while bundle.progress().consuming.is_some() {
        most = most.max(resident_mib(&runner));
    }
    let outcome = bundle.wait();
    let all = seen(pages.iter().map(Vec::as_slice));
    let hot_seen = seen([&[1u8; 100 << 10][..]]);
    assert_eq!(
        outcome.values::<i64>("sink"),
        [hot_seen, all, all, hot_seen]
    );
    assert_eq!(runner.pages_read(&hot), 1);
    assert!(runner.pages_read(&tail) <= 128);
    let grown = most.max(resident_mib(&runner)) - before;
    assert!(grown < 32.0, "memory has grown by {grown} MiB");
    runner.end_control();
    assert!(child.output().status.success());
    runner.settle();
}

/// Adds up a bag.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.SumBag/v1")]
struct SumBag;

#[derive(Ports)]
struct SumBagIo {
    sum: Out<Kv<i64, i64>>,
    bag: BagState<i64>,
}

impl DoFn for SumBag {
    type In = Kv<String, i64>;
    type Io = SumBagIo;

    fn process(&mut self, _: Self::In, cx: &mut Cx<'_>, io: &mut SumBagIo) -> Result {
        let (mut count, mut sum) = (0, 0);
        io.bag.read()?.for_each(|n| {
            count += 1;
            sum += n;
            Ok(())
        })?;
        io.sum.emit(cx, Kv(count, sum));
        Ok(())
    }
}

#[test]
fn a_bag_of_ten_million_values_costs_little_memory() {
    const NAME: &str = "threads::a_bag_of_ten_million_values_costs_little_memory";
    const COUNT: i64 = 10_000_000;
    // Six bytes each: 60 MB.
    const FIRST: i64 = 1 << 35;
    if child::is_for(NAME) {
        let mut functions = registry();
        functions.add::<SumBag>();
        return child::work_with(functions);
    }
    // How much of it a bundle keeps to read it again follows the cache.
    let runner = FakeRunner::of(registry())
        .without_worker()
        .provisions()
        .option("max_cache_memory_usage_mb", 8)
        .start();
    let child = child::worker_of(&runner, NAME);
    let mut stage = Descriptor::new("ten million");
    let pairs = stage.source("source", Kv::<String, i64>::coder());
    let out = stage.par_do("sum", &SumBag, &pairs);
    stage.sink("sink", &out["sum"]);
    let bundle = |count: i64| {
        let mut values = Vec::new();
        for n in FIRST..FIRST + count {
            n.encode(&mut values, Nesting::Nested);
        }
        let key = encoded(&"k".to_owned(), Nesting::Nested);
        runner.set_state(bag_key("sum", "bag", "", key), values);
        runner.cut_state_evenly(MIB);
        let bundle = runner.bundle(&stage).start();
        bundle.send("source", in_global_window([Kv("k".to_owned(), 1)]).concat());
        bundle.end_all();
        bundle
    };
    bundle(1).wait().assert_ok();
    let before = resident_mib(&runner);
    let bundle = bundle(COUNT);
    let mut most = before;
    while bundle.progress().consuming.is_some() {
        most = most.max(resident_mib(&runner));
    }
    let outcome = bundle.wait();
    let sum = Kv(COUNT, COUNT * (COUNT - 1) / 2 + COUNT * FIRST);
    assert_eq!(outcome.values::<Kv<i64, i64>>("sink"), [sum]);
    let grown = most.max(resident_mib(&runner)) - before;
    assert!(grown < 24.0, "memory has grown by {grown} MiB");
    runner.end_control();
    assert!(child.output().status.success());
    runner.settle();
}

#[test]
fn many_bundles_leave_nothing_behind() {
    child::run("threads::many_bundles_leave_nothing_behind", || {
        let runner = FakeRunner::start(registry());
        let good = passing::<Vec<u8>>("good");
        let bad = doing("bad", Do::new(At::Element(1), Deed::Fail));
        let round = |count: usize| {
            for _ in 0..count {
                let input = in_global_window([vec![1u8; 10_000]]);
                runner
                    .bundle(&good)
                    .input("source", input)
                    .run()
                    .assert_ok();
                let input = in_global_window([1i64]);
                let failed = runner.bundle(&bad).input("source", input).run();
                failed.expect_error();
            }
        };
        round(100);
        runner.forget();
        let before = resident();
        round(1000);
        runner.forget();
        // The worker remembers a thousand ids, and the runner what it said.
        assert_grown_less(before, 20);
        assert_eq!(runner.unfinished(), 0);
        runner.close();
    });
}

#[test]
fn each_bundle_has_one_thread() {
    child::run("threads::each_bundle_has_one_thread", || {
        let mut runner = FakeRunner::start(registry());
        let stage = doing("waiting", Do::wait(At::Element(1), "threads"));
        let bundles: Vec<_> = (0..200).map(|_| runner.bundle(&stage).start()).collect();
        for bundle in &bundles {
            bundle.send("source", in_global_window([1i64]).concat());
            bundle.end_all();
        }
        Gate::named("threads").expect(200);
        let count = threads("bundle-");
        assert!(
            (200..=220).contains(&count),
            "{count} threads for 200 bundles"
        );
        assert_eq!(threads("sampler"), 1);
        Gate::named("threads").open();
        bundles
            .into_iter()
            .for_each(|bundle| bundle.wait().assert_ok());
        runner.end_control();
        runner.expect_end().unwrap();
        runner.expect_gone();
        // A thread may still be on its way out when it has let go of everything.
        let deadline = Instant::now() + Duration::from_secs(10);
        while threads("bundle-") + threads("sampler") > 0 {
            assert!(Instant::now() < deadline, "threads are left");
        }
    });
}
