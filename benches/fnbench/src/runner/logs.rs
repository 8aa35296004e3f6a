//! What the worker logs.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use beam_proto::fnexec::LogEntry;
use beam_proto::fnexec::log_entry::severity::Enum as Severity;

use crate::lock;

/// Warnings that are shown; all are in the file.
const SHOWN: u64 = 20;

/// Writes entries to a file, and shows the first warnings.
pub(crate) struct WorkerLog {
    state: Mutex<State>,
    quiet: bool,
}

struct State {
    file: File,
    entries: u64,
    shown: u64,
}

impl WorkerLog {
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn create(path: &Path, quiet: bool) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let state = State {
            file,
            entries: 0,
            shown: 0,
        };
        Ok(WorkerLog {
            state: Mutex::new(state),
            quiet,
        })
    }

    /// Takes entries.
    pub(crate) fn take(&self, entries: &[LogEntry]) {
        let mut state = lock(&self.state);
        for entry in entries {
            state.entries += 1;
            let severity = entry.severity();
            let line = format!(
                "{} {} {}",
                severity.as_str_name(),
                entry.log_location,
                entry.message
            );
            if severity >= Severity::Warn && !self.quiet && state.shown < SHOWN {
                state.shown += 1;
                eprintln!("worker: {line}");
            }
            // A full disk must not end the run.
            let _lost = writeln!(state.file, "{line}");
        }
    }

    /// How many entries came.
    pub(crate) fn entries(&self) -> u64 {
        lock(&self.state).entries
    }
}
