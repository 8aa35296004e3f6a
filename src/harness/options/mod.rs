//! What pipeline options tell the worker.

mod levels;
mod reader;
pub(crate) mod values;

use std::time::Duration;

pub(crate) use levels::LogLevels;
use tracing::level_filters::LevelFilter;

use super::process;
use crate::dofn::OptionValues;
use reader::Reader;

const MB: u64 = 1 << 20;

/// Sinks send what they have once it is this many bytes: large enough that a message's overhead vanishes, small enough
/// that a consumer need not wait for long.
const FLUSH_BYTES: usize = 1 << 20;

/// How long a sink of a streaming pipeline may hold back what it has.
const STREAMING_FLUSH: Duration = Duration::from_millis(50);

/// What the state cache has at least, unless that were much of all memory.
const MIN_STATE_CACHE: u64 = 100 * MB;

/// What pipeline options tell the worker.
///
/// Unknown options are ignored, as most are for others. A known one whose value makes no sense is ignored with a
/// warning. All but `experiments` may also be given as an experiment, `name=value`: SDKs whose options are declared
/// refuse those that they do not know.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WorkerOptions {
    /// All options as they were submitted, for functions.
    pub(crate) submitted: OptionValues,
    /// Bytes of state and side inputs that are kept for later bundles; zero turns that off.
    ///
    /// Experiment `state_cache_size` or option `max_cache_memory_usage_mb`, both in MB, or `max_cache_memory_usage_percent`
    /// of the memory limit. Else a tenth of the memory limit, at least 100 MB where there is four times as much. In the
    /// options zero is no choice but the default of other SDKs; in the experiment it is one.
    pub(crate) state_cache_bytes: u64,
    /// Bytes that a sink collects before it sends them. Experiment `data_buffer_size_limit`, in bytes.
    pub(crate) flush_bytes: usize,
    /// How long a sink may hold back what it has; `None`: until the bundle ends. Experiment `data_buffer_time_limit_ms`,
    /// where zero means `None`. Else some milliseconds in streaming pipelines, and `None` in others.
    pub(crate) flush_every: Option<Duration>,
    /// Whether the pipeline is never done: `streaming`.
    pub(crate) streaming: bool,
    /// Whether elements of all collections are sampled: experiment `enable_data_sampling`.
    pub(crate) data_sampling: bool,
    /// Whether elements whose processing fails are sampled. Experiments `enable_always_on_exception_sampling` and, which
    /// wins, `disable_always_on_exception_sampling`; `None`: neither.
    pub(crate) exception_sampling: Option<bool>,
    /// How long one element may be processed before the worker gives up and ends, to be started anew. In minutes
    /// `element_processing_timeout_minutes`, or `element_processing_timeout` such as `1h30m`; zero and less mean `None`.
    pub(crate) element_timeout: Option<Duration>,
    /// Time between two looks where bundles are. Experiment `state_sampling_period_millis`.
    pub(crate) sampling_period: Option<Duration>,
    /// How long a bundle may stay in one place before it is warned of. Experiment `log_lull_timeout`, such as `90s`.
    pub(crate) lull: Option<Duration>,
    /// What is logged, if the options say so. `default_sdk_harness_log_level`, `sdk_harness_log_level_overrides`.
    pub(crate) log_levels: Option<LogLevels>,
    /// How many bundles may run at once; `None`: as many as the runner sends. `harness_threads`.
    pub(crate) harness_threads: Option<usize>,
    /// Bytes of one bundle's input that wait in memory, if the options say so. `inbound_budget_mb`.
    pub(crate) inbound_budget: Option<usize>,
    /// Bytes of output for one data service that wait in memory, if the options say so. `outbound_budget_mb`.
    pub(crate) outbound_budget: Option<usize>,
    /// Time between two pings on each connection, so that nothing between worker and runner takes one for dead; `None`: no
    /// pings. `grpc_keepalive_s`.
    pub(crate) keepalive: Option<Duration>,
    /// The memory that budgets and the state cache follow, if that is not all that the system grants: `memory_limit_pct` per
    /// cent of it, for a process that has other work to do as well.
    pub(crate) memory_limit: Option<u64>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        WorkerOptions::parse(OptionValues::default(), None).0
    }
}

