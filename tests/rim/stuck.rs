//! Bundles that stay in one place.

use std::time::{Duration, Instant};

use beam_proto::fnexec::log_entry::severity;
use ferrobeam::harness::{STUCK, Watch};
use ferrobeam::testing::{FakeRunner, in_global_window};

use crate::child;
use crate::support::{At, Do, Gate, doing, registry};

/// Watches so closely that tests need not wait.
fn closely() -> Watch {
    Watch {
        period: Duration::from_millis(10),
        lull: Duration::from_millis(50),
        timeout: None,
    }
}

#[test]
fn a_bundle_that_stays_in_one_element_is_warned_of() {
    let runner = FakeRunner::of(registry()).watch(closely()).start();
    let stage = doing("slow element", Do::wait(At::Element(1), "slow element"));
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([1i64]).concat());
    let is_lull = |message: &str| message.starts_with("Operation ongoing in bundle");
    let entry = runner.expect_log(|entry| is_lull(&entry.message));
    assert_eq!(entry.severity(), severity::Enum::Warn);
    assert_eq!(entry.instruction_id, bundle.id());
    assert_eq!(entry.transform_id, "do");
    let expected = format!(
        "Operation ongoing in bundle {} for PTransform{{name=do, state=process-msecs}} for at least 00m00s without \
         outputting or completing.\nOn bundle-",
        bundle.id()
    );
    assert!(entry.message.starts_with(&expected), "{}", entry.message);
    // It is warned of again, and not again and again: after twice the time each.
    runner.expect_log_after(runner.logs().len(), |entry| is_lull(&entry.message));
    Gate::named("slow element").open();
    bundle.end_all();
    bundle.wait().assert_ok();
    runner.close();
}

#[test]
fn a_function_that_is_slow_to_set_up_is_warned_of() {
    let runner = FakeRunner::of(registry()).watch(closely()).start();
    let stage = doing("slow setup", Do::wait(At::Setup, "slow setup"));
    let bundle = runner.bundle(&stage).start();
    let entry = runner.expect_log(|entry| entry.message.contains("state=setup"));
    assert!(
        entry
            .message
            .starts_with(&format!("Operation ongoing in bundle {}", bundle.id())),
        "{}",
        entry.message
    );
    assert_eq!(entry.transform_id, "do");
    let page = runner.status_page();
    assert!(
        page.contains("for PTransform{name=do, state=setup}"),
        "{page}"
    );
    Gate::named("slow setup").open();
    bundle.end_all();
    bundle.wait().assert_ok();
    runner.close();
}

/// How long the page says that a bundle has waited for input.
fn seconds_without_input(page: &str) -> f64 {
    let rest = page.split_once("waits for input, ").map(|(_, rest)| rest);
    let number = rest.and_then(|rest| rest.split(' ').next());
    number.map_or(0.0, |number| number.parse().unwrap())
}

#[test]
fn a_bundle_that_waits_for_input_is_not_stuck() {
    let watch = Watch {
        timeout: Some(Duration::from_millis(60)),
        ..closely()
    };
    let runner = FakeRunner::of(registry()).watch(watch).start();
    let hungry = runner
        .bundle(&doing("hungry", Do::wait(At::Element(9), "never")))
        .start();
    hungry.send("source", in_global_window([1i64]).concat());
    // Longer than anything else may take, in one place.
    let start = Instant::now();
    while seconds_without_input(&runner.status_page()) < 0.12 {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    assert_eq!(
        runner
            .logs()
            .iter()
            .filter(|e| e.message.contains("ongoing"))
            .count(),
        0
    );
    hungry.end_all();
    hungry.wait().assert_ok();
    runner.close();
}

/// A runner whose pipeline lets no element take longer than this.
fn runner_with_limit(limit: &str) -> FakeRunner {
    let experiments = ["state_sampling_period_millis=10", "log_lull_timeout=200ms"];
    let settings = FakeRunner::of(registry())
        .without_worker()
        .option("element_processing_timeout", limit)
        .option("experiments", experiments.map(str::to_owned).to_vec());
    settings.start()
}

/// A function never ends: the log says so, the status page still comes, and the time limit ends the process.
#[test]
fn a_bundle_that_is_stuck_for_ever_ends_its_process() {
    const NAME: &str = "stuck::a_bundle_that_is_stuck_for_ever_ends_its_process";
    if child::is_for(NAME) {
        return child::work();
    }
    let runner = runner_with_limit("3s");
    let child = child::worker_of(&runner, NAME);
    let stage = doing("for ever", Do::wait(At::Element(1), "never opened"));
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([1i64]).concat());
    let id = bundle.id().to_owned();

    let lull = runner.expect_log(|entry| entry.message.starts_with("Operation ongoing"));
    assert_eq!((&lull.instruction_id, &lull.transform_id[..]), (&id, "do"));
    let place = "for PTransform{name=do, state=process-msecs}";
    let page = runner.status_page();
    let line = format!("instruction {id:?} transform \"do\" {place}, ");
    assert!(page.contains(&line), "{page}");
    let farewell =
        runner.expect_log(|entry| entry.message.contains("exceeded the specified timeout"));
    assert_eq!(farewell.severity(), severity::Enum::Error);
    assert_eq!(
        (&farewell.instruction_id, &farewell.transform_id[..]),
        (&id, "do")
    );
    for wanted in [
        "0.05 minutes",
        "exit code 75",
        "element_processing_timeout_minutes",
    ] {
        assert!(farewell.message.contains(wanted), "{}", farewell.message);
    }
    let output = child.output();
    assert_eq!(output.status.code(), Some(STUCK));
    let said = String::from_utf8_lossy(&output.stderr);
    let wanted = format!("ERROR Processing of an element in bundle {id} {place}");
    assert!(said.contains(&wanted), "{said}");
    drop(bundle);
}

#[test]
fn a_function_whose_setup_never_ends_ends_its_process() {
    const NAME: &str = "stuck::a_function_whose_setup_never_ends_ends_its_process";
    if child::is_for(NAME) {
        return child::work();
    }
    let runner = runner_with_limit("300ms");
    let child = child::worker_of(&runner, NAME);
    let stage = doing("set up for ever", Do::wait(At::Setup, "never opened"));
    let bundle = runner.bundle(&stage).start();
    let farewell =
        runner.expect_log(|entry| entry.message.contains("exceeded the specified timeout"));
    let wanted = format!(
        "Creation of the plan in bundle {} for PTransform{{name=do, state=setup}} has exceeded",
        bundle.id()
    );
    assert!(
        farewell.message.starts_with(&wanted),
        "{}",
        farewell.message
    );
    assert_eq!(
        (&farewell.instruction_id[..], &farewell.transform_id[..]),
        (bundle.id(), "do")
    );
    assert_eq!(child.output().status.code(), Some(STUCK));
    drop(bundle);
}
