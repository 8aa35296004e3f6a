//! What a worker knows of itself, gathered for its status page.
//!
//! Runs on the status thread. Whatever it locks is held for moments only, never while user code runs; where that could
//! not be promised, it does not wait but leaves the value out.

use std::sync::Arc;
use std::time::Instant;

use super::bundles::Bundles;
use super::page::{BundleLine, FailureLine, InputLine, Page, StreamLine};
use super::process;
use super::work::{Stage, Work};

/// Writes the page of a worker.
pub(crate) fn page(worker: &str, started: Instant, bundles: &Arc<Bundles>) -> String {
    let now = Instant::now();
    let works = bundles.instructions().works();
    let (failures, failed) = bundles.failures.latest();
    let (starving, expectant) = bundles.budget.waiting();
    let streams = [
        ("data", bundles.data.streams()),
        ("state", bundles.state.streams()),
    ];
    let streams = streams.into_iter().flat_map(|(service, streams)| {
        let named = move |(endpoint, state)| StreamLine {
            name: format!("{service} {endpoint}"),
            state,
        };
        streams.into_iter().map(named)
    });
    let control = StreamLine {
        name: "control".into(),
        state: bundles.answers.state_of_stream(),
    };
    let (descriptors, idle_plans) = bundles.pooled();
    let page = Page {
        worker: worker.into(),
        up: now.saturating_duration_since(started),
        resident: process::resident(),
        limit: process::memory_limit(),
        threads: process::threads(),
        bundles: works.iter().map(|work| line(work, bundles, now)).collect(),
        census: bundles.instructions().census(),
        input: InputLine {
            share: bundles.budget.share(),
            starving,
            expectant,
        },
        state_calls: bundles.state.waiting(),
        cache: bundles.cache.fill(),
        streams: std::iter::once(control).chain(streams).collect(),
        idle_plans,
        descriptors,
        failures: failures
            .into_iter()
            .map(|failed| FailureLine {
                ago: now.saturating_duration_since(failed.at),
                instruction: failed.instruction.to_string(),
                error: failed.error,
            })
            .collect(),
        failed,
    };
    page.to_string()
}

fn line(work: &Work, bundles: &Bundles, now: Instant) -> BundleLine {
    let stay = bundles.lulls().stay(&work.instruction);
    // A bundle that no look has met yet came a moment ago.
    let (place, since) = stay.unwrap_or_else(|| (work.place(), now));
    let (elements, queued) = match &work.stage {
        Stage::Creating(_) => (None, None),
        Stage::Running(running) => {
            let begun = running.metrics.sources.iter().map(|source| source.begun());
            let begun = u64::try_from(begun.sum::<i64>()).ok();
            (begun, running.inbox.queued())
        }
    };
    let node = place.node().and_then(|node| work.node(node));
    let described = work.describe(place);
    BundleLine {
        instruction: work.instruction.to_string(),
        transform: node.map(|node| node.id.clone()),
        place: match described.trim_start() {
            "" => "waits for input".into(),
            described => described.into(),
        },
        held: now.saturating_duration_since(since),
        elements,
        queued,
        thread: work.thread().describe(),
    }
}
