//! A linked graph, and one run of it over a bundle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::activity::{Activity, PhaseTimes};
use super::held::HeldOutput;
use super::link::Outbox;
use super::source::{Source, SourceProgress, SourceSplit};
use super::split::DesiredSplit;
use super::splittable::{BundleGate, InHand, Residual, Ticket};
use super::timers::PlanTimers;
use crate::dofn::{Meter, MetricSet};
use crate::error::{Error, ErrorKind, Result, contained};
use crate::model::descriptor::PlanSpec;

/// Where a bundle's input comes from.
pub trait Inbound {
    /// The next stretch of an input, and whether it is the input's last. Blocks until there is one.
    ///
    /// Inputs are the sources, in the order of [`PlanSpec::sources`], and behind them the families of timers, in the
    /// order of [`PlanSpec::timer_families`].
    ///
    /// # Errors
    /// The connection broke, or the bundle was abandoned.
    fn next(&mut self) -> Result<(usize, Bytes, bool)>;
}

/// What a plan counts. Readers on other threads may look at any time.
pub struct PlanMetrics {
    /// The metrics that functions keep.
    pub user: MetricSet,
    /// By collection.
    pub collections: Vec<Meter>,
    /// By node.
    pub times: Vec<PhaseTimes>,
    /// By source, in the order of the plan's source transforms.
    pub sources: Vec<SourceProgress>,
    /// The elements in hand of splittable functions.
    pub hands: Vec<Arc<dyn InHand>>,
    /// By source: which of the hands has its elements, where only one function reads them and is splittable.
    pub hand_of: Vec<Option<usize>>,
    /// Lets splits through while the bundle runs.
    pub gate: BundleGate,
}

impl PlanMetrics {
    fn reset(&self) {
        self.gate.open(|| {
            self.user.reset();
            self.collections.iter().for_each(Meter::reset);
            self.times.iter().for_each(PhaseTimes::reset);
            self.sources.iter().for_each(SourceProgress::reset);
            self.hands.iter().for_each(|hand| hand.reset());
        });
    }

    /// The bundle that runs, for its [gate](BundleGate).
    pub fn ticket(&self) -> Ticket {
        self.gate.ticket()
    }

    /// The bundle has ended: what was asked of it before is answered by then, and what comes later finds nothing to split.
    pub fn close(&self) {
        self.gate.close();
    }

    /// Cuts the input of a source, if there is a place to. Call it within the [gate](BundleGate).
    pub fn split(&self, source: usize, desired: &DesiredSplit) -> Option<SourceSplit> {
        let hand = self.hand_of.get(source).copied().flatten();
        let hand = hand.and_then(|hand| self.hands.get(hand));
        let source = self.sources.get(source)?;
        match hand {
            Some(hand) => source.split_with(desired, &**hand),
            None => source.split(desired).map(SourceSplit::between),
        }
    }

    /// What functions left for later by themselves. Takes it away.
    pub fn take_left(&self) -> Vec<Residual> {
        self.hands
            .iter()
            .flat_map(|hand| hand.take_left())
            .collect()
    }
}

/// Sinks that nothing feeds. Their output must be ended all the same.
pub(super) struct IdleSinks {
    pub(super) sinks: Vec<usize>,
    pub(super) outbox: Arc<dyn Outbox>,
}

impl IdleSinks {
    fn finish(&self) -> Result<()> {
        let mut sinks = self.sinks.iter();
        sinks.try_for_each(|sink| self.outbox.close(*sink, Bytes::new()))
    }
}

/// A linked graph. It runs one bundle at a time, and is dropped when one fails.
pub struct Plan {
    spec: Arc<PlanSpec>,
    sources: Vec<Box<dyn Source>>,
    timers: PlanTimers,
    idle: IdleSinks,
    held: Arc<HeldOutput>,
    activity: Activity,
    metrics: Arc<PlanMetrics>,
}

impl Plan {
    pub(super) fn new(
        spec: Arc<PlanSpec>,
        sources: Vec<Box<dyn Source>>,
        timers: PlanTimers,
        idle: IdleSinks,
        held: HeldOutput,
        activity: Activity,
        metrics: PlanMetrics,
    ) -> Self {
        let metrics = Arc::new(metrics);
        Plan {
            spec,
            sources,
            timers,
            idle,
            held: Arc::new(held),
            activity,
            metrics,
        }
    }

    /// What was linked.
    pub fn spec(&self) -> &Arc<PlanSpec> {
        &self.spec
    }

    /// Where the bundle is.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// What sinks hold back while a bundle runs.
    pub fn held(&self) -> &Arc<HeldOutput> {
        &self.held
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<PlanMetrics> {
        &self.metrics
    }

    /// Forgets what the last bundle counted, and where it was split. Call it before each bundle, and before anyone can
    /// ask about the bundle or split it: splits are kept from here on.
    pub fn reset(&self) {
        self.activity.clear();
        self.metrics.reset();
    }

    /// Runs one bundle, for which the plan must have been [reset](Plan::reset).
    ///
    /// # Errors
    /// Whatever failed, with the transform that it happened in. A panic in user code is an error, too. The plan must
    /// not be used again.
    pub fn run(&mut self, inbound: &mut dyn Inbound) -> Result<()> {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run_unguarded(inbound)));
        let outcome = outcome.unwrap_or_else(|payload| Err(from_panic(payload)));
        outcome.map_err(|error| match self.activity.now() {
            Some((node, _)) => self.spec.nodes[node].blame(error),
            None => error,
        })
    }

    fn run_unguarded(&mut self, inbound: &mut dyn Inbound) -> Result<()> {
        for source in &mut self.sources {
            source.start()?;
        }
        self.timers.start();
        let sources = self.sources.len();
        let mut open = vec![true; sources + self.timers.count()];
        let mut left = open.len();
        while left > 0 {
            let (input, chunk, last) = inbound.next()?;
            let Some(is_open) = open.get_mut(input) else {
                continue;
            };
            if !*is_open {
                return Err(Error::transport("the runner sent input after its end")
                    .at("transform", self.input(input)));
            }
            if last {
                *is_open = false;
                left -= 1;
            }
            if chunk.is_empty() {
                continue;
            }
            match input.checked_sub(sources) {
                None => self.sources[input].feed(chunk)?,
                Some(family) => self.timers.feed(family, chunk)?,
            }
        }
        for source in &mut self.sources {
            source.finish()?;
        }
        self.timers.finish()?;
        self.idle.finish()
    }

    /// The id of the node that an input belongs to.
    fn input(&self, input: usize) -> &str {
        let sources = self.spec.sources().map(|(_, node, _)| node);
        let families = self.spec.timer_families().map(|(_, node, _)| node);
        let node = sources.chain(families).nth(input);
        node.map_or("", |node| node.id.as_str())
    }
}

/// The error of a panic. Encoding unwinds with an [`Error`] of its own.
pub(crate) fn from_panic(payload: Box<dyn std::any::Any + Send>) -> Error {
    let payload = match payload.downcast::<Error>() {
        Ok(error) => return *error,
        Err(payload) => payload,
    };
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text".to_owned());
    // Dropping what was thrown may throw again.
    contained(move || drop(payload));
    Error::new(ErrorKind::Panic, format!("panic: {text}"))
}
