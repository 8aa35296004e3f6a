//! The logging stream: entries go out in lists, and never make their writers wait.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use beam_proto::fnexec::LogEntry;
use beam_proto::fnexec::beam_fn_logging_client::BeamFnLoggingClient;
use beam_proto::fnexec::log_entry::{self, severity};
use prost::Message;
use tokio::sync::{Notify, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::{Peer, connect};

/// What waits to be sent, in bytes; beyond it the oldest entries are dropped and counted.
const QUEUE_BYTES: usize = 16 << 20;

/// The most of one message that is kept: runners drop entries that are larger still.
const MAX_MESSAGE: usize = 1 << 20;

/// Entries in one list.
const MAX_LIST: usize = 1000;

/// How long the last entries may take at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait before a broken stream is opened again.
const RETRY: Duration = Duration::from_millis(500);

/// Log entries on their way to the runner.
#[derive(Default)]
pub(crate) struct LogQueue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    entries: VecDeque<LogEntry>,
    bytes: usize,
    dropped: usize,
    finished: bool,
}

impl LogQueue {
    /// Adds an entry.
    pub(crate) fn push(&self, mut entry: LogEntry) {
        shorten(&mut entry.message);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.bytes += entry.encoded_len();
        state.entries.push_back(entry);
        while state.bytes > QUEUE_BYTES
            && let Some(oldest) = state.entries.pop_front()
        {
            state.bytes -= oldest.encoded_len();
            state.dropped += 1;
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Says that no more entries will come.
    pub(crate) fn finish(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .finished = true;
        self.changed.notify_one();
    }

    /// The next entries; `None` at the end.
    async fn next(&self) -> Option<log_entry::List> {
        loop {
            {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.dropped > 0 {
                    let dropped = std::mem::take(&mut state.dropped);
                    let note = LogEntry {
                        severity: severity::Enum::Warn.into(),
                        message: format!(
                            "{dropped} log entries were dropped: the runner did not take them in time"
                        ),
                        ..LogEntry::default()
                    };
                    state.entries.push_front(note);
                }
                if !state.entries.is_empty() {
                    let count = state.entries.len().min(MAX_LIST);
                    let log_entries: Vec<_> = state.entries.drain(..count).collect();
                    state.bytes = state.entries.iter().map(Message::encoded_len).sum();
                    return Some(log_entry::List { log_entries });
                }
                if state.finished {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }
}

/// Cuts a message to its limit, at a character.
fn shorten(message: &mut String) {
    if message.len() > MAX_MESSAGE {
        let mut end = MAX_MESSAGE;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push_str("… (shortened)");
    }
}

/// Sends the entries of `queue` until it is finished. Without a runner that takes them they go to standard error.
pub(crate) async fn run(peer: Peer, endpoint: String, queue: Arc<LogQueue>) {
    let mut last = None;
    loop {
        match stream(&peer, &endpoint, &queue, &mut last).await {
            Ok(()) => return,
            Err(error) => {
                let finished = queue
                    .state
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .finished;
                if finished {
                    return to_stderr(&queue, last.take());
                }
                eprintln!(
                    "WARN the logging stream broke: {error}; entries go to standard error meanwhile"
                );
                to_stderr(&queue, last.take());
                tokio::time::sleep(RETRY).await;
            }
        }
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
    let mut state = queue.state.lock().unwrap_or_else(PoisonError::into_inner);
    let waiting: Vec<_> = state.entries.drain(..).collect();
    state.bytes = 0;
    drop(state);
    for entry in last
        .into_iter()
        .flat_map(|list| list.log_entries)
        .chain(waiting)
    {
        eprintln!("{:?} {}", entry.severity(), entry.message);
    }
}

/// One stream; returns when all entries were sent. What may not have arrived is left in `last`.
async fn stream(
    peer: &Peer,
    endpoint: &str,
    queue: &LogQueue,
    last: &mut Option<log_entry::List>,
) -> crate::Result<()> {
    let channel = connect("logging", endpoint).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded() {
        let queue = LogQueue::default();
        for _ in 0..40 {
            queue.push(LogEntry {
                message: "é".repeat(MAX_MESSAGE),
                ..LogEntry::default()
            });
        }
        let state = queue.state.lock().expect("not poisoned");
        assert!(state.bytes <= QUEUE_BYTES);
        assert_eq!(state.entries.len() + state.dropped, 40);
        assert!(state.entries[0].message.ends_with("… (shortened)"));
    }
}
