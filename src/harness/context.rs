//! Where a log event comes from, and where it goes.
//!
//! `tracing` is global, workers are not: a process may hold several, each with a logging stream of its own. So the
//! thread says which worker it works for.

use std::cell::RefCell;
use std::fmt::Write;
use std::sync::{Arc, Once};
use std::time::SystemTime;

use beam_proto::fnexec::LogEntry;
use beam_proto::fnexec::log_entry::severity;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::wire::logging::LogQueue;
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

thread_local! {
    static CONTEXT: RefCell<Option<LogContext>> = const { RefCell::new(None) };
    /// Where this thread panicked last: unwinding loses it.
    static PANIC_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Says what this thread works for from now on.
pub(crate) fn enter(context: Option<LogContext>) {
    CONTEXT.with_borrow_mut(|current| *current = context);
}

/// Says what bundle this thread works on from now on.
pub(crate) fn enter_bundle(bundle: Option<BundleContext>) {
    CONTEXT.with_borrow_mut(|current| {
        if let Some(context) = current {
            context.bundle = bundle;
        }
    });
}

/// Where this thread panicked last, if it did since the last call.
pub(crate) fn take_panic_place() -> Option<String> {
    PANIC_AT.with_borrow_mut(Option::take)
}

/// Sends `tracing` and `log` events of worker threads to their runners, and all others to standard error, and notes
/// where panics happen. A program that runs workers calls it once, at its start; later calls change nothing.
pub fn install_logging() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let level = match std::env::var("FERROBEAM_LOG").ok().as_deref() {
            Some("trace") => Level::TRACE,
            Some("debug") => Level::DEBUG,
            Some("warn") => Level::WARN,
            Some("error") => Level::ERROR,
            _ => Level::INFO,
        };
        let filter = tracing_subscriber::filter::LevelFilter::from_level(level);
        // A program that has set up logging of its own keeps it.
        let _ = tracing_subscriber::registry()
            .with(FnApiLayer.with_filter(filter))
            .try_init();
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info
                .location()
                .map(|l| format!("{}:{}", l.file(), l.line()));
            PANIC_AT.with_borrow_mut(|at| *at = place);
            report(info);
            // A second panic while the first unwinds ends the process: this is the last that is heard of the bundle.
            if let Some(what) = in_hand() {
                eprintln!("the panic is in {what}");
            }
        }));
    });
}

/// Names the bundle and the transform that this thread works on, for standard error.
fn in_hand() -> Option<String> {
    let context = CONTEXT.try_with(|context| context.try_borrow().ok()?.clone());
    let bundle = context.ok()??.bundle?;
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

/// Turns events into log entries.
struct FnApiLayer;

impl<S: Subscriber> Layer<S> for FnApiLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        // The transport's own trouble must not be sent over the transport.
        let internal = ["h2::", "hyper", "tonic", "tower"]
            .iter()
            .any(|p| metadata.target().starts_with(p));
        let context = CONTEXT.with_borrow(Clone::clone);
        match context {
            Some(context) if !internal => {
                let severity = match *metadata.level() {
                    Level::TRACE => severity::Enum::Trace,
                    Level::DEBUG => severity::Enum::Debug,
                    Level::INFO => severity::Enum::Info,
                    Level::WARN => severity::Enum::Warn,
                    Level::ERROR => severity::Enum::Error,
                };
                let location = match (metadata.file(), metadata.line()) {
                    (Some(file), Some(line)) => format!("{file}:{line}"),
                    _ => metadata.target().to_owned(),
                };
                context
                    .queue
                    .push(entry(&context, severity, text.finish(), location));
            }
            _ if *metadata.level() <= Level::WARN || !internal => {
                eprintln!(
                    "{} {}: {}",
                    metadata.level(),
                    metadata.target(),
                    text.finish()
                );
            }
            _ => {}
        }
    }
}

/// An entry with the time, the thread and the bundle in hand.
fn entry(
    context: &LogContext,
    severity: severity::Enum,
    message: String,
    log_location: String,
) -> LogEntry {
    let mut entry = LogEntry {
        severity: severity.into(),
        timestamp: Some(SystemTime::now().into()),
        message,
        log_location,
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

/// Sends an entry of this thread's worker, whatever the level that events are filtered by.
pub(crate) fn log_error(message: String) {
    let context = CONTEXT.with_borrow(Clone::clone);
    match context {
        Some(context) => {
            let entry = entry(&context, severity::Enum::Error, message, String::new());
            context.queue.push(entry);
        }
        None => eprintln!("ERROR {message}"),
    }
}

/// The message of an event, with its fields behind.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(self) -> String {
        self.message + &self.fields
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => self.message.write_str(value),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
