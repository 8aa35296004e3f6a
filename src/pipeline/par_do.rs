//! Placing functions.

use beam_proto::pipeline::{FunctionSpec, PTransform, ParDoPayload};
use beam_proto::urns::transforms::PAR_DO;
use bytes::Bytes;
use prost::Message;

use super::PCollection;
use super::site::{CheckWindows, InPipeline};
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
        self.place::<F>(label, F::NAME, FunctionPayload::of(&function), sides)
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
        self.place::<Steps<T, S>>(label, steps.name(), Ok(payload), ())
    }

    fn place<F: DoFn<In = T>>(
        &self,
        label: &str,
        name: &str,
        payload: Result<FunctionPayload>,
        sides: <F::Io as Ports<F>>::Sides<InPipeline>,
    ) -> <F::Io as Ports<F>>::Outputs<InPipeline> {
        let pipeline = &self.pipeline;
        let (placement, like) = pipeline.graph(|graph| {
            let placement = graph.begin(label, name);
            // A handle always has a collection.
            let like = graph.like(&self.id).unwrap_or_default();
            (placement, like)
        });
        let mut site = InPipeline::new(pipeline, placement, &self.id, like);
        F::Io::sides(&mut site, sides);
        let outputs = F::Io::outputs(&mut site);
        if let Err(error) = self.check_windows::<F>() {
            pipeline.fail(error.at("transform", site.name()));
        }
        let payload = payload.unwrap_or_else(|error| {
            pipeline.fail(error.at("transform", site.name()));
            FunctionPayload {
                format: FunctionPayload::FORMAT,
                name: name.into(),
                config: serde_json::Value::Null,
            }
        });
        let payload = ParDoPayload {
            do_fn: Some(function_spec(&payload)),
            side_inputs: std::mem::take(&mut site.side_inputs),
            ..ParDoPayload::default()
        };
        pipeline.graph(|graph| {
            let transform = PTransform {
                spec: Some(FunctionSpec {
                    urn: PAR_DO.into(),
                    payload: Bytes::from(payload.encode_to_vec()),
                }),
                inputs: std::mem::take(&mut site.inputs),
                outputs: std::mem::take(&mut site.outputs),
                environment_id: graph.components.environment_id().into(),
                ..PTransform::default()
            };
            graph.place(site.into_placement(), transform);
        });
        outputs
    }

    fn check_windows<F: DoFn>(&self) -> Result<()> {
        let mut check = CheckWindows {
            coder: self.window_fn()?.map(|window_fn| window_fn.coder()),
            refused: None,
        };
        F::Io::describe(&mut check);
        match (check.refused, check.coder) {
            (Some(refused), Some(coder)) => Err(Error::config(format!(
                "the function looks at windows of {refused}, but those of its input are {coder}; window the input otherwise"
            ))),
            _ => Ok(()),
        }
    }
}

/// A function as pipelines say it.
pub(super) fn function_spec(payload: &FunctionPayload) -> FunctionSpec {
    FunctionSpec {
        urn: FUNCTION_URN.into(),
        payload: Bytes::from(payload.to_bytes()),
    }
}
