//! Where a log event comes from, and where it goes.
//!
//! `tracing` is global, workers are not: a process may hold several, each with a logging stream of its own. So the
//! thread says which worker it works for.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::SystemTime;

use beam_proto::fnexec::LogEntry;
use beam_proto::fnexec::log_entry::severity;

use super::log::fields::push_causes;
use super::log::queue::LogQueue;
use crate::error::{Error, ErrorKind};
use crate::exec::Activity;
use crate::model::descriptor::PlanSpec;

/// What a thread works for.
#[derive(Clone)]
pub(crate) struct LogContext {
    pub(crate) queue: Arc<LogQueue>,
    pub(crate) bundle: Option<BundleContext>,
}

/// The bundle in hand.
#[derive(Clone)]
pub(crate) struct BundleContext {
    pub(crate) instruction: Arc<str>,
    pub(crate) plan: Option<(Arc<PlanSpec>, Activity)>,
}

/// What is known of a panic besides its payload: unwinding loses it.
pub(crate) struct PanicNote {
    /// `file:line`.
    pub(crate) at: Option<String>,
    /// Empty unless the environment asks for backtraces.
    trace: String,
}

thread_local! {
    static CONTEXT: RefCell<Option<LogContext>> = const { RefCell::new(None) };
    static PANIC: RefCell<Option<PanicNote>> = const { RefCell::new(None) };
}

/// Says what this thread works for from now on.
pub(crate) fn enter(context: Option<LogContext>) {
    let before = CONTEXT.replace(context);
    // Only now, as whatever goes with it may log.
    drop(before);
}

/// Says what bundle this thread works on from now on.
pub(crate) fn enter_bundle(bundle: Option<BundleContext>) {
    CONTEXT.with_borrow_mut(|current| {
        if let Some(context) = current {
            context.bundle = bundle;
        }
    });
}

/// What this thread works for. Nothing while the thread ends, or where it is just being said.
pub(super) fn with<R>(look: impl FnOnce(Option<&LogContext>) -> R) -> R {
    let mut look = Some(look);
    let seen = CONTEXT.try_with(|context| {
        let context = context.try_borrow().ok()?;
        look.take().map(|look| look(context.as_ref()))
    });
    match (seen.ok().flatten(), look) {
        (Some(seen), _) => seen,
        (None, Some(look)) => look(None),
        (None, None) => unreachable!("whoever took it has seen"),
    }
}

/// What is known of the last panic of this thread, if there was one since the last call.
pub(crate) fn take_panic() -> Option<PanicNote> {
    PANIC.take()
}

/// As [`take_panic`]; from now on `note` is what is known.
pub(crate) fn replace_panic(note: Option<PanicNote>) -> Option<PanicNote> {
    PANIC.replace(note)
}

/// Notes where panics happen, besides reporting them as before.
pub(super) fn note_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let at = info
            .location()
            .map(|l| format!("{}:{}", l.file(), l.line()));
        let backtrace = Backtrace::capture();
        let trace = match backtrace.status() {
            BacktraceStatus::Captured => backtrace.to_string(),
            _ => String::new(),
        };
        PANIC.set(Some(PanicNote { at, trace }));
        report(info);
        // A second panic while the first unwinds ends the process: this is the last that is heard of the bundle.
        if let Some(what) = in_hand() {
            eprintln!("the panic is in {what}");
        }
    }));
}

/// Names the bundle and the transform that this thread works on, for standard error.
fn in_hand() -> Option<String> {
    let bundle = with(|context| context?.bundle.clone())?;
    let instruction = bundle.instruction;
    let place = bundle.plan.and_then(|(spec, activity)| {
        let (node, _) = activity.now()?;
        Some(format!(", transform {:?}", spec.nodes[node].id))
    });
    Some(format!(
        "bundle {instruction:?}{}",
        place.unwrap_or_default()
    ))
}

/// An entry with the time, the thread and the bundle in hand.
pub(super) fn entry(context: &LogContext, severity: severity::Enum) -> LogEntry {
    let mut entry = LogEntry {
        severity: severity.into(),
        timestamp: Some(SystemTime::now().into()),
        thread: std::thread::current().name().unwrap_or_default().to_owned(),
        ..LogEntry::default()
    };
    if let Some(bundle) = &context.bundle {
        entry.instruction_id = bundle.instruction.to_string();
        if let Some((spec, activity)) = &bundle.plan
            && let Some((node, _)) = activity.now()
        {
            entry.transform_id = spec.nodes[node].id.clone();
        }
    }
    entry
}

/// Logs why the bundle in hand failed, whatever the level that events are filtered by.
pub(crate) fn log_failure(error: &Error, panic: Option<PanicNote>) {
    let message = format!("bundle failed: {error}");
    let Some(context) = with(|context| context.cloned()) else {
        eprintln!("ERROR {message}");
        return;
    };
    let severity = match error.kind() {
        ErrorKind::Panic => severity::Enum::Critical,
        _ => severity::Enum::Error,
    };
    let mut entry = entry(&context, severity);
    entry.message = message;
    push_causes(&mut entry.trace, error.cause());
    if !entry.trace.is_empty() {
        entry.trace.insert_str(0, error.message());
    }
    if let Some(panic) = panic {
        entry.log_location = panic.at.unwrap_or_default();
        entry.trace.push_str(&panic.trace);
    }
    context.queue.push(entry);
}
