//! What the runner hears of what functions log.

use std::fmt;

use beam_proto::fnexec::LogEntry;
use beam_proto::fnexec::log_entry::severity::Enum as Severity;
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::testing::{Descriptor, FakeRunner, in_global_window};
use serde::{Deserialize, Serialize};

use crate::support::{At, Deed, Do, doing, registry};

/// Logs in all ways.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.Talk/v1")]
struct Talk;

/// An error with a cause.
#[derive(Debug)]
struct Outer(fmt::Error);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it cannot be written")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl DoFn for Talk {
    type In = String;
    type Io = Out<String>;

    fn process(&mut self, what: String, _cx: &mut Cx<'_>, _out: &mut Out<String>) -> Result {
        match what.as_str() {
            "levels" => {
                tracing::trace!("at trace");
                tracing::debug!("at debug");
                tracing::info!("at info");
                tracing::warn!("at warn");
                tracing::error!("at error");
                log::debug!(target: "other::place", "by log at debug");
                tracing::info!(target: "shop::prices::vat", "in shop at info");
                tracing::warn!(target: "shop::prices::vat", "in shop at warn");
            }
            "fields" => {
                let (rows, text) = (3u64, "a \"b\"");
                tracing::info!(
                    rows,
                    text,
                    ratio = 0.5,
                    done = true,
                    "http.status" = -4i64,
                    large = u64::MAX,
                    shown = ?Some(1),
                    "it has fields"
                );
            }
            "error" => {
                let error = Outer(fmt::Error);
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "it failed");
            }
            "log" => log::warn!("by log"),
            "fail" => return Err(Error::user("it is not to be").because(Outer(fmt::Error))),
            _ => {
                let name = std::thread::current().name().unwrap().to_owned();
                tracing::info!("on {name}");
            }
        }
        Ok(())
    }
}

fn talking() -> (Descriptor, Registry) {
    let mut stage = Descriptor::new("talking");
    let words = stage.source("source", String::coder());
    stage.par_do("talk", &Talk, &words);
    let mut functions = registry();
    functions.add::<Talk>();
    (stage, functions)
}

