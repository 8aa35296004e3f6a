//! The stages of splittable functions in hand-built descriptors.

use std::collections::BTreeMap;

use beam_proto::pipeline::ParDoPayload;
use prost::Message;

use super::descriptor_parts::{PortList, function_spec, side_input};
use super::{Collection, Descriptor, Outputs, Windowing};
use crate::dofn::{FunctionPayload, Named, Ports, Restriction, Splittable, WatermarkState};
use crate::element::{Coder, Element};
use crate::model::descriptor::SplittableStage;

/// The coder of elements of `coder` with work of `F` on them.
fn paired<F: Splittable>(coder: &Coder) -> Coder {
    let begun = Coder::kv(Restriction::<F>::coder(), WatermarkState::<F>::coder());
    Coder::kv(coder.clone(), begun)
}

impl Descriptor {
    /// Adds the stage that pairs elements with all the work on them.
    ///
    /// # Panics
    /// The function's configuration cannot be written as JSON.
    pub fn pair_with_restriction<F: Splittable + Named>(
        &mut self,
        id: &str,
        function: &F,
        input: &Collection,
    ) -> Collection {
        let stage = SplittableStage::PairWithRestriction;
        self.before(id, stage, function, input, paired::<F>(&input.coder))
    }

    /// Adds the stage that splits work, and says how much the parts are.
    ///
    /// # Panics
    /// As [`Descriptor::pair_with_restriction`].
    pub fn split_and_size<F: Splittable + Named>(
        &mut self,
        id: &str,
        function: &F,
        input: &Collection,
    ) -> Collection {
        let parts = Coder::kv(input.coder.clone(), f64::coder());
        self.before(id, SplittableStage::SplitAndSize, function, input, parts)
    }

    /// Adds the stage that leaves of work what is to be done when the pipeline is drained.
    ///
    /// # Panics
    /// As [`Descriptor::pair_with_restriction`].
    pub fn truncate<F: Splittable + Named>(
        &mut self,
        id: &str,
        function: &F,
        input: &Collection,
    ) -> Collection {
        let parts = input.coder.clone();
        self.before(id, SplittableStage::Truncate, function, input, parts)
    }

    fn before<F: Splittable + Named>(
        &mut self,
        id: &str,
        stage: SplittableStage,
        function: &F,
        input: &Collection,
        coder: Coder,
    ) -> Collection {
        let output = self.collection(format!("{id}.out"), coder, input.windowing);
        let payload = ParDoPayload {
            do_fn: Some(function_spec(&payload(function))),
            ..ParDoPayload::default()
        };
        let payload = payload.encode_to_vec();
        self.transform(
            id,
            stage.urn(),
            payload,
            &[("in", input)],
            &[("out", &output)],
        );
        output
    }

    /// Adds a source of elements of `coder` with work of `F` on them.
    pub fn source_of_work<F: Splittable>(
        &mut self,
        id: &str,
        coder: &Coder,
        windowing: impl Into<Windowing>,
    ) -> Collection {
        let parts = Coder::kv(paired::<F>(coder), f64::coder());
        self.source_in(id, parts, windowing)
    }

    /// Adds the stage that processes, with side inputs by name.
    ///
    /// # Panics
    /// As [`Descriptor::pair_with_restriction`], or a side input that the function does not have.
    pub fn process<F: Splittable + Named>(
        &mut self,
        id: &str,
        function: &F,
        input: &Collection,
        sides: &[(&str, &Collection)],
    ) -> Outputs {
        let mut ports = PortList::default();
        F::Io::describe(&mut ports);
        let outputs: BTreeMap<String, Collection> = ports
            .outputs
            .into_iter()
            .map(|(tag, coder)| {
                let name = format!("{id}.{tag}");
                (tag, self.collection(name, coder, input.windowing))
            })
            .collect();
        let side_inputs = sides.iter().map(|(tag, collection)| {
            let side = side_input(ports.sides[*tag], &collection.windowing);
            ((*tag).to_owned(), side)
        });
        let par_do = ParDoPayload {
            do_fn: Some(function_spec(&payload(function))),
            side_inputs: side_inputs.collect(),
            requests_finalization: ports.finalizes,
            ..ParDoPayload::default()
        };
        let inputs: Vec<_> = [("in", input)]
            .into_iter()
            .chain(sides.iter().copied())
            .collect();
        let named: Vec<_> = outputs
            .iter()
            .map(|(tag, output)| (tag.as_str(), output))
            .collect();
        let urn = SplittableStage::Process.urn();
        self.transform(id, urn, par_do.encode_to_vec(), &inputs, &named);
        Outputs(outputs)
    }
}

fn payload<F: Named>(function: &F) -> FunctionPayload {
    FunctionPayload::of(function).expect("a configuration that JSON can hold")
}
