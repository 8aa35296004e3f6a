//! Transforms that need no function of the user's.

use std::collections::BTreeMap;

use beam_proto::pipeline::{
    self as proto, FunctionSpec, PTransform, Trigger, WindowingStrategy, trigger,
};
use beam_proto::urns::transforms::{FLATTEN, IMPULSE, RESHUFFLE};

use super::graph::{Graph, Like};
use super::group::OUTPUT;
use super::site::OutputsAre;
use super::{PCollection, Pipeline};
use crate::dofn::builtin::{Create, Gather, ReadLines, Scatter, UnderUnit, WriteLines};
use crate::element::{Element, Input, Kv, Nesting, Timestamp, Transcoder, encoded, plain};
use crate::error::{Error, Result};
use crate::window::WindowFn;

/// The most bytes of values that one function of a [`Pipeline::create`] holds, so that no transform outgrows what
/// runners accept as one message.
const CREATE_BYTES: usize = 1 << 20;

impl Pipeline {
    /// A collection of one element, the empty bytes, at the beginning of time: where all pipelines begin.
    pub fn impulse(&self, label: &str) -> PCollection<Vec<u8>> {
        let id = self.graph(|graph| {
            let placement = graph.begin(label, IMPULSE);
            let like = Like {
                coder_id: graph.components.coder(&Vec::<u8>::coder()),
                is_bounded: proto::is_bounded::Enum::Bounded as i32,
                windowing_strategy_id: graph.components.windowing(&WindowFn::Global),
            };
            let output = graph.output(&placement, OUTPUT, like);
            let transform = PTransform {
                spec: Some(bare(IMPULSE)),
                outputs: BTreeMap::from([(OUTPUT.into(), output.clone())]),
                ..PTransform::default()
            };
            graph.place(placement, transform);
            output
        });
        self.handle(id)
    }

    /// A collection of these values, which become a part of the pipeline: keep them few.
    ///
    /// They come out in one bundle. [`reshuffle`](PCollection::reshuffle) them if work on each takes long.
    pub fn create<T: Element>(
        &self,
        label: &str,
        values: impl IntoIterator<Item = T>,
    ) -> PCollection<T> {
        let values = values.into_iter().map(|value| plain_form(&value));
        let mut functions = values.collect::<Result<_>>().map_or_else(
            |error| {
                self.fail(error.at("transform", label));
                vec![Create::of(&[])]
            },
            chunks,
        );
        let created = self.scope(label, |_| {
            let impulse = self.impulse("Impulse");
            let outcome: Result<OutputsAre> = self.graph(|graph| {
                Ok(OutputsAre {
                    like: graph.like(&impulse.id)?,
                    raw: Some(graph.components.coder_with(&T::coder(), None)?),
                })
            });
            let outputs_are = outcome.unwrap_or_else(|error| {
                self.fail(error.at("transform", label));
                OutputsAre::default()
            });
            let place = |label: &str, function| {
                impulse.par_do_into(label, &function, (), outputs_are.clone())
            };
            if functions.len() == 1 {
                return place("Values", functions.swap_remove(0));
            }
            let parts = functions.into_iter().enumerate();
            let parts: Vec<_> = parts
                .map(|(i, function)| place(&format!("Values {i}"), function))
                .collect();
            self.flatten("Flatten", parts)
        });
        self.handle(created.id)
    }

    /// As [`create`](Self::create), each value with a timestamp.
    pub fn create_timestamped<T: Element>(
        &self,
        label: &str,
        values: impl IntoIterator<Item = (Timestamp, T)>,
    ) -> PCollection<T> {
        let values = values.into_iter();
        let pairs = values.map(|(timestamp, value)| Kv(timestamp.millis(), value));
        let timed = self.scope(label, |pipeline| {
            let pairs = pipeline.create("Pairs", pairs);
            pairs.place_at_keys("Timestamps")
        });
        self.handle(timed.id)
    }

    /// All elements of several collections of this pipeline. They must be windowed alike.
    pub fn flatten<T: Element>(
        &self,
        label: &str,
        inputs: impl IntoIterator<Item = PCollection<T>>,
    ) -> PCollection<T> {
        let inputs: Vec<_> = inputs.into_iter().collect();
        let Some(first) = inputs.first() else {
            // Not all runners know what to do with a flatten that has no input.
            return self.create(label, []);
        };
        let outcome = self.place_flatten(label, first, &inputs);
        let id = outcome.unwrap_or_else(|error| {
            self.fail(error.at("transform", label));
            String::new()
        });
        self.handle(id)
    }

    fn place_flatten<T>(
        &self,
        label: &str,
        first: &PCollection<T>,
        inputs: &[PCollection<T>],
    ) -> Result<String> {
        if inputs.iter().any(|input| !self.is(&input.pipeline)) {
            return Err(Error::config(
                "the collections to flatten are in different pipelines",
            ));
        }
        self.graph(|graph| {
            let placement = graph.begin(label, FLATTEN);
            let mut like = graph.like(&first.id)?;
            for input in inputs {
                check_alike(graph, &first.id, &input.id)?;
                if graph.like(&input.id)?.is_bounded == proto::is_bounded::Enum::Unbounded as i32 {
                    like.is_bounded = proto::is_bounded::Enum::Unbounded as i32;
                }
            }
            let output = graph.output(&placement, OUTPUT, like);
            let tagged = inputs.iter().enumerate();
            let transform = PTransform {
                spec: Some(bare(FLATTEN)),
                inputs: tagged.map(|(i, c)| (i.to_string(), c.id.clone())).collect(),
                outputs: BTreeMap::from([(OUTPUT.into(), output.clone())]),
                ..PTransform::default()
            };
            graph.place(placement, transform);
            Ok(output)
        })
    }

