//! What functions want done once the runner has committed their bundles. The workers are in this process, so it knows.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use serde::{Deserialize, Serialize};

use super::functions::unique;
use super::rows;
use crate::behaviour::How;
use crate::case::Case;
use crate::runner::Runner;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs finalize_once,
    Runs finalize_expired,
];

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<Note>();
}

/// Notes numbers under the name of a job once they are committed. Negative ones have expired by then.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.Note/v1")]
struct Note {
    job: String,
}

#[derive(Ports)]
struct NoteIo {
    passed: Out<i64>,
    after_commit: AfterCommit,
}

/// The numbers by job.
static NOTES: Mutex<BTreeMap<String, Vec<i64>>> = Mutex::new(BTreeMap::new());

impl DoFn for Note {
    type In = i64;
    type Io = NoteIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut NoteIo) -> Result {
        let expiry = Duration::from_secs(if n < 0 { 0 } else { 600 });
        let job = self.job.clone();
        io.after_commit.register(expiry, move || {
            NOTES.lock().unwrap().entry(job).or_default().push(n);
            Ok(())
        });
        io.passed.emit(cx, n);
        Ok(())
    }
}

/// Expects that of some numbers these are noted in the end.
fn noted<const N: usize, const M: usize>(case: &mut Case, numbers: [i64; N], noted: [i64; M]) {
    if case.runner == Runner::FlinkStreaming {
        // It commits with checkpoints. With these it takes all that a grouping gets for late, whoever the workers are, so
        // nothing is expected of collections here.
        let options = &mut case.options;
        options.add("checkpointing_interval", Some("200".into()));
        options.add("shutdown_sources_after_idle_ms", Some("1000".into()));
    }
    let job = unique("job");
    // Prism commits only what a function takes from elsewhere, not from another function of its stage.
    case.p
        .create("Numbers", numbers)
        .reshuffle("Shuffle")
        .par_do("Note", Note { job: job.clone() });
    case.metrics(move |_| {
        let mut notes = NOTES.lock().unwrap().remove(&job).unwrap_or_default();
        notes.sort_unstable();
        assert_eq!(notes, noted);
    });
}

fn finalize_once(case: &mut Case) {
    noted(case, [1, 2, 3], [1, 2, 3]);
}

fn finalize_expired(case: &mut Case) {
    noted(case, [-1, 2, -3], [2]);
}
