//! What is said of bundles that stay in one place, and the end of a process in which one stays for too long.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, SystemTime};

use beam_proto::fnexec::LogEntry;
use beam_proto::fnexec::log_entry::severity;

use super::log::queue::LogQueue;
use super::lulls::{Findings, Lull, Place};
use super::work::{Work, clock};

/// The exit code of a process in which a bundle stayed in one place beyond
/// [`Watch::timeout`](super::Watch::timeout): `EX_TEMPFAIL`, since what failed may be tried again.
pub const STUCK: i32 = 75;

/// How long the last log entries may take to reach the runner.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Tells of bundles that stay in one place.
pub(crate) struct Reporter {
    pub(crate) log: Arc<LogQueue>,
    /// Closed when the logging stream has sent everything; `None` where there is no such stream.
    pub(crate) logged: Option<Receiver<()>>,
    pub(crate) timeout: Option<Duration>,
}

impl Reporter {
    /// Warns of lulls. Ends the process if a bundle stays for too long.
    pub(crate) fn report(&self, found: &Findings, works: &[Work]) {
        let of = |lull: &Lull| works.iter().find(|work| work.instruction == lull.bundle);
        for lull in &found.lulls {
            if let Some(work) = of(lull) {
                self.say(severity::Enum::Warn, warning(lull, work), lull, work);
            }
        }
        if found.more > 0
            && let Some(lull) = found.lulls.last()
            && let Some(work) = of(lull)
        {
            let text = format!("{} more bundles stay in one place as long", found.more);
            self.say(severity::Enum::Warn, text, lull, work);
        }
        if let Some(lull) = &found.expired
            && let Some(work) = of(lull)
        {
            self.end_process(lull, work);
        }
    }

    fn say(&self, severity: severity::Enum, message: String, lull: &Lull, work: &Work) {
        if self.logged.is_none() {
            eprintln!("{severity:?} {message}");
            return;
        }
        let transform = lull.place.node().and_then(|node| work.node(node));
        self.log.push(LogEntry {
            severity: severity.into(),
            timestamp: Some(SystemTime::now().into()),
            message,
            instruction_id: lull.bundle.to_string(),
            transform_id: transform.map(|node| node.id.clone()).unwrap_or_default(),
            log_location: concat!(module_path!(), ":", line!()).into(),
            thread: "sampler".into(),
            ..LogEntry::default()
        });
    }

    fn end_process(&self, lull: &Lull, work: &Work) {
        let text = farewell(lull, work, self.timeout.unwrap_or_default());
        // Nobody may read standard error, and what the program does at its exit may hang. Neither may keep the process.
        let (printed, is_printed) = sync_channel::<()>(0);
        let last_words = format!("ERROR {text}");
        beside("last words", move || {
            eprintln!("{last_words}");
            drop(printed);
        });
        if let Some(logged) = &self.logged {
            self.say(severity::Enum::Error, text, lull, work);
            self.log.finish();
            // Nothing is ever sent: this waits until the stream is done.
            let _ = logged.recv_timeout(FLUSH_TIMEOUT);
        }
        let _ = is_printed.recv_timeout(FLUSH_TIMEOUT);
        beside("abort", || {
            std::thread::sleep(FLUSH_TIMEOUT);
            std::process::abort();
        });
        std::process::exit(STUCK);
    }
}

/// Does something on a thread that nobody waits for. Where there is none to be had, the process ends without it.
fn beside(name: &str, work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name(name.into());
    let _ = thread.spawn(work);
}

fn warning(lull: &Lull, work: &Work) -> String {
    format!(
        "Operation ongoing in bundle {}{} for at least {} without outputting or completing.\nOn {}",
        lull.bundle,
        work.describe(lull.place),
        clock(lull.held),
        work.thread().describe()
    )
}

fn farewell(lull: &Lull, work: &Work, timeout: Duration) -> String {
    let what = match lull.place {
        Place::Creation(_) => "Creation of the plan",
        Place::Input | Place::Transform { .. } => "Processing of an element",
    };
    format!(
        "{what} in bundle {}{} has exceeded the specified timeout of {:.2} minutes: it has been there for at least {}. SDK \
         harness will be terminated, with exit code {STUCK}, as nothing else frees the thread; the runner may retry the \
         bundle. If elements may take this long, raise the pipeline option element_processing_timeout_minutes; otherwise \
         bound what the function waits for.\nOn {}",
        lull.bundle,
        work.describe(lull.place),
        timeout.as_secs_f64() / 60.0,
        clock(lull.held),
        work.thread().describe()
    )
}
