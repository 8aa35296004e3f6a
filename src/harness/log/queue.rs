//! Log entries on their way to the runner.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use beam_proto::fnexec::LogEntry;
use beam_proto::fnexec::log_entry::{self, severity};
use prost::Message;
use tokio::sync::Notify;
use tracing::level_filters::LevelFilter;

use super::verbosity::Verbosity;
use crate::harness::options::LogLevels;

/// What waits to be sent, in bytes.
const QUEUE_BYTES: usize = 16 << 20;

/// The most of one message that is kept, in bytes: runners drop entries that are larger still.
const MAX_MESSAGE: usize = 1 << 20;

/// The most of a backtrace that is kept, in bytes.
const MAX_TRACE: usize = 64 << 10;

/// Entries in one list.
const MAX_LIST: usize = 1000;

/// Bytes in one list, unless a single entry has more: many servers refuse messages of more than 4 MB.
const MAX_LIST_BYTES: usize = 2 << 20;

/// Severities are numbered from 0, unspecified, to 7, critical.
const SEVERITIES: usize = 8;

/// Log entries that wait to be sent. Writers never wait: when there are too many entries, the oldest of the least
/// severe go, and are counted.
pub(crate) struct LogQueue {
    levels: LogLevels,
    state: Mutex<State>,
    changed: Notify,
    /// Keeps events coming that this queue wants.
    _verbosity: Verbosity,
}

#[derive(Default)]
struct State {
    /// By severity. Together they are in the order of their numbers.
    entries: [VecDeque<Waiting>; SEVERITIES],
    bytes: usize,
    next_number: u64,
    dropped: usize,
    finished: bool,
}

struct Waiting {
    number: u64,
    size: usize,
    entry: LogEntry,
}

impl Default for LogQueue {
    fn default() -> Self {
        LogQueue::new(LogLevels::all(LevelFilter::INFO))
    }
}

