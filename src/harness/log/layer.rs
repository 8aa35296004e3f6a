//! Events of `tracing` and `log` become log entries.

use std::sync::Once;

use beam_proto::fnexec::LogEntry;
use beam_proto::fnexec::log_entry::severity;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::fields::Fields;
use super::verbosity;
use crate::harness::context;

/// Sends `tracing` and `log` events of worker threads to their runners, and all others to standard error, and notes
/// where panics happen. A program that runs workers calls it once, at its start; later calls change nothing.
///
/// Which events are sent, the pipeline's options say: `default_sdk_harness_log_level` and
/// `sdk_harness_log_level_overrides`. Where they do not, and for standard error, the environment variable
/// `FERROBEAM_LOG` does: `trace`, `debug`, `info`, `warn` or `error`.
pub fn install_logging() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // What the process wants, it wants until its end.
        std::mem::forget(verbosity::Verbosity::new(process_level()));
        // A program that has set up logging of its own keeps it.
        let _ = tracing_subscriber::registry().with(FnApiLayer).try_init();
        context::note_panics();
    });
}

/// What is logged where no pipeline says otherwise.
pub(crate) fn process_level() -> LevelFilter {
    match std::env::var("FERROBEAM_LOG").ok().as_deref() {
        Some("trace") => LevelFilter::TRACE,
        Some("debug") => LevelFilter::DEBUG,
        Some("warn") => LevelFilter::WARN,
        Some("error") => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

/// Turns events into log entries.
struct FnApiLayer;

/// Whether a target is part of the transport, whose own trouble must not be sent over the transport.
fn is_transport(target: &str) -> bool {
    ["h2", "hyper", "tonic", "tower"].iter().any(|name| {
        let rest = target.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '_']))
    })
}

impl<S: Subscriber> Layer<S> for FnApiLayer {
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(verbosity::most())
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let level = *metadata.level();
        if level > verbosity::most() || is_transport(metadata.target()) && level > Level::WARN {
            Interest::never()
        } else {
            // It depends on the thread's worker.
            Interest::sometimes()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        let target = metadata.target();
        if is_transport(target) {
            return *metadata.level() <= Level::WARN;
        }
        let wanted = context::with(|context| match context {
            Some(context) => context.queue.levels().of(target),
            None => process_default(),
        });
        *metadata.level() <= wanted
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let target = fields.target().unwrap_or(metadata.target()).to_owned();
        let context = context::with(|context| context.cloned());
        match context {
            Some(context) if !is_transport(&target) => {
                let location = fields
                    .location()
                    .unwrap_or_else(|| location_of(metadata, &target));
                let mut entry = context::entry(&context, severity_of(*metadata.level()));
                entry.log_location = location;
                fields.fill(&mut entry);
                context.queue.push(entry);
            }
            _ => {
                let mut entry = LogEntry::default();
                fields.fill(&mut entry);
                eprintln!("{} {target}: {}", metadata.level(), entry.message);
            }
        }
    }
}

/// The environment is read once.
fn process_default() -> LevelFilter {
    static LEVEL: std::sync::OnceLock<LevelFilter> = std::sync::OnceLock::new();
    *LEVEL.get_or_init(process_level)
}

fn location_of(metadata: &Metadata<'_>, target: &str) -> String {
    match (metadata.file(), metadata.line()) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        _ => target.to_owned(),
    }
}

fn severity_of(level: Level) -> severity::Enum {
    match level {
        Level::TRACE => severity::Enum::Trace,
        Level::DEBUG => severity::Enum::Debug,
        Level::INFO => severity::Enum::Info,
        Level::WARN => severity::Enum::Warn,
        Level::ERROR => severity::Enum::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transport_is_known_by_its_crates() {
        for target in [
            "h2::codec",
            "hyper",
            "hyper_util::client",
            "tonic::transport",
        ] {
            assert!(is_transport(target), "{target}");
        }
        for target in ["h2o", "towers::x", "shop::tonic"] {
            assert!(!is_transport(target), "{target}");
        }
    }
}
