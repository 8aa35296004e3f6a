//! Serving until a signal comes.

use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use beam_proto::fnexec::beam_fn_external_worker_pool_server::BeamFnExternalWorkerPoolServer;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::command::{Listen, Serve};
use super::listen::{self, Listeners};
use super::{App, name};
use crate::error::{Error, Result};
use crate::expansion::{Artifacts, ExpansionService, Places, environment};
use crate::harness::pool::Pool;

/// How long requests in flight may go on after a signal. Python's clients send SIGINT and kill a second later.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Threads of the runtime: it only moves bytes.
const IO_THREADS: usize = 2;

/// Offers the app's transforms, with a pool of workers on the same port.
pub(super) fn serve(app: App, options: Serve) -> Result<()> {
    app.catalogue.check()?;
    let listeners = listen::bind(&options.listen)?;
    for listing in app
        .catalogue
        .listings()
        .filter(|l| !l.is_found_by_default())
    {
        eprintln!(
            "{}: Python's ExternalTransformProvider finds {} only if it is given a urn_pattern",
            name(),
            listing.identifier
        );
    }
    let mut artifacts = Artifacts::new();
    for (path, name) in &options.artifacts {
        artifacts.publish(path, name)?;
    }
    let places = Places {
        image: options.image,
        pool: pool_address(options.address, listeners.port),
        binary: own_path()?,
        dependencies: artifacts.listed().to_vec(),
    };
    let environment = environment(&options.starts, &places)?;
    let count = app.catalogue.names().count();
    let service = ExpansionService::new(app.catalogue, environment, artifacts)?;
    let port = listeners.port;
    let greeting = format!("{} offers {count} transforms on localhost:{port}", name());
    let pool = Pool::new(Arc::new(app.registry));
    let routes = service.into_routes().add_service(workers(pool));
    run(listeners, routes, &greeting)
}

/// Starts workers when runners ask for them.
pub(super) fn pool(app: App, listen: &Listen) -> Result<()> {
    let listeners = listen::bind(listen)?;
    let greeting = format!("{} starts workers on port {}", name(), listeners.port);
    let pool = Pool::new(Arc::new(app.registry));
    run(listeners, Routes::new(workers(pool)), &greeting)
}

fn workers(pool: Pool) -> BeamFnExternalWorkerPoolServer<Pool> {
    BeamFnExternalWorkerPoolServer::new(pool)
}

fn pool_address(address: Option<String>, port: u16) -> String {
    match address {
        None => format!("localhost:{port}"),
        Some(address) if has_port(&address) => address,
        Some(host) => format!("{host}:{port}"),
    }
}

/// Whether an address ends in a port; the colons of a bare IPv6 address are none.
fn has_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
    })
}

fn own_path() -> Result<String> {
    let path = std::env::current_exe()
        .map_err(|e| Error::config("this binary does not know its own path").because(e))?;
    Ok(path.to_string_lossy().into_owned())
}

fn run(listeners: Listeners, routes: Routes, greeting: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(IO_THREADS)
        .thread_name("io")
        .enable_all()
        .build()
        .map_err(|e| Error::transport("cannot start the runtime").because(e))?;
    let outcome = runtime.block_on(until_signal(listeners, routes, greeting));
    // Not a drop, which would wait for workers in the middle of a bundle.
    runtime.shutdown_background();
    outcome
}

async fn until_signal(listeners: Listeners, routes: Routes, greeting: &str) -> Result<()> {
    let failed = |e| Error::transport("cannot serve").because(e);
    // Before the port is announced: whoever reads it may send a signal at once.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let (stop, stopped) = watch::channel(false);
    let mut sockets = Vec::new();
    for socket in listeners.sockets {
        socket.set_nonblocking(true).map_err(failed)?;
        let socket = tokio::net::TcpListener::from_std(socket).map_err(failed)?;
        sockets.push(TcpIncoming::from(socket).with_nodelay(Some(true)));
    }
    let incoming = sockets
        .into_iter()
        .map(|socket| Box::pin(socket) as Pin<Box<dyn Stream<Item = _> + Send>>)
        .reduce(|one, other| Box::pin(one.merge(other)))
        .ok_or_else(|| Error::transport("there is nothing to listen on"))?;
    let mut stopping = stopped.clone();
    let mut server = tokio::spawn(
        Server::builder()
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, async move {
                let _ = stopping.wait_for(|stop| *stop).await;
            }),
    );
    announce(listeners.port, greeting)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        ended = &mut server => {
            return match ended {
                Ok(Ok(())) => Ok(()),
                Ok(Err(e)) => Err(Error::transport("the server broke off").because(e)),
                Err(e) => Err(Error::transport("the server broke off").because(e)),
            };
        }
    }
    let _ = stop.send(true);
    let _ = tokio::time::timeout(LAST_ANSWERS, server).await;
    Ok(())
}

/// Says that the service is ready: to programs on standard output, to people on standard error.
fn announce(port: u16, greeting: &str) -> Result<()> {
    eprintln!("{greeting}");
    let mut out = std::io::stdout().lock();
    writeln!(out, "PORT={port}")
        .and_then(|()| out.flush())
        .map_err(|e| Error::config("cannot write to standard output").because(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_has_an_address_that_runners_reach() {
        for (given, expected) in [
            (None, "localhost:7"),
            (Some("host"), "host:7"),
            (Some("host:9"), "host:9"),
            (Some("[::1]"), "[::1]:7"),
            (Some("[::1]:9"), "[::1]:9"),
        ] {
            assert_eq!(pool_address(given.map(str::to_owned), 7), expected);
        }
    }
}
