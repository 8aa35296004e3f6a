//! What became of a bundle.

use std::collections::BTreeMap;
use std::time::Duration;

use super::timers::Family;
use super::{Metrics, Root};
use crate::element::coder::urn;
use crate::element::{Coder, Element, Header, Input, Nesting, Timestamp, WindowCoding};
use crate::error::{Error, Result};
use crate::testing::Timed;

/// What became of a bundle: its error, or its output and metrics.
#[derive(Debug, Clone)]
pub struct BundleOutcome {
    /// The instruction id that it ended under.
    pub id: String,
    /// What the worker said went wrong.
    pub error: Option<String>,
    /// The metrics of its answer.
    pub metrics: Metrics,
    /// Where the runner split it: by source, the first element that it did not process.
    pub splits: BTreeMap<String, i64>,
    /// Work of splittable functions that was given back, and that the runner did not see to.
    pub residuals: Vec<Root>,
    /// How many bundles it took: what a bundle gives back is processed in further ones.
    pub bundles: usize,
    /// How long the runner waited with what was given back, by its own clock, which only moves when nothing else is left
    /// to do.
    pub waited: Duration,
    /// Whether the worker has something left to do once the bundle is committed.
    pub requires_finalization: bool,
    /// Whether the output stood in the answer.
    pub is_embedded: bool,
    pub(super) outputs: BTreeMap<String, Vec<u8>>,
    pub(super) timers: BTreeMap<Family, Vec<u8>>,
    /// Coders of the sinks' ports.
    pub(super) coders: BTreeMap<String, Coder>,
    /// Coders of the families of timers.
    pub(super) timer_coders: BTreeMap<Family, Coder>,
}

impl BundleOutcome {
    /// The bytes that a sink has sent.
    pub fn bytes(&self, sink: &str) -> &[u8] {
        self.outputs.get(sink).map_or(&[], Vec::as_slice)
    }

    /// The elements that a sink has sent, with their headers.
    ///
    /// # Panics
    /// The bundle failed, has no such sink, or sent something else.
    #[track_caller]
    pub fn elements<T: Element>(&self, sink: &str) -> Vec<Timed<T>> {
        self.assert_ok();
        let Some(coder) = self.coders.get(sink) else {
            panic!("there is no sink {sink:?}");
        };
        match read_elements(coder, self.bytes(sink)) {
            Ok(elements) => elements,
            Err(error) => panic!("the output of {sink:?} cannot be read: {error}"),
        }
    }

    /// The elements that a sink has sent, without their headers.
    ///
    /// # Panics
    /// As [`BundleOutcome::elements`].
    #[track_caller]
    pub fn values<T: Element>(&self, sink: &str) -> Vec<T> {
        let elements = self.elements(sink);
        elements.into_iter().map(|timed| timed.value).collect()
    }

    /// Checks that the bundle succeeded.
    ///
    /// # Panics
    /// It did not.
    #[track_caller]
    pub fn assert_ok(&self) {
        if let Some(error) = &self.error {
            panic!("bundle {:?} failed: {error}", self.id);
        }
    }

    /// The error of a bundle that failed.
    ///
    /// # Panics
    /// It succeeded.
    #[track_caller]
    pub fn expect_error(&self) -> &str {
        match &self.error {
            Some(error) => error,
            None => panic!("bundle {:?} succeeded", self.id),
        }
    }
}

fn read_elements<T: Element>(coder: &Coder, bytes: &[u8]) -> Result<Vec<Timed<T>>> {
    if !coder.is(urn::WINDOWED_VALUE) {
        return Err(Error::descriptor(format!("{coder} has no headers")));
    }
    let coding = WindowCoding::of(coder.component(1)?)?;
    let mut input = Input::new(bytes);
    let mut elements = Vec::new();
    while !input.is_empty() {
        let mut header = Header::global(Timestamp::MIN);
        header.decode_into(&mut input, &coding)?;
        let value = T::decode(&mut input, Nesting::Nested)?;
        elements.push(Timed { value, header });
    }
    Ok(elements)
}
