//! Calls of outside services, counted for the whole process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{BucketOptions, HistogramCell, HistogramData};

/// The most combinations of labels that are told apart; the rest is not counted.
const MAX_KINDS: usize = 10_000;

/// Milliseconds between the powers of the root of 2, up to some minutes.
const LATENCIES: BucketOptions = BucketOptions::Exponential {
    scale: 1,
    count: 40,
};

/// One call of an outside service, as libraries report it. Runners see counts by status and latencies, cumulative since
/// the process began: `beam:metric:io:api_request_count:v1` and `beam:metric:io:api_request_latencies:v1`.
///
/// ```
/// use std::time::Duration;
/// use ferrobeam::dofn::ApiCall;
///
/// ApiCall {
///     service: "Shop",
///     method: "orders.list",
///     resource: "//shop.example.com/orders",
///     transform: "ReadOrders",
///     status: "ok",
///     labels: &[],
/// }
/// .record(Duration::from_millis(12));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ApiCall<'a> {
    /// The service.
    pub service: &'a str,
    /// The method that was called.
    pub method: &'a str,
    /// What it was called for.
    pub resource: &'a str,
    /// The transform that called, or the library's name for it.
    pub transform: &'a str,
    /// How it ended, such as `ok` or `not_found`.
    pub status: &'a str,
    /// More labels, by names that runners know.
    pub labels: &'a [(&'a str, &'a str)],
}

/// Labels and their values.
type Labels = BTreeMap<String, String>;

/// What was recorded so far.
#[derive(Default)]
struct Calls {
    counts: BTreeMap<Labels, i64>,
    latencies: BTreeMap<Labels, HistogramCell>,
    is_full: bool,
}

static CALLS: Mutex<Calls> = Mutex::new(Calls {
    counts: BTreeMap::new(),
    latencies: BTreeMap::new(),
    is_full: false,
});

fn calls() -> MutexGuard<'static, Calls> {
    CALLS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ApiCall<'_> {
    /// Counts the call, which took so long.
    pub fn record(&self, latency: Duration) {
        let named = [
            ("SERVICE", self.service),
            ("METHOD", self.method),
            ("RESOURCE", self.resource),
            ("PTRANSFORM", self.transform),
        ];
        let all = named.iter().chain(self.labels);
        let all = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let by_call: Labels = all.collect();
        let mut by_status = by_call.clone();
        by_status.insert("STATUS".into(), self.status.into());
        let mut calls = calls();
        if calls.counts.len() >= MAX_KINDS && !calls.counts.contains_key(&by_status) {
            if !std::mem::replace(&mut calls.is_full, true) {
                drop(calls);
                tracing::warn!("there are {MAX_KINDS} kinds of calls; more are not counted");
            }
            return;
        }
        *calls.counts.entry(by_status).or_default() += 1;
        let latencies = calls.latencies.entry(by_call);
        let histogram = latencies.or_insert_with(|| HistogramCell::new(LATENCIES));
        histogram.add(latency.as_secs_f64() * 1e3);
    }
}

/// What was recorded since the process began.
#[derive(Debug, Clone, Default)]
pub struct ApiCounts {
    /// Calls by labels, with the status.
    pub counts: Vec<(BTreeMap<String, String>, i64)>,
    /// Latencies in milliseconds by labels, without the status.
    pub latencies: Vec<(BTreeMap<String, String>, HistogramData)>,
}

impl ApiCounts {
    /// What was recorded so far.
    pub fn so_far() -> Self {
        let calls = calls();
        let counts = calls.counts.iter();
        let latencies = calls.latencies.iter();
        let latencies = latencies.filter_map(|(labels, cell)| Some((labels.clone(), cell.get()?)));
        ApiCounts {
            counts: counts.map(|(labels, n)| (labels.clone(), *n)).collect(),
            latencies: latencies.collect(),
        }
    }
}