/// What is logged about one element.
fn said(what: &str, settings: impl FnOnce(Registry) -> FakeRunner) -> Vec<LogEntry> {
    let (stage, functions) = talking();
    let mut runner = settings(functions);
    let input = in_global_window([what.to_owned()]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    outcome.assert_ok();
    runner.end_control();
    runner.expect_end().unwrap();
    runner.expect_gone();
    let mut entries = runner.logs();
    entries.retain(|entry| entry.instruction_id == outcome.id);
    assert!(entries.iter().all(|entry| entry.transform_id == "talk"));
    entries
}

fn messages(entries: &[LogEntry]) -> Vec<(Severity, &str)> {
    let messages = entries.iter();
    messages
        .map(|entry| (entry.severity(), entry.message.as_str()))
        .collect()
}

#[test]
fn without_options_info_and_worse_is_sent() {
    let entries = said("levels", FakeRunner::start);
    assert_eq!(
        messages(&entries),
        [
            (Severity::Info, "at info"),
            (Severity::Warn, "at warn"),
            (Severity::Error, "at error"),
            (Severity::Info, "in shop at info"),
            (Severity::Warn, "in shop at warn"),
        ]
    );
}

#[test]
fn options_choose_levels_and_override_them_by_target() {
    let entries = said("levels", |functions| {
        FakeRunner::of(functions)
            .option("default_sdk_harness_log_level", "TRACE")
            .option(
                "sdk_harness_log_level_overrides",
                r#"{"shop.prices": "WARNING", "other::place": "INFO"}"#,
            )
            .start()
    });
    assert_eq!(
        messages(&entries),
        [
            (Severity::Trace, "at trace"),
            (Severity::Debug, "at debug"),
            (Severity::Info, "at info"),
            (Severity::Warn, "at warn"),
            (Severity::Error, "at error"),
            (Severity::Warn, "in shop at warn"),
        ]
    );
}

#[test]
fn a_level_that_is_off_silences_a_target_only() {
    let entries = said("levels", |functions| {
        FakeRunner::of(functions)
            .option("sdk_harness_log_level_overrides", r#"{"rim": "OFF"}"#)
            .start()
    });
    assert_eq!(
        messages(&entries),
        [
            (Severity::Info, "in shop at info"),
            (Severity::Warn, "in shop at warn"),
        ]
    );
}

#[test]
fn fields_are_data_of_their_types_under_plain_keys() {
    use prost_types::value::Kind;
    let entries = said("fields", FakeRunner::start);
    let entry = &entries[0];
    assert_eq!(
        entry.message,
        r#"it has fields rows=3 text="a \"b\"" ratio=0.5 done=true http.status=-4 large=18446744073709551615 shown=Some(1)"#
    );
    let data = entry.custom_data.as_ref().expect("there are fields");
    let data = data.fields.iter();
    let data: Vec<_> = data
        .map(|(key, value)| (key.as_str(), value.kind.clone().unwrap()))
        .collect();
    assert_eq!(
        data,
        [
            ("done", Kind::BoolValue(true)),
            ("http_status", Kind::NumberValue(-4.0)),
            ("large", Kind::StringValue(u64::MAX.to_string())),
            ("ratio", Kind::NumberValue(0.5)),
            ("rows", Kind::NumberValue(3.0)),
            ("shown", Kind::StringValue("Some(1)".into())),
            ("text", Kind::StringValue("a \"b\"".into())),
        ]
    );
}

#[test]
fn an_error_is_traced_to_its_causes() {
    let entries = said("error", FakeRunner::start);
    let cause = fmt::Error.to_string();
    assert_eq!(
        entries[0].trace,
        format!("it cannot be written\ncaused by: {cause}")
    );
    assert_eq!(entries[0].severity(), Severity::Error);
}

#[test]
fn entries_say_where_and_on_which_thread() {
    let entries = said("thread", FakeRunner::start);
    let entry = &entries[0];
    assert_eq!(entry.message, format!("on {}", entry.thread));
    assert!(entry.thread.starts_with("bundle-"), "{}", entry.thread);
    let line = entry.log_location.strip_prefix("tests/rim/logging.rs:");
    assert!(line.expect("a place").parse::<u32>().is_ok());
    assert!(entry.timestamp.is_some());
    assert_eq!(entry.custom_data, None);
}

#[test]
fn records_of_the_log_crate_say_where_they_come_from() {
    let entries = said("log", FakeRunner::start);
    assert_eq!(messages(&entries), [(Severity::Warn, "by log")]);
    let place = &entries[0].log_location;
    assert!(place.starts_with("tests/rim/logging.rs:"), "{place}");
    assert_eq!(entries[0].custom_data, None);
}

#[test]
fn a_panic_is_critical_and_its_place_is_told() {
    let runner = FakeRunner::start(registry());
    let stage = doing("panicking", Do::new(At::Element(1), Deed::Panic));
    let input = in_global_window([1i64]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    assert!(outcome.expect_error().contains("told to panic"));
    let entry = runner.expect_log(|entry| entry.message.starts_with("bundle failed"));
    assert_eq!(entry.severity(), Severity::Critical);
    assert_eq!(entry.transform_id, "do");
    assert_eq!(entry.instruction_id, outcome.id);
    let place = &entry.log_location;
    assert!(place.starts_with("tests/rim/support.rs:"), "{place}");
    runner.close();
}

#[test]
fn a_failed_bundle_is_logged_with_the_causes_of_its_error() {
    let (stage, functions) = talking();
    // Whatever the level.
    let runner = FakeRunner::of(functions)
        .option("default_sdk_harness_log_level", "OFF")
        .start();
    let input = in_global_window(["fail".to_owned()]);
    let outcome = runner.bundle(&stage).input("source", input).run();
    outcome.expect_error();
    let entry = runner.expect_log(|entry| entry.message.starts_with("bundle failed"));
    assert_eq!(entry.severity(), Severity::Error);
    assert_eq!(entry.transform_id, "talk");
    let cause = fmt::Error.to_string();
    assert_eq!(
        entry.trace,
        format!("it is not to be\ncaused by: it cannot be written\ncaused by: {cause}")
    );
    runner.close();
}

#[test]
fn a_logging_stream_that_breaks_is_opened_again() {
    let runner = FakeRunner::start(registry());
    let stage = doing("again", Do::new(At::Element(1), Deed::Log("heard".into())));
    let heard = |after| {
        let input = in_global_window([1i64]);
        let bundle = runner.bundle(&stage).input("source", input).run();
        bundle.assert_ok();
        runner
            .logs()
            .iter()
            .skip(after)
            .any(|entry| entry.message == "heard")
    };
    heard(0);
    runner.expect_log(|entry| entry.message == "heard");
    let before = runner.logs().len();
    runner.cut_logs();
    // What is said before the worker has noticed goes to standard error.
    let start = std::time::Instant::now();
    while !heard(before) {
        assert!(start.elapsed() < std::time::Duration::from_secs(20));
        std::thread::yield_now();
    }
    runner.close();
}

#[test]
fn a_runner_that_reads_no_logs_does_not_hold_bundles_and_learns_what_was_dropped() {
    let runner = FakeRunner::start(registry());
    runner.read_logs(false);
    let line = "x".repeat(1 << 20);
    let stage = doing("talkative", Do::new(At::Elements, Deed::Log(line)));
    // Twice what is kept.
    let outcome = runner
        .bundle(&stage)
        .input("source", in_global_window(0..32i64))
        .run();
    assert_eq!(outcome.values::<i64>("sink").len(), 32);
    runner.read_logs(true);
    let note = runner.expect_log(|entry| entry.message.contains("log entries were dropped"));
    assert_eq!(note.severity(), Severity::Warn);
    runner.close();
}
