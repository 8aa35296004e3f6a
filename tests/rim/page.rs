//! The status page.

use std::time::{Duration, Instant};

use beam_proto::fnexec::ProcessBundleProgressRequest;
use beam_proto::fnexec::instruction_request::Request;
use ferrobeam::harness::Budgets;
use ferrobeam::testing::{FakeRunner, in_global_window};

use crate::support::{At, Deed, Do, Gate, doing, passing, registry};

/// How long an answer may take; a service that waits longer takes the worker for dead.
const SOON: Duration = Duration::from_secs(1);

/// How long progress may take, as a rule: this process shares its cores with others.
const AT_ONCE: Duration = Duration::from_millis(200);

#[test]
fn the_page_tells_of_failures_plans_and_streams() {
    let runner = FakeRunner::of(registry()).provisions().start();
    let stage = doing("failing", Do::new(At::Start, Deed::Fail));
    let failed = runner.bundle(&stage).run();
    failed.expect_error();
    let good = runner.bundle(&passing::<i64>("good")).run();
    good.assert_ok();
    let page = runner.status_page();
    for wanted in [
        concat!("ferrobeam ", env!("CARGO_PKG_VERSION"), " for Beam 2.77"),
        "worker \"worker-1\", up 00m0",
        "MiB resident",
        "bundles: 0; 0 have a thread",
        "streams:\n  control: open, 0 B to be sent\n  data 127.0.0.1:",
        "plans: 2 descriptors, 1 idle plans\n  \"good\": 1 idle\n",
        "failures: 1\n",
        &format!("ago, instruction {:?}: told to fail", failed.id),
    ] {
        assert!(page.contains(wanted), "{wanted} is missing in\n{page}");
    }
    runner.close();
}

#[test]
fn the_stream_is_opened_again() {
    let runner = FakeRunner::start(registry());
    let first = runner.status_page();
    assert!(first.contains("worker \"worker-1\""), "{first}");
    runner.cut_status();
    let second = runner.status_page();
    assert!(second.contains("worker \"worker-1\""), "{second}");
    runner.close();
}

/// All cores are busy, all bundle threads are in user code, and the data stream is stopped by a full inbox.
#[test]
fn the_page_comes_while_everything_is_busy() {
    const BUNDLES: usize = 8;
    const ROUNDS: usize = 20;
    let budgets = Budgets {
        inbound: 8 << 10,
        ..Budgets::default()
    };
    let runner = FakeRunner::of(registry()).budgets(budgets).start();
    let stage = doing("busy", Do::new(At::Element(1), Deed::Spin("busy".into())));
    let bundles: Vec<_> = (0..BUNDLES)
        .map(|_| {
            let bundle = runner.bundle(&stage).start();
            bundle.send("source", in_global_window([1i64]).concat());
            bundle
        })
        .collect();
    Gate::named("busy").expect(BUNDLES);
    for _ in 0..3 {
        bundles[0].send("source", in_global_window(vec![2i64; 1000]).concat());
    }
    // The page says where the last look has met a bundle.
    let start = Instant::now();
    while runner.status_page().matches("state=process-msecs").count() < BUNDLES {
        assert!(start.elapsed() < Duration::from_secs(20));
    }
    let (mut pages, mut progress) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let page = runner.status_page();
        pages.push(start.elapsed());
        for bundle in &bundles {
            let line = format!(
                "instruction {:?} transform \"do\" for PTransform{{name=do, state=process-msecs}}, ",
                bundle.id()
            );
            let rest = page.split_once(&line).map(|(_, rest)| rest);
            let seconds = rest
                .and_then(|rest| rest.split_once(" s in place"))
                .and_then(|(seconds, _)| seconds.parse::<f64>().ok());
            assert!(seconds.is_some(), "{line} is missing in\n{page}");
        }
        let start = Instant::now();
        let request = ProcessBundleProgressRequest {
            instruction_id: bundles[0].id().into(),
        };
        let answer = runner.ask(Request::ProcessBundleProgress(request));
        progress.push(start.elapsed());
        assert_eq!(answer.error, "");
    }
    pages.sort_unstable();
    progress.sort_unstable();
    println!("status pages: {pages:?}\nprogress: {progress:?}");
    assert!(pages.iter().chain(&progress).all(|time| *time < SOON));
    assert!(progress[ROUNDS / 2] < AT_ONCE);
    Gate::named("busy").open();
    for bundle in bundles {
        bundle.end_all();
        bundle.wait().assert_ok();
    }
    runner.close();
}
