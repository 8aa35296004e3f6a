//! The logging stream: entries go out in lists, and never make their writers wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use beam_proto::fnexec::beam_fn_logging_client::BeamFnLoggingClient;
use beam_proto::fnexec::log_entry;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::Peer;
use crate::harness::log::queue::LogQueue;

/// How long the last entries may take at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait before a stream that broke is opened again; each time twice as long, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// Sends the entries of `queue` until it is finished. Without a runner that takes them they go to standard error.
pub(crate) async fn run(peer: Peer, endpoint: String, queue: Arc<LogQueue>) {
    let mut last = None;
    let mut wait = FIRST_WAIT;
    loop {
        let opened = Instant::now();
        let Err(error) = stream(&peer, &endpoint, &queue, &mut last).await else {
            return;
        };
        if !queue.is_finished() {
            eprintln!(
                "WARN the logging stream broke: {error}; entries go to standard error meanwhile"
            );
        }
        to_stderr(&queue, last.take());
        if opened.elapsed() > LONGEST_WAIT {
            wait = FIRST_WAIT;
        }
        // The end does not wait for a stream that may not come back.
        if tokio::time::timeout(wait, queue.finished()).await.is_ok() {
            return to_stderr(&queue, None);
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Lets the last entries go out, but does not wait for ever for a runner that does not take them.
pub(crate) async fn finish(mut stream: tokio::task::JoinHandle<()>, queue: &LogQueue) {
    queue.finish();
    if tokio::time::timeout(FLUSH_TIMEOUT, &mut stream)
        .await
        .is_err()
    {
        stream.abort();
        to_stderr(queue, None);
    }
}

fn to_stderr(queue: &LogQueue, last: Option<log_entry::List>) {
    let last = last.into_iter().flat_map(|list| list.log_entries);
    for entry in last.chain(queue.take_all()) {
        eprintln!("{:?} {}", entry.severity(), entry.message);
        if !entry.trace.is_empty() {
            eprintln!("{}", entry.trace);
        }
    }
}

/// One stream; returns when all entries were sent. What may not have arrived is left in `last`.
async fn stream(
    peer: &Peer,
    endpoint: &str,
    queue: &LogQueue,
    last: &mut Option<log_entry::List>,
) -> crate::Result<()> {
    let channel = peer.connect("logging", endpoint).await?;
    let mut client = BeamFnLoggingClient::new(channel);
    let (sender, receiver) = mpsc::channel(1);
    let call = client.logging(peer.request(ReceiverStream::new(receiver)));
    let answers = async {
        let mut control = call.await?.into_inner();
        while control.next().await.transpose()?.is_some() {}
        Ok::<(), tonic::Status>(())
    };
    let sending = async {
        while let Some(list) = queue.next().await {
            *last = Some(list.clone());
            if sender.send(list).await.is_err() {
                return;
            }
            *last = None;
        }
        drop(sender);
    };
    let mut answers = std::pin::pin!(answers);
    tokio::select! {
        outcome = &mut answers => {
            outcome.map_err(|e| crate::Error::transport("the logging stream broke").because(e))?;
            return Err(crate::Error::transport("the runner closed the logging stream"));
        }
        () = sending => {}
    }
    // The stream ends when the runner has read it all.
    let _ = answers.await;
    Ok(())
}
