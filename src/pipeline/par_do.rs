//! Placing functions.

use beam_proto::pipeline::FunctionSpec;
use bytes::Bytes;

use super::PCollection;
use super::site::{CheckWindows, InPipeline, OutputsAre};
use super::state::KeyedPorts;
use crate::dofn::{DoFn, FUNCTION_URN, FunctionPayload, Named, Ports, Step, Steps};
use crate::element::Element;
use crate::error::{Error, Result};

impl<T: Element> PCollection<T> {
    /// Runs a function over the elements. Yields its outputs: a collection, or a struct of them.
    pub fn par_do<F>(&self, label: &str, function: F) -> <F::Io as Ports<F>>::Outputs<InPipeline>
    where
        F: DoFn<In = T> + Named,
        F::Io: Ports<F, Sides<InPipeline> = ()>,
    {
        self.par_do_with(label, function, ())
    }

    /// Runs a function with side inputs over the elements.
    pub fn par_do_with<F>(
        &self,
        label: &str,
        function: F,
        sides: <F::Io as Ports<F>>::Sides<InPipeline>,
    ) -> <F::Io as Ports<F>>::Outputs<InPipeline>
    where
        F: DoFn<In = T> + Named,
    {
        let site = self.site::<F, F::Io>(label, F::NAME);
        place::<F, F::Io>(site, F::NAME, FunctionPayload::of(&function), sides)
    }

    /// Runs a chain of closures over the elements.
    pub fn steps<S>(&self, label: &str, steps: Steps<T, S>) -> PCollection<S::Out>
    where
        S: Step<T>,
        S::Out: Element,
    {
        let payload = FunctionPayload {
            format: FunctionPayload::FORMAT,
            name: steps.name().into(),
            config: serde_json::Value::Null,
        };
        let name = steps.name();
        let site = self.site::<Steps<T, S>, <Steps<T, S> as DoFn>::Io>(label, name);
        place::<Steps<T, S>, <Steps<T, S> as DoFn>::Io>(site, name, Ok(payload), ())
    }

    /// As [`par_do_with`](Self::par_do_with), with outputs that differ from the input in more than their type.
    pub(super) fn par_do_into<F>(
        &self,
        label: &str,
        function: &F,
        sides: <F::Io as Ports<F>>::Sides<InPipeline>,
        outputs_are: OutputsAre,
    ) -> <F::Io as Ports<F>>::Outputs<InPipeline>
    where
        F: DoFn<In = T> + Named,
    {
        let pipeline = &self.pipeline;
        let placement = pipeline.graph(|graph| graph.begin(label, F::NAME));
        let site = InPipeline::new(pipeline, placement, &self.id, outputs_are);
        place::<F, F::Io>(site, F::NAME, FunctionPayload::of(function), sides)
    }

    /// The site of a function whose outputs are windowed like its input, and have its coder where they are `Raw`.
    pub(super) fn site<F, P: Ports<F>>(&self, label: &str, name: &str) -> InPipeline {
        let pipeline = &self.pipeline;
        let placement = pipeline.graph(|graph| graph.begin(label, name));
        let outcome = self.outputs_like_input().and_then(|outputs_are| {
            self.check_windows::<F, P>()?;
            Ok(outputs_are)
        });
        let outputs_are = outcome.unwrap_or_else(|error| {
            pipeline.fail(error.at("transform", &placement.name));
            OutputsAre::default()
        });
        InPipeline::new(pipeline, placement, &self.id, outputs_are)
    }

    fn outputs_like_input(&self) -> Result<OutputsAre> {
        self.pipeline.graph(|graph| {
            let like = graph.like(&self.id)?;
            let raw = graph.components.raw_part(&like.coder_id, &T::coder())?;
            Ok(OutputsAre { like, raw })
        })
    }

    fn check_windows<F, P: Ports<F>>(&self) -> Result<()> {
        let mut check = CheckWindows {
            coder: self.window_coder()?,
            refused: None,
        };
        P::describe(&mut check);
        match (check.refused, check.coder) {
            (Some(refused), Some(coder)) => Err(Error::config(format!(
                "the function looks at windows of {refused}, but those of its input are {coder}; window the input otherwise"
            ))),
            _ => Ok(()),
        }
    }
}

/// Connects the ports `P` of the function `F`, and places it.
pub(super) fn place<F, P: Ports<F>>(
    mut site: InPipeline,
    name: &str,
    payload: Result<FunctionPayload>,
    sides: P::Sides<InPipeline>,
) -> P::Outputs<InPipeline> {
    let mut keyed = KeyedPorts::default();
    P::describe(&mut keyed);
    site.declare(&keyed);
    P::sides(&mut site, sides);
    let outputs = P::outputs(&mut site);
    let payload = payload.unwrap_or_else(|error| {
        site.fail(error);
        FunctionPayload {
            format: FunctionPayload::FORMAT,
            name: name.into(),
            config: serde_json::Value::Null,
        }
    });
    site.place(&payload);
    outputs
}

/// A function as pipelines say it.
pub(super) fn function_spec(payload: &FunctionPayload) -> FunctionSpec {
    FunctionSpec {
        urn: FUNCTION_URN.into(),
        payload: Bytes::from(payload.to_bytes()),
    }
}
