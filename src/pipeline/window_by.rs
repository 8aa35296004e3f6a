//! Windows of a user's own function.

use beam_proto::pipeline::{
    FunctionSpec, PTransform, WindowIntoPayload, WindowingStrategy, merge_status,
};
use beam_proto::urns::transforms::ASSIGN_WINDOWS;
use bytes::Bytes;
use prost::Message;

use super::PCollection;
use super::graph::Like;
use super::par_do::function_spec;
use super::site::INPUT;
use crate::dofn::{FunctionPayload, Named, WindowFunction};
use crate::element::Element;
use crate::error::Result;
use crate::window::WindowFn;

/// The tag of the collection in new windows.
const OUTPUT: &str = "output";

impl<T: Element> PCollection<T> {
    /// The same elements in the windows of a function of your own.
    ///
    /// Each window fires once, when the watermark passes its end. Not every runner knows windows that it cannot read, or
    /// asks the worker to merge them.
    pub fn window_by<W>(&self, label: &str, function: W) -> PCollection<T>
    where
        W: WindowFunction<In = T> + Named,
    {
        let outcome =
            FunctionPayload::of(&function).and_then(|f| self.place_windows::<W>(label, &f));
        let id = outcome.unwrap_or_else(|error| {
            self.pipeline.fail(error.at("transform", label));
            String::new()
        });
        self.pipeline.handle(id)
    }

    fn place_windows<W: WindowFunction>(
        &self,
        label: &str,
        function: &FunctionPayload,
    ) -> Result<String> {
        let function = function_spec(function);
        self.pipeline.graph(|graph| {
            let placement = graph.begin(label, ASSIGN_WINDOWS);
            let like = graph.like(&self.id)?;
            let components = &mut graph.components;
            let window_coder_id = components.coder(&W::Window::coder());
            let standard = components.windowing(&WindowFn::Global);
            let default = components.components().windowing_strategies[&standard].clone();
            let merges = if W::MERGES {
                merge_status::Enum::NeedsMerge
            } else {
                merge_status::Enum::NonMerging
            };
            let windowing_strategy_id = components.windowing_of(WindowingStrategy {
                window_fn: Some(function.clone()),
                merge_status: merges.into(),
                window_coder_id,
                assigns_to_one_window: false,
                ..default
            });
            let like = Like {
                windowing_strategy_id,
                ..like
            };
            let output = graph.output(&placement, OUTPUT, like);
            let payload = WindowIntoPayload {
                window_fn: Some(function),
            };
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
        })
    }
}
