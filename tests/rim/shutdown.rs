//! How a worker ends.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window, iterable_key};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;

use crate::child;
use crate::support::{At, Deed, Do, Gate, doing, passing, registry};

#[test]
fn functions_are_torn_down_and_may_log() {
    let runner = FakeRunner::start(registry());
    let stage = doing(
        "leaving",
        Do::new(At::Teardown, Deed::Log("good bye".into())),
    );
    runner.bundle(&stage).run().assert_ok();
    runner.end_control();
    runner.expect_end().unwrap();
    runner.expect_log(|entry| entry.message == "good bye");
}

#[test]
fn a_teardown_that_does_not_end_is_left_behind() {
    let mut runner = FakeRunner::start(registry());
    let stage = doing("staying", Do::wait(At::Teardown, "staying"));
    runner.bundle(&stage).run().assert_ok();
    let start = Instant::now();
    runner.end_control();
    Gate::named("staying").expect(1);
    runner.expect_end().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    Gate::named("staying").open();
    runner.expect_gone();
}

#[test]
fn log_entries_name_bundle_and_transform_and_arrive_before_the_end() {
    let mut runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("logging");
    let numbers = stage.source("source", i64::coder());
    let first = Do::new(At::Element(1), Deed::Log("first".into()));
    let out = stage.par_do("one", &first, &numbers);
    let second = Do::new(At::Finish, Deed::Log("second".into()));
    stage.par_do("two", &second, &out["output"]);
    let input = in_global_window([1i64]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    outcome.assert_ok();
    runner.end_control();
    runner.expect_end().unwrap();
    runner.expect_gone();
    for (message, transform) in [("first", "one"), ("second", "two")] {
        let logs = runner.logs();
        let entry = logs.iter().find(|entry| entry.message == message);
        let entry = entry.expect("it arrived before the worker ended");
        assert_eq!(entry.instruction_id, outcome.id);
        assert_eq!(entry.transform_id, transform);
        assert!(entry.log_location.contains("support.rs:"), "{entry:?}");
    }
}

#[test]
fn bundles_come_to_their_end_first() {
    let mut runner = FakeRunner::start(registry());
    let stage = doing("late", Do::wait(At::Element(1), "late"));
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([1i64]).concat());
    bundle.end_all();
    Gate::named("late").expect(1);
    runner.end_control();
    Gate::named("late").open();
    let id = bundle.id().to_owned();
    let size = in_global_window([1i64]).concat().len();
    runner.expect_output(&id, "sink", size);
    drop(bundle);
    runner.expect_end().unwrap();
    runner.expect_gone();
}

#[test]
fn a_worker_that_is_told_to_end_finishes_its_bundles() {
    let mut runner = FakeRunner::start(registry());
    let stage = doing("told", Do::wait(At::Element(1), "told to end"));
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([1i64]).concat());
    bundle.end_all();
    Gate::named("told to end").expect(1);
    runner.stop_worker();
    Gate::named("told to end").open();
    assert_eq!(bundle.wait().values::<i64>("sink"), [1]);
    runner.expect_end().unwrap();
    runner.expect_gone();
}

#[test]
fn a_process_that_gets_a_signal_finishes_its_bundles() {
    const NAME: &str = "shutdown::a_process_that_gets_a_signal_finishes_its_bundles";
    if child::is_for(NAME) {
        return child::work();
    }
    let runner = FakeRunner::of(registry())
        .without_worker()
        .provisions()
        .start();
    let child = child::worker_of(&runner, NAME);
    let calls = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let call = Deed::Call(calls.local_addr().unwrap().to_string());
    let stage = doing("signalled", Do::new(At::Element(1), call));
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([1i64, 2]).concat());
    let (held, _) = calls.accept().unwrap();
    child.terminate();
    runner.expect_log(|entry| entry.message.starts_with("told to end by a signal"));
    bundle.end_all();
    drop(held);
    assert_eq!(bundle.wait().values::<i64>("sink"), [1, 2]);
    assert!(child.output().status.success());
    runner.settle();
}

