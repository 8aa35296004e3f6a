//! The workers of all runners: one pool, in this process.

use std::sync::{Arc, OnceLock};
use std::thread;

use beam_proto::fnexec::beam_fn_external_worker_pool_server::BeamFnExternalWorkerPoolServer;
use ferrobeam::exec::Registry;
use ferrobeam::harness::pool::Pool;
use ferrobeam::pipeline::EnvironmentSpec;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

use crate::rows;

/// What the workers know.
pub(crate) fn registry() -> Arc<Registry> {
    static REGISTRY: OnceLock<Arc<Registry>> = OnceLock::new();
    let registry = REGISTRY.get_or_init(|| {
        let mut registry = Registry::new();
        rows::register(&mut registry);
        registry.check().unwrap();
        Arc::new(registry)
    });
    registry.clone()
}

/// The environment whose workers run in this process. The pool lives as long as the process.
pub(crate) fn environment() -> EnvironmentSpec {
    static ENDPOINT: OnceLock<String> = OnceLock::new();
    EnvironmentSpec::external(ENDPOINT.get_or_init(start))
}

fn start() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("localhost:{}", listener.local_addr().unwrap().port());
    let service = BeamFnExternalWorkerPoolServer::new(Pool::new(registry()));
    thread::spawn(move || {
        let incoming = TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(service);
        runtime
            .block_on(server.serve_with_incoming(incoming))
            .unwrap();
    });
    endpoint
}
