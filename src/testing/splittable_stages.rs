//! The stages of splittable functions in hand-built descriptors.

use beam_proto::pipeline::ParDoPayload;
use prost::Message;

use super::descriptor::Payload;
use super::descriptor_parts::{PortList, function_spec};
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
        let par_do = ports.par_do(&payload(function), sides);
        let par_do = Payload::Function(par_do, Vec::new(), Vec::new());
        let urn = SplittableStage::Process.urn();
        self.place_function(id, urn, par_do, input, sides, ports.outputs)
    }
}

fn payload<F: Named>(function: &F) -> FunctionPayload {
    FunctionPayload::of(function).expect("a configuration that JSON can hold")
}