#[test]
fn a_broken_control_stream_is_an_error() {
    let mut runner = FakeRunner::start(registry());
    let stage = doing("broken", Do::wait(At::Element(1), "broken"));
    let busy = runner.bundle(&stage).start();
    busy.send("source", in_global_window([1i64]).concat());
    let hungry = runner.bundle(&passing::<i64>("hungry")).start();
    hungry.send("source", in_global_window([1i64]).concat());
    Gate::named("broken").expect(1);
    let start = Instant::now();
    runner.cut_control();
    let error = runner.expect_end().unwrap_err();
    assert!(error.contains("the control stream broke"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    Gate::named("broken").open();
    drop((busy, hungry));
    runner.expect_gone();
}

#[test]
fn a_bundle_that_waits_for_state_does_not_outlive_its_worker() {
    let mut runner = FakeRunner::start(registry());
    let mut stage = Descriptor::new("waits for state");
    let numbers = stage.source("source", i64::coder());
    let side = stage.collection("side", i64::coder(), ferrobeam::window::WindowFn::Global);
    stage.par_do_with("look", &crate::support::Look, &numbers, &[("side", &side)]);
    runner.set_state(iterable_key("look", "side", ""), vec![1]);
    runner.hold_state();
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([1i64]).concat());
    runner.expect_held_state(1);
    runner.cut_control();
    runner.expect_end().unwrap_err();
    drop(bundle);
    runner.expect_gone();
}

#[test]
fn a_runner_that_reads_no_logs_does_not_hold_the_worker() {
    let mut runner = FakeRunner::start(registry());
    runner.read_logs(false);
    let line = "x".repeat(500_000);
    let stage = doing("talkative", Do::new(At::Elements, Deed::Log(line)));
    for _ in 0..8 {
        let input = in_global_window([1i64]);
        let outcome = runner.bundle(&stage).input("source", input).run();
        outcome.assert_ok();
    }
    let start = Instant::now();
    runner.end_control();
    runner.expect_end().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    runner.expect_gone();
}

/// A port that neither takes nor refuses connections.
struct BlackHole {
    address: String,
    _waiting: Vec<TcpStream>,
    _listener: TcpListener,
    _runtime: Runtime,
}

impl BlackHole {
    fn new() -> Self {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let listener = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.listen(1).unwrap()
        });
        let address = listener.local_addr().unwrap();
        // Fill the queue of those that wait to be accepted.
        let mut waiting = Vec::new();
        while let Ok(socket) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            waiting.push(socket);
            assert!(waiting.len() < 100, "the queue does not fill");
        }
        BlackHole {
            address: address.to_string(),
            _waiting: waiting,
            _listener: listener,
            _runtime: runtime,
        }
    }

    /// Waits until somebody tries to connect: the system's list of sockets has one that has sent its first packet.
    fn expect_knock(&self) {
        let port = self.address.rsplit_once(':').unwrap().1;
        let knocking = format!(":{:04X} 02 ", port.parse::<u16>().unwrap());
        let deadline = Instant::now() + Duration::from_secs(10);
        let sockets = || std::fs::read_to_string("/proc/net/tcp").unwrap();
        while !sockets().contains(&knocking) {
            assert!(Instant::now() < deadline, "nobody tries to connect");
        }
    }
}

#[test]
fn a_data_service_that_does_not_answer_does_not_hold_the_worker() {
    let mut runner = FakeRunner::start(registry());
    let hole = BlackHole::new();
    let mut endpoints = runner.endpoints();
    endpoints.data = vec![hole.address.clone()];
    let stage = passing::<i64>("unreachable");
    runner.define_proto(stage.build(&endpoints));
    runner.instruction("1", crate::basics::process("unreachable"));
    hole.expect_knock();
    runner.cut_control();
    let start = Instant::now();
    runner.expect_end().unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5));
    runner.expect_gone();
}
