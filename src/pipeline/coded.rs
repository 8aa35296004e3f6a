//! Functions whose outputs have a coder that only the pipeline knows.

use super::PCollection;
use super::site::{InPipeline, OutputsAre};
use crate::dofn::{DoFn, Named, Ports};
use crate::element::{Coder, Raw};

impl PCollection<Raw> {
    /// As [`par_do`](Self::par_do), for a function that emits values of `coder`: it is what [`Raw`] stands for in the
    /// function's outputs. Functions over rows of any schema emit rows of another schema like this.
    pub fn par_do_coded<F>(
        &self,
        label: &str,
        function: F,
        coder: &Coder,
    ) -> <F::Io as Ports<F>>::Outputs<InPipeline>
    where
        F: DoFn<In = Raw> + Named,
        F::Io: Ports<F, Sides<InPipeline> = ()>,
    {
        let outputs_are = self.pipeline.graph(|graph| {
            Ok(OutputsAre {
                like: graph.like(&self.id)?,
                raw: Some(graph.components.coder(coder)),
            })
        });
        let outputs_are = outputs_are.unwrap_or_else(|error: crate::Error| {
            self.pipeline.fail(error.at("transform", label));
            OutputsAre::default()
        });
        self.par_do_into(label, &function, (), outputs_are)
    }
}
