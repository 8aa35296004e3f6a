//! A worker without user code. It shows what driver, gRPC and loopback allow on a machine: the ceiling for all workers.
//!
//! It speaks control, data and state only, and runs on one thread. It knows one descriptor, the one that its first
//! bundle names.

mod control;
mod data;
mod state;
mod values;
mod wire;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use tokio::runtime::Builder;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

/// The command line of `fnsink`.
#[derive(Parser, Debug)]
#[command(name = "fnsink", about = "A worker without user code")]
pub struct Args {
    /// `host:port` of the control service.
    #[arg(long)]
    pub control: String,
    /// What happens to elements.
    #[arg(long, value_enum, default_value = "echo")]
    pub mode: Mode,
    /// The id that the worker was started with.
    #[arg(long)]
    pub worker_id: String,
    /// Threads; none runs it on one thread without hand-overs, which is the fastest.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

/// What happens to elements.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Input is counted; nothing comes out.
    Drain,
    /// Messages go back as they are, their elements unseen.
    Echo,
    /// Each pair of bytes is decoded and encoded again.
    Recode,
    /// As recode, but only pairs whose value begins with a zero byte come out.
    Filter,
    /// Lines are split at spaces, words counted, and the counts come out at the end of the bundle.
    Wc,
    /// A count for each key, read and written as by a worker that caches state across bundles.
    State,
    /// The same without a cache across bundles.
    Statenc,
    /// Sums the lengths of the values of each key, which may be backed by state.
    Iter,
}

/// Connections that look like this worker's.
#[derive(Clone)]
struct Peer {
    id: MetadataValue<Ascii>,
}

impl Peer {
    async fn connect(&self, address: &str) -> Result<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .with_context(|| format!("{address:?} is not an address"))?;
        let endpoint = endpoint
            .initial_stream_window_size(64 << 20)
            .initial_connection_window_size(64 << 20)
            .max_frame_size(1 << 20)
            .tcp_nodelay(true);
        let channel = endpoint.connect().await;
        channel.with_context(|| format!("cannot connect to {address}"))
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("worker_id", self.id.clone());
        request
    }
}

/// Serves a runner until it ends the control stream.
///
/// # Errors
/// The runner cannot be reached, or says what this worker does not understand.
pub fn run(args: &Args) -> Result<()> {
    let mut builder = match args.threads {
        0 => Builder::new_current_thread(),
        threads => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    let runtime = builder
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let id = MetadataValue::try_from(&args.worker_id).context("the worker id is not a header")?;
    runtime.block_on(control::serve(Peer { id }, &args.control, args.mode))
}