    /// The lines of a text file that all workers can read.
    pub fn read_lines(&self, label: &str, path: impl Into<String>) -> PCollection<String> {
        self.scope(label, |_| {
            let paths = self.create("Paths", [path.into()]);
            paths.par_do("Read", ReadLines)
        })
    }
}

/// Values in functions of a bounded size; at least one function.
fn chunks(values: Vec<Vec<u8>>) -> Vec<Create> {
    let mut functions = Vec::new();
    let mut rest = values.as_slice();
    loop {
        let mut size = 0;
        let fits = rest.iter().take_while(|value| {
            let first = size == 0;
            // Empty values count, too.
            size += value.len() + 1;
            first || size <= CREATE_BYTES
        });
        let (chunk, after) = rest.split_at(fits.count());
        functions.push(Create::of(chunk));
        rest = after;
        if rest.is_empty() {
            return functions;
        }
    }
}

/// A value as [`Raw`](crate::element::Raw) holds it.
pub(crate) fn plain_form<T: Element>(value: &T) -> Result<Vec<u8>> {
    let coder = T::coder();
    let Some(transcoder) = Transcoder::between(&coder, &plain(&coder))? else {
        return Ok(encoded(value, Nesting::Nested));
    };
    let bytes = encoded(value, Nesting::Outer);
    let (mut input, mut plain) = (Input::new(&bytes), Vec::new());
    transcoder.convert(&mut input, Nesting::Outer, &mut plain, Nesting::Nested)?;
    Ok(plain)
}

/// Refuses to mix collections whose elements or windows have different encodings.
fn check_alike(graph: &Graph, one: &str, other: &str) -> Result<()> {
    let components = &graph.components;
    let coder = |id| {
        let collection = components.collection(id)?;
        components.resolve_coder(&collection.coder_id)
    };
    let (a, b) = (coder(one)?, coder(other)?);
    if a != b {
        return Err(Error::config(format!(
            "collections of {a} and of {b} cannot be flattened into one; convert one of them"
        )));
    }
    let window_fn = |id| Ok(&components.windowing_of_collection(id)?.window_fn);
    let same: Result<bool> = window_fn(one).and_then(|a| Ok(a == window_fn(other)?));
    match same? {
        true => Ok(()),
        false => Err(Error::config(
            "collections with different windows cannot be flattened into one; window them alike first",
        )),
    }
}

impl<T: Element> PCollection<T> {
    /// The same elements, spread anew over the runner's workers: what comes after can run wider than what came before,
    /// and is not repeated when it fails.
    pub fn reshuffle(&self, label: &str) -> PCollection<T> {
        let pipeline = &self.pipeline;
        let gathered = pipeline.native(label, bare(RESHUFFLE), |_| {
            let (back, scattered) = pipeline.graph(|graph| {
                let like = graph.like(&self.id).unwrap_or_default();
                let scattered = OutputsAre {
                    like: Like {
                        windowing_strategy_id: at_once(graph),
                        ..like.clone()
                    },
                    raw: None,
                };
                let raw = Some(like.coder_id.clone());
                (OutputsAre { like, raw }, scattered)
            });
            let pairs = self
                .raw()
                .par_do_into("Scatter", &Scatter::new(), (), scattered);
            let groups = pipeline.handle(pairs.group_by_key("Group").id);
            groups.par_do_into("Gather", &Gather, (), back)
        });
        pipeline.handle(gathered.id)
    }
}

/// The windowing in which each element is a group at once.
fn at_once(graph: &mut Graph) -> String {
    let always = trigger::Trigger::Always(trigger::Always {});
    let strategy = WindowingStrategy {
        trigger: Some(Trigger {
            trigger: Some(always),
        }),
        ..graph.components.strategy(&WindowFn::Global)
    };
    graph.components.windowing_of(strategy)
}

impl PCollection<String> {
    /// Writes all lines into one text file, for results small enough for one worker. Yields the file's path.
    pub fn write_lines(&self, label: &str, path: impl Into<String>) -> PCollection<String> {
        let write = WriteLines { path: path.into() };
        self.pipeline.scope(label, |pipeline| {
            let lines = match self.window_fn() {
                Ok(Some(WindowFn::Global)) => self.clone(),
                // One file is one group.
                _ => self.window_into("Together", WindowFn::Global),
            };
            let pairs = lines.raw().par_do("Pair", UnderUnit);
            let pairs = pipeline.handle::<Kv<(), String>>(pairs.id);
            pairs.group_by_key("Group").par_do("Write", write)
        })
    }
}

/// A spec without a payload.
fn bare(urn: &str) -> FunctionSpec {
    FunctionSpec {
        urn: urn.into(),
        ..FunctionSpec::default()
    }
}
