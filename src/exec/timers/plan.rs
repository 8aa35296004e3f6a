//! The timers of all functions of a plan.

use std::collections::HashMap;

use bytes::Bytes;

use super::TimerStreams;
use crate::error::{Error, Result};
use crate::model::descriptor::PlanSpec;

/// The timers of all functions of a plan, by family, in the order of [`PlanSpec::timer_families`].
#[derive(Default)]
pub(crate) struct PlanTimers {
    streams: Vec<TimerStreams>,
    /// By family: the index of its streams, and its index there.
    families: Vec<(usize, usize)>,
}

impl PlanTimers {
    /// The timers of the functions that were linked, by node.
    ///
    /// # Errors
    /// A function with timers that no source reaches, so that it was not linked.
    pub(crate) fn new(spec: &PlanSpec, mut by_node: HashMap<usize, TimerStreams>) -> Result<Self> {
        let mut timers = PlanTimers::default();
        let mut last = None;
        for (node, transform, _) in spec.timer_families() {
            if last != Some(node) {
                let streams = by_node.remove(&node).ok_or_else(|| {
                    let error = "the function has timers, but no source of its stage reaches it";
                    Error::descriptor(error).at("transform", &transform.id)
                })?;
                timers.streams.push(streams);
            }
            let index = match timers.families.last() {
                Some((_, index)) if last == Some(node) => index + 1,
                _ => 0,
            };
            timers.families.push((timers.streams.len() - 1, index));
            last = Some(node);
        }
        Ok(timers)
    }

    /// How many families there are.
    pub(crate) fn count(&self) -> usize {
        self.families.len()
    }

    /// Begins a bundle.
    pub(crate) fn start(&mut self) {
        self.streams.iter_mut().for_each(TimerStreams::start);
    }

    /// Takes a stretch of a family's timers that have fired.
    pub(crate) fn feed(&mut self, family: usize, chunk: Bytes) -> Result<()> {
        let (streams, family) = self.families[family];
        self.streams[streams].feed(family, chunk)
    }

    /// Ends a bundle, when its functions have finished.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.streams.iter_mut().try_for_each(TimerStreams::finish)
    }
}

/// The number of families before those of a node.
pub(crate) fn first_family(spec: &PlanSpec, node: usize) -> usize {
    spec.timer_families()
        .take_while(|(other, ..)| *other != node)
        .count()
}
