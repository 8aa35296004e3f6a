//! Placing splittable functions.

use std::ops::Range;

use super::par_do::place;
use super::site::InPipeline;
use super::{PCollection, Pipeline};
use crate::dofn::builtin::{ReadText, Sequence};
use crate::dofn::{
    FunctionPayload, Named, Ports, Restriction, Splittable, WatermarkState, refuse_keyed_splittable,
};
use crate::element::{Element, Kv};

impl<T: Element> PCollection<T> {
    /// Runs a splittable function over the elements. Yields its outputs: a collection, or a struct of them.
    ///
    /// The pipeline says one transform; the runner makes of it the stages that pair, split and process. Runners differ in
    /// what they do: all split before processing, not all resume what is left for later.
    ///
    /// ```
    /// use ferrobeam::pipeline::{EnvironmentSpec, Pipeline};
    /// use ferrobeam::prelude::*;
    ///
    /// /// All numbers within the ranges that come in, in parts of a thousand.
    /// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
    /// #[beam(name = "math.Numbers/v1")]
    /// struct Numbers;
    ///
    /// impl Splittable for Numbers {
    ///     type In = Kv<i64, i64>;
    ///     type Tracker = OffsetTracker;
    ///     type Watermark = Held;
    ///     type Io = Out<i64>;
    ///
    ///     fn initial(&self, Kv(start, end): &Self::In) -> Result<OffsetRange> {
    ///         Ok(OffsetRange::new(*start, *end))
    ///     }
    ///
    ///     fn split(&self, _: &Self::In, all: OffsetRange) -> Result<Vec<OffsetRange>> {
    ///         Ok(all.in_parts_of(1000))
    ///     }
    ///
    ///     fn process(
    ///         &mut self,
    ///         _: &Self::In,
    ///         claims: &Claims<Self>,
    ///         cx: &mut Cx,
    ///         out: &mut Out<i64>,
    ///     ) -> Result<Resume> {
    ///         let mut next = claims.restriction().start;
    ///         while claims.claim(next) {
    ///             out.emit(cx, next);
    ///             next += 1;
    ///         }
    ///         Ok(Resume::Done)
    ///     }
    /// }
    ///
    /// let pipeline = Pipeline::new();
    /// let ranges = pipeline.create("Ranges", [Kv(0, 10_000), Kv(70_000, 80_000)]);
    /// let numbers = ranges.par_do_splittable("Numbers", Numbers);
    /// # let _ = numbers;
    /// let built = pipeline.build(&EnvironmentSpec::external("localhost:50000").to_proto())?;
    /// assert!(built.requirements.contains("beam:requirement:pardo:splittable_dofn:v1"));
    /// # Ok::<(), ferrobeam::Error>(())
    /// ```
    pub fn par_do_splittable<F>(
        &self,
        label: &str,
        function: F,
    ) -> <F::Io as Ports<F>>::Outputs<InPipeline>
    where
        F: Splittable<In = T> + Named,
        F::Io: Ports<F, Sides<InPipeline> = ()>,
    {
        self.par_do_splittable_with(label, function, ())
    }

    /// Runs a splittable function with side inputs over the elements.
    pub fn par_do_splittable_with<F>(
        &self,
        label: &str,
        function: F,
        sides: <F::Io as Ports<F>>::Sides<InPipeline>,
    ) -> <F::Io as Ports<F>>::Outputs<InPipeline>
    where
        F: Splittable<In = T> + Named,
    {
        const { refuse_keyed_splittable::<F>() }
        let mut site = self.site::<F, F::Io>(label, F::NAME);
        site.splits(&Kv::<Restriction<F>, WatermarkState<F>>::coder());
        if !F::IS_BOUNDED {
            site.unbound();
        }
        place::<F, F::Io>(site, F::NAME, FunctionPayload::of(&function), sides)
    }
}

impl Pipeline {
    /// The lines of a text file that all workers can read, by ranges of bytes: many workers may read one file, and runners
    /// may split what is left of a range that takes long.
    ///
    /// It needs a runner that knows splittable functions; [`read_lines`](Self::read_lines) does not.
    pub fn read_text(&self, label: &str, path: impl Into<String>) -> PCollection<String> {
        self.scope(label, |_| {
            let paths = self.create("Paths", [path.into()]);
            paths.par_do_splittable("Read", ReadText::default())
        })
    }

    /// The numbers of a range, in parts that many workers may emit. A range up to [`i64::MAX`] fails: it has no end.
    pub fn sequence(&self, label: &str, numbers: Range<i64>) -> PCollection<i64> {
        let Range { start, end } = numbers;
        self.scope(label, |_| {
            let impulse = self.impulse("Impulse");
            impulse.par_do_splittable("Emit", Sequence { start, end })
        })
    }
}

impl PCollection<String> {
    /// The lines of the text files whose paths are here, as [`Pipeline::read_text`] reads one.
    pub fn read_text(&self, label: &str) -> PCollection<String> {
        self.par_do_splittable(label, ReadText::default())
    }
}