impl WorkerOptions {
    /// What the options of a pipeline say, as a provision service has them, and what is wrong with them.
    pub(crate) fn of(options: Option<prost_types::Struct>) -> (Self, Vec<String>) {
        let submitted = values::option_values(options.unwrap_or_default());
        Self::parse(submitted, process::memory())
    }

    /// What options say where the system grants so many bytes of memory.
    fn parse(submitted: OptionValues, memory: Option<u64>) -> (Self, Vec<String>) {
        let mut reader = Reader::new(&submitted);
        let streaming = reader.flag("streaming");
        let flush_millis = reader.number("data_buffer_time_limit_ms", 0..=3_600_000);
        let flush_every = match flush_millis {
            Some(millis) => (millis > 0).then(|| Duration::from_millis(millis)),
            None => streaming.then_some(STREAMING_FLUSH),
        };
        // A message must stay well below the two gigabytes that the wire format allows.
        let flush_bytes = reader.size("data_buffer_size_limit", 1..=1 << 30);
        let megabytes = |n: Option<usize>| n.map(|n| n << 20);
        let percent = reader.number("memory_limit_pct", 1..=100);
        let memory_limit = memory
            .zip(percent)
            .map(|(memory, percent)| memory / 100 * percent);
        let sampling = reader.number("state_sampling_period_millis", 1..=60_000);
        let options = WorkerOptions {
            state_cache_bytes: state_cache(&mut reader, memory_limit.or(memory)),
            flush_bytes: flush_bytes.unwrap_or(FLUSH_BYTES),
            flush_every,
            streaming,
            data_sampling: reader.experiment("enable_data_sampling"),
            exception_sampling: if reader.experiment("disable_always_on_exception_sampling") {
                Some(false)
            } else {
                let enabled = reader.experiment("enable_always_on_exception_sampling");
                enabled.then_some(true)
            },
            element_timeout: element_timeout(&mut reader),
            sampling_period: sampling.map(Duration::from_millis),
            lull: reader
                .duration("log_lull_timeout")
                .filter(|time| !time.is_zero()),
            log_levels: log_levels(&mut reader),
            harness_threads: reader.size("harness_threads", 1..=1 << 16),
            inbound_budget: megabytes(reader.size("inbound_budget_mb", 1..=1 << 20)),
            outbound_budget: megabytes(reader.size("outbound_budget_mb", 1..=1 << 20)),
            keepalive: reader
                .number("grpc_keepalive_s", 1..=86_400)
                .map(Duration::from_secs),
            memory_limit,
            submitted: OptionValues::default(),
        };
        let warnings = reader.into_warnings();
        let options = WorkerOptions {
            submitted,
            ..options
        };
        (options, warnings)
    }
}

fn state_cache(reader: &mut Reader<'_>, memory: Option<u64>) -> u64 {
    if let Some(megabytes) = reader.number("state_cache_size", 0..=MB) {
        return megabytes * MB;
    }
    let chosen = reader.number("max_cache_memory_usage_mb", 0..=MB);
    if let Some(megabytes) = chosen.filter(|n| *n > 0) {
        return megabytes * MB;
    }
    let percent = reader.number("max_cache_memory_usage_percent", 0..=100);
    match (memory, percent.filter(|n| *n > 0)) {
        (None, _) => MIN_STATE_CACHE,
        (Some(memory), Some(percent)) => memory / 100 * percent,
        (Some(memory), None) => (memory / 10).max(MIN_STATE_CACHE.min(memory / 4)),
    }
}

fn element_timeout(reader: &mut Reader<'_>) -> Option<Duration> {
    let minutes = reader.signed("element_processing_timeout_minutes");
    let minutes = minutes.and_then(|minutes| u64::try_from(minutes).ok());
    let timeout = match minutes.filter(|minutes| *minutes > 0) {
        Some(minutes) => Duration::from_secs(minutes.saturating_mul(60)),
        None => reader.duration("element_processing_timeout")?,
    };
    (!timeout.is_zero()).then_some(timeout)
}

fn log_levels(reader: &mut Reader<'_>) -> Option<LogLevels> {
    let default = reader.level("default_sdk_harness_log_level");
    let overrides = reader.overrides("sdk_harness_log_level_overrides");
    if default.is_none() && overrides.is_empty() {
        return None;
    }
    let mut levels = LogLevels::all(default.unwrap_or(LevelFilter::INFO));
    for (target, level) in overrides {
        levels.add(&target, level);
    }
    Some(levels)
}

#[cfg(test)]
mod tests;
