//! How many threads there are, and how much memory: measured in processes of their own.

use std::time::{Duration, Instant};

use ferrobeam::testing::{FakeRunner, in_global_window};

use crate::child;
use crate::support::{At, Do, Gate, doing, registry};

/// How many threads of this process have a name that begins so.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|own| own.starts_with(name)).count()
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