impl LogQueue {
    /// A queue for events of these levels.
    pub(crate) fn new(levels: LogLevels) -> Self {
        LogQueue {
            _verbosity: Verbosity::new(levels.most()),
            levels,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Which events are wanted.
    pub(crate) fn levels(&self) -> &LogLevels {
        &self.levels
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry.
    pub(crate) fn push(&self, mut entry: LogEntry) {
        shorten(&mut entry.message, MAX_MESSAGE);
        shorten(&mut entry.trace, MAX_TRACE);
        self.state().push(entry);
        self.changed.notify_one();
    }

    /// Says that no more entries will come.
    pub(crate) fn finish(&self) {
        self.state().finished = true;
        self.changed.notify_one();
    }

    /// Whether no more entries will come.
    pub(crate) fn is_finished(&self) -> bool {
        self.state().finished
    }

    /// Waits until no more entries will come. For the one task that also takes entries.
    pub(crate) async fn finished(&self) {
        while !self.is_finished() {
            self.changed.notified().await;
        }
    }

    /// The next entries; `None` at the end.
    pub(crate) async fn next(&self) -> Option<log_entry::List> {
        loop {
            {
                let mut state = self.state();
                let log_entries = state.take(MAX_LIST, MAX_LIST_BYTES);
                if !log_entries.is_empty() {
                    return Some(log_entry::List { log_entries });
                }
                if state.finished {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Everything that waits.
    pub(crate) fn take_all(&self) -> Vec<LogEntry> {
        self.state().take(usize::MAX, usize::MAX)
    }
}

impl State {
    fn push(&mut self, entry: LogEntry) {
        let severity = usize::try_from(entry.severity).unwrap_or(0);
        let waiting = Waiting {
            number: self.next_number,
            size: entry.encoded_len(),
            entry,
        };
        self.next_number += 1;
        self.bytes += waiting.size;
        self.entries[severity.min(SEVERITIES - 1)].push_back(waiting);
        while self.bytes > QUEUE_BYTES
            && let Some(oldest) = self.entries.iter_mut().find_map(VecDeque::pop_front)
        {
            self.bytes -= oldest.size;
            self.dropped += 1;
        }
    }

    /// The next entry of all severities.
    fn pop(&mut self) -> Option<LogEntry> {
        let queues = self.entries.iter_mut().filter(|queue| !queue.is_empty());
        let next = queues.min_by_key(|queue| queue.front().map(|waiting| waiting.number))?;
        let waiting = next.pop_front()?;
        self.bytes -= waiting.size;
        Some(waiting.entry)
    }

    /// Up to `most` entries, of which all but the last have less than `bytes`, led by a note if some were dropped.
    fn take(&mut self, most: usize, bytes: usize) -> Vec<LogEntry> {
        let mut taken = Vec::new();
        if self.dropped > 0 {
            let dropped = std::mem::take(&mut self.dropped);
            taken.push(LogEntry {
                severity: severity::Enum::Warn.into(),
                timestamp: Some(SystemTime::now().into()),
                message: format!(
                    "{dropped} log entries were dropped: the runner did not take them in time"
                ),
                ..LogEntry::default()
            });
        }
        let before = self.bytes;
        while taken.len() < most
            && before - self.bytes < bytes
            && let Some(entry) = self.pop()
        {
            taken.push(entry);
        }
        taken
    }
}

/// Cuts a text to its limit, at a character.
fn shorten(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push_str("… (shortened)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(severity: severity::Enum, message: &str) -> LogEntry {
        LogEntry {
            severity: severity.into(),
            message: message.into(),
            ..LogEntry::default()
        }
    }

    #[test]
    fn messages_and_traces_are_cut_at_a_character() {
        let queue = LogQueue::default();
        queue.push(LogEntry {
            message: "é".repeat(MAX_MESSAGE),
            trace: "x".repeat(MAX_TRACE + 1),
            ..LogEntry::default()
        });
        let entries = queue.take_all();
        let shortened = format!("{}… (shortened)", "é".repeat(MAX_MESSAGE / 2));
        assert!(
            entries[0].message == shortened,
            "{}",
            entries[0].message.len()
        );
        assert!(entries[0].trace.len() < MAX_TRACE + 20);
    }

    #[test]
    fn the_oldest_of_the_least_severe_are_dropped_and_counted() {
        let queue = LogQueue::default();
        let text = "x".repeat(MAX_MESSAGE - 100);
        queue.push(entry(severity::Enum::Error, "first"));
        for severity in [severity::Enum::Info, severity::Enum::Warn] {
            for n in 0..10 {
                queue.push(entry(severity, &format!("{n}{text}")));
            }
        }
        queue.push(entry(severity::Enum::Debug, "last"));
        assert!(queue.state().bytes <= QUEUE_BYTES);
        let entries = queue.take_all();
        let starts = entries.iter().map(|entry| &entry.message[..1]);
        let starts: Vec<_> = starts.collect();
        // Behind the note: four infos too many had to go, and there was room again when the last came.
        assert_eq!(starts.concat(), "4f4567890123456789l");
        assert!(entries[0].message.starts_with("4 log entries were dropped"));
        assert_eq!(entries[0].severity(), severity::Enum::Warn);
        assert_eq!(queue.state().bytes, 0);
        assert_eq!(queue.take_all(), []);
    }

    #[test]
    fn lists_are_limited_and_the_end_comes_after_all_entries() {
        let queue = LogQueue::default();
        for n in 0..MAX_LIST + 1 {
            queue.push(entry(severity::Enum::Info, &n.to_string()));
        }
        queue.finish();
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().expect("a runtime");
        let mut sizes = Vec::new();
        while let Some(list) = runtime.block_on(queue.next()) {
            sizes.push(list.log_entries.len());
        }
        assert_eq!(sizes, [MAX_LIST, 1]);
    }

    #[test]
    fn lists_of_long_entries_are_short() {
        let queue = LogQueue::default();
        let text = "x".repeat(MAX_MESSAGE);
        (0..5).for_each(|_| queue.push(entry(severity::Enum::Info, &text)));
        let taken = queue.state().take(MAX_LIST, MAX_LIST_BYTES);
        assert_eq!(taken.len(), 2);
        assert_eq!(queue.take_all().len(), 3);
    }
}
