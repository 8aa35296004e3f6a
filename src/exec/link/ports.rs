//! The ends of the ports of functions.

use std::sync::Arc;

use super::Linker;
use crate::dofn::{OutSlot, SideReader, StatePort, Wiring};
use crate::error::{Error, Result};
use crate::exec::edge::Form;
use crate::exec::registry::Registry;
use crate::exec::side::{SideForm, side_windows, with_framing};
use crate::model::descriptor::{NodeSpec, SideSpec, WindowingSpec};

impl Linker<'_> {
    /// The ends of the outputs of a function, which has these `outputs`.
    pub(super) fn outs<'s>(
        &mut self,
        spec: &'s NodeSpec,
        function: &str,
        outputs: &[(&'static str, Form)],
    ) -> Result<Vec<(&'s str, OutSlot)>> {
        let mut outs = Vec::new();
        for (tag, collection) in &spec.outputs {
            let Some((_, form)) = outputs.iter().find(|(port, _)| port == tag) else {
                let known: Vec<_> = outputs.iter().map(|(port, _)| *port).collect();
                return Err(Error::descriptor(format!(
                    "{function:?} has no output {tag:?}; it has {known:?}: expand the transform again with this version"
                )));
            };
            let link = self.readers_of(*collection, form)?;
            let meter = self.meters[*collection].clone();
            outs.push((
                tag.as_str(),
                OutSlot {
                    link,
                    takes: form.ops.name(),
                    meter,
                },
            ));
        }
        Ok(outs)
    }
}

/// Where side inputs are read.
pub(super) struct SidePlace<'a> {
    pub(super) state: &'a Arc<dyn StatePort>,
    pub(super) registry: &'a Registry,
    /// How the main input is windowed.
    pub(super) windowing: &'a WindowingSpec,
}

impl SidePlace<'_> {
    /// Adds the side inputs of a function that has these `forms`.
    pub(super) fn add(
        &self,
        wiring: &mut Wiring<'_>,
        sides: &[SideSpec],
        forms: &[SideForm],
    ) -> Result<()> {
        for side in sides {
            let reader = SideReader::new(
                self.state.clone(),
                wiring.transform().clone(),
                &side.tag,
                side_windows(&side.window_fn, self.windowing.end_of(), self.registry)?,
            );
            // A side input that no port reads stays unread.
            if let Some(form) = forms.iter().find(|form| form.tag == side.tag) {
                wiring.add_side(&side.tag, with_framing(reader, form, &side.coder)?);
            }
        }
        Ok(())
    }
}
