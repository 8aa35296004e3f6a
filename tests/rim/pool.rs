//! Workers that runners ask for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use beam_proto::fnexec::beam_fn_external_worker_pool_server::BeamFnExternalWorkerPool;
use beam_proto::fnexec::{StartWorkerRequest, StopWorkerRequest};
use beam_proto::pipeline::ApiServiceDescriptor;
use ferrobeam::harness::pool::Pool;
use ferrobeam::testing::{FakeRunner, in_global_window};
use tokio::runtime::Runtime;

use crate::support::{passing, registry};

/// A pool, and the runtime that it is asked on.
struct Asked {
    pool: Pool,
    runtime: Runtime,
}

impl Asked {
    fn new() -> Self {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Asked {
            pool: Pool::new(Arc::new(registry())),
            runtime: runtime.enable_all().build().unwrap(),
        }
    }

    /// Asks for a worker of a runner; yields the error.
    fn start(&self, request: StartWorkerRequest) -> String {
        let answer = self.pool.start_worker(tonic::Request::new(request));
        let answer = self.runtime.block_on(answer).unwrap();
        answer.into_inner().error
    }

    fn stop(&self, id: &str) -> String {
        let request = StopWorkerRequest {
            worker_id: id.into(),
        };
        let answer = self.pool.stop_worker(tonic::Request::new(request));
        let answer = self.runtime.block_on(answer).unwrap();
        answer.into_inner().error
    }

    /// Waits until so many workers live.
    fn expect(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.pool.len() != count {
            assert!(
                Instant::now() < deadline,
                "{} workers live",
                self.pool.len()
            );
            std::thread::yield_now();
        }
    }
}

fn request(runner: &FakeRunner) -> StartWorkerRequest {
    let options = runner.options();
    let address = |url: Option<String>| {
        url.map(|url| ApiServiceDescriptor {
            url,
            ..ApiServiceDescriptor::default()
        })
    };
    StartWorkerRequest {
        worker_id: options.id,
        control_endpoint: address(options.control_endpoint),
        logging_endpoint: address(options.logging_endpoint),
        provision_endpoint: address(options.provision_endpoint),
        ..StartWorkerRequest::default()
    }
}

fn nowhere(id: &str) -> StartWorkerRequest {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    StartWorkerRequest {
        worker_id: id.into(),
        control_endpoint: Some(ApiServiceDescriptor {
            url: listener.local_addr().unwrap().to_string(),
            ..ApiServiceDescriptor::default()
        }),
        ..StartWorkerRequest::default()
    }
}

#[track_caller]
fn works(runner: &FakeRunner) {
    let stage = passing::<i64>("pooled");
    let input = in_global_window([1i64]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert_eq!(outcome.values::<i64>("sink"), [1]);
}

#[test]
fn a_worker_ends_with_its_control_stream() {
    let asked = Asked::new();
    for provisions in [false, true] {
        let settings = FakeRunner::of(registry()).without_worker();
        let settings = if provisions {
            settings.provisions()
        } else {
            settings
        };
        let runner = settings.start();
        assert_eq!(asked.start(request(&runner)), "");
        assert_eq!(asked.pool.len(), 1);
        works(&runner);
        runner.end_control();
        asked.expect(0);
        runner.settle();
    }
}

#[test]
fn runners_may_use_the_same_id() {
    let asked = Asked::new();
    let [one, two] = [(), ()].map(|()| FakeRunner::of(registry()).without_worker().start());
    assert_eq!(asked.start(request(&one)), "");
    assert_eq!(asked.start(request(&two)), "");
    works(&one);
    works(&two);
    let error = asked.start(request(&one));
    assert!(error.contains("running already"), "{error}");
    // It is not clear which of them is meant.
    assert_eq!(asked.stop("worker-1"), "");
    works(&one);
    one.end_control();
    asked.expect(1);
    works(&two);
    assert_eq!(asked.stop("worker-1"), "");
    asked.expect(0);
    assert_eq!(asked.stop("worker-1"), "");
    assert_eq!(asked.start(request(&two)), "");
    works(&two);
    asked.pool.stop();
    asked.expect(0);
}

#[test]
fn a_runner_that_cannot_be_reached_is_named() {
    let asked = Asked::new();
    let start = Instant::now();
    let request = nowhere("lost");
    let url = request.control_endpoint.as_ref().unwrap().url.clone();
    let error = asked.start(request);
    assert!(error.contains(&url), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    let request = StartWorkerRequest {
        worker_id: "lost".into(),
        provision_endpoint: nowhere("lost").control_endpoint,
        ..StartWorkerRequest::default()
    };
    let error = asked.start(request);
    assert!(error.contains("provision"), "{error}");
    let error = asked.start(StartWorkerRequest::default());
    assert!(error.contains("control"), "{error}");
    asked.expect(0);
}

#[test]
fn an_id_that_cannot_be_sent_is_refused() {
    let asked = Asked::new();
    let error = asked.start(nowhere("new\nline"));
    assert!(error.contains("header"), "{error}");
    asked.expect(0);
}
