//! The log entries that a fake runner gets.

use beam_proto::fnexec::LogEntry;

use super::FakeRunner;

impl FakeRunner {
    /// Whether log entries are read from now on.
    pub fn read_logs(&self, reads: bool) {
        self.hub.reading_logs.send_replace(reads);
    }

    /// The log entries so far.
    pub fn logs(&self) -> Vec<LogEntry> {
        self.hub.with(|ledger| ledger.logs.clone())
    }

    /// Waits for a log entry.
    ///
    /// # Panics
    /// It does not come in time.
    #[track_caller]
    pub fn expect_log(&self, wanted: impl Fn(&LogEntry) -> bool) -> LogEntry {
        self.expect_log_after(0, wanted)
    }

    /// Waits for a log entry that comes after so many others.
    ///
    /// # Panics
    /// It does not come in time.
    #[track_caller]
    pub fn expect_log_after(&self, others: usize, wanted: impl Fn(&LogEntry) -> bool) -> LogEntry {
        self.hub.wait("a log entry", |ledger| {
            let mut entries = ledger.logs.iter().skip(others);
            entries.find(|entry| wanted(entry)).cloned()
        })
    }

    /// Ends the logging stream. The worker may open another.
    pub fn cut_logs(&self) {
        self.hub.log_cuts.send_modify(|cuts| *cuts += 1);
    }
}
