//! The stages of splittable functions.

use super::{Linker, SidePlace, only};
use crate::dofn::{Wiring, namespace};
use crate::error::{Error, Result};
use crate::exec::edge::Edge;
use crate::exec::splittable::{BeforePlace, HandPlace, ProcessPlace};
use crate::model::descriptor::{NodeKind, NodeSpec, SplittableStage};

impl Linker<'_> {
    /// A link to a stage of a splittable function.
    pub(super) fn splittable(&mut self, node: usize, spec: &NodeSpec) -> Result<Edge> {
        let NodeKind::Splittable {
            stage,
            function: payload,
            sides,
            finalizes,
        } = &spec.kind
        else {
            return Err(Error::descriptor("not a splittable function"));
        };
        let registry = self.registry;
        let maker = registry.splittable(&payload.name)?;
        let form = maker.takes(*stage);
        let here = self.activity.here(node);
        if *stage != SplittableStage::Process {
            let (_, output) = only(&spec.outputs)?;
            let place = BeforePlace {
                here,
                meter: self.meters[output].clone(),
            };
            let link = self.readers(output, &maker.gives(*stage))?;
            let link = (maker.before)(payload, *stage, place, link)?;
            return Ok(Edge { form, link });
        }
        let outs = self.outs(spec, &payload.name, &maker.outputs)?;
        let (_, input) = only(&spec.inputs)?;
        let input = &self.spec.collections[input];
        let Some(wire) = &input.coder else {
            return Err(Error::descriptor(
                "the coder of a collection is missing, but what is left of its elements must be encoded",
            )
            .at("collection", &input.id));
        };
        let functions = &self.services.functions;
        let name = namespace(&payload.name);
        let mut wiring = Wiring::new(&spec.id, name, &mut self.metrics, functions);
        for (tag, slot) in outs {
            wiring.add_out(tag, slot);
        }
        let place = SidePlace {
            state: &functions.state,
            registry,
            windowing: &input.windowing,
        };
        place.add(&mut wiring, sides, &maker.sides)?;
        if *finalizes {
            wiring.add_after_commit();
        }
        let place = ProcessPlace {
            here,
            windows: input.windowing.coding()?,
            hand: HandPlace {
                node,
                wire: wire.clone(),
                clock: functions.clock.clone(),
            },
        };
        let (link, hand) = (maker.process)(payload, &mut wiring, place)?;
        self.hands.push(hand);
        Ok(Edge { form, link })
    }

    /// Which hand has the elements of a source: that of a splittable function, if nothing else reads them.
    pub(super) fn hand_of(&self, source: &NodeSpec) -> Option<usize> {
        let (_, collection) = only(&source.outputs).ok()?;
        let [(reader, _)] = &self.spec.collections[collection].readers[..] else {
            return None;
        };
        self.hands.iter().position(|hand| hand.node() == *reader)
    }
}
