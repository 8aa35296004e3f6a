//! The input of a bundle as its plan takes it.

use bytes::Bytes;

use super::inbox::Inbox;
use crate::error::{Error, Result};
use crate::exec::Inbound;
use crate::model::descriptor::PlanSpec;

/// The input of a bundle, with sources by index, and families of timers behind them.
pub(super) struct Input<'a> {
    pub(super) inbox: &'a Inbox,
    pub(super) spec: &'a PlanSpec,
}

impl Inbound for Input<'_> {
    fn next(&mut self) -> Result<(usize, Bytes, bool)> {
        let stretch = self.inbox.pop()?;
        let mut sources = self.spec.sources();
        let input = match &stretch.family {
            None => sources.position(|(_, node, _)| node.id == stretch.transform),
            Some(family) => {
                let mut families = self.spec.timer_families();
                let family = families.position(|(_, node, timer)| {
                    node.id == stretch.transform && timer.family == *family
                });
                family.map(|family| sources.count() + family)
            }
        };
        match (input, stretch.family) {
            (Some(input), _) => Ok((input, stretch.data, stretch.last)),
            (None, None) => Err(Error::transport(
                "the runner sent input for a transform that is not a source of the bundle",
            )
            .at("transform", stretch.transform)),
            (None, Some(family)) => Err(Error::transport(
                "the runner sent timers of a family that no function of the bundle has",
            )
            .at("transform", stretch.transform)
            .at("timer", family)),
        }
    }
}
