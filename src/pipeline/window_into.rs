//! Placing window functions.

use beam_proto::pipeline::{
    FunctionSpec, PTransform, WindowIntoPayload, WindowingStrategy, merge_status,
};
use beam_proto::urns::transforms::ASSIGN_WINDOWS;
use bytes::Bytes;
use prost::Message;

use super::components::ComponentsBuilder;
use super::graph::Like;
use super::group::OUTPUT;
use super::par_do::function_spec;
use super::site::INPUT;
use super::{PCollection, Windowing};
use crate::dofn::{FunctionPayload, Named, WindowFunction};
use crate::element::Element;
use crate::error::Result;
use crate::window::WindowFn;

impl<T: Element> PCollection<T> {
    /// The same elements in windows that a function assigns by their timestamps. What is grouped later fires as
    /// `windowing` says.
    pub fn window_into(&self, label: &str, windowing: impl Into<Windowing>) -> PCollection<T> {
        let windowing = windowing.into().checked();
        self.windowed(label, |components| Ok(windowing?.strategy(components)))
    }

    /// The same elements in the windows of a function of your own.
    ///
    /// Each window fires once, when the watermark passes its end. Not every runner knows windows that it cannot read, or
    /// asks the worker to merge them.
    pub fn window_by<W>(&self, label: &str, function: W) -> PCollection<T>
    where
        W: WindowFunction<In = T> + Named,
    {
        let payload = FunctionPayload::of(&function);
        let merges = if W::MERGES {
            merge_status::Enum::NeedsMerge
        } else {
            merge_status::Enum::NonMerging
        };
        self.windowed(label, |components| {
            Ok(WindowingStrategy {
                window_fn: Some(function_spec(&payload?)),
                merge_status: merges.into(),
                window_coder_id: components.coder(&W::Window::coder()),
                assigns_to_one_window: false,
                ..components.strategy(&WindowFn::Global)
            })
        })
    }

    /// The same elements in the windows of a strategy. Runners do not assign windows themselves: the worker does.
    fn windowed(
        &self,
        label: &str,
        strategy: impl FnOnce(&mut ComponentsBuilder) -> Result<WindowingStrategy>,
    ) -> PCollection<T> {
        let outcome = self.pipeline.graph(|graph| {
            let placement = graph.begin(label, ASSIGN_WINDOWS);
            let like = graph.like(&self.id)?;
            let strategy = strategy(&mut graph.components)?;
            let payload = WindowIntoPayload {
                window_fn: strategy.window_fn.clone(),
            };
            let like = Like {
                windowing_strategy_id: graph.components.windowing_of(strategy),
                ..like
            };
            let output = graph.output(&placement, OUTPUT, like);
            let transform = PTransform {
                spec: Some(FunctionSpec {
                    urn: ASSIGN_WINDOWS.into(),
                    payload: Bytes::from(payload.encode_to_vec()),
                }),
                inputs: [(INPUT.into(), self.id.clone())].into(),
                outputs: [(OUTPUT.into(), output.clone())].into(),
                environment_id: graph.components.environment_id().into(),
                ..PTransform::default()
            };
            graph.place(placement, transform);
            Ok(output)
        });
        let id = outcome.unwrap_or_else(|error: crate::Error| {
            self.pipeline.fail(error.at("transform", label));
            String::new()
        });
        self.pipeline.handle(id)
    }
}
