//! The beginning of a fused graph: the runner's bytes become elements.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::activity::{Here, Phase};
use super::flow::{Flow, FlowLink};
use super::split::{ChannelSplit, DesiredSplit, fraction_within, stop_index};
use super::splittable::{AtElement, InHand, Root};
use crate::dofn::{Meter, Sampler, Work};
use crate::element::{Coder, Header, Input, Pages, Timestamp, WindowCoding};
use crate::error::{Error, ErrorKind, Result};

/// What a source reads.
pub(crate) struct SourceSpec {
    pub(crate) here: Here,
    /// Coder of the values on the wire.
    pub(crate) value: Coder,
    /// How headers stand on the wire, or the one header that all elements have.
    pub(crate) headers: Headers,
    /// Counts the collection.
    pub(crate) meter: Meter,
    pub(crate) progress: SourceProgress,
    pub(crate) pages: Arc<dyn Pages>,
}

/// The headers of a source's elements.
pub(crate) enum Headers {
    /// Before each value.
    Encoded(WindowCoding),
    /// The same for all values; nothing on the wire.
    Constant(Header),
}

/// The beginning of a fused graph.
pub(crate) trait Source: Send {
    /// Begins a bundle.
    fn start(&mut self) -> Result<()>;
    /// Takes a stretch of encoded elements. An element may go on in the next stretch.
    fn feed(&mut self, chunk: Bytes) -> Result<()>;
    /// Ends a bundle.
    fn finish(&mut self) -> Result<()>;
}

/// How far a source is, and where it stops: one word, so that a split and the next element cannot miss each other.
///
/// The upper half counts the elements that were begun, the lower half is the index of the first that must not be. A
/// bundle of more than 2³² − 2 elements is not split beyond that.
#[derive(Clone)]
pub struct SourceProgress(Arc<AtomicU64>);

const NO_STOP: u32 = u32::MAX;

impl Default for SourceProgress {
    fn default() -> Self {
        SourceProgress(Arc::new(AtomicU64::new(u64::from(NO_STOP))))
    }
}

impl SourceProgress {
    /// Forgets elements and splits: a new bundle begins, and may be split from now on.
    pub(super) fn reset(&self) {
        self.0.store(u64::from(NO_STOP), Ordering::SeqCst);
    }

    /// Begins the next element; whether it is this bundle's.
    #[inline]
    fn begin(&self) -> bool {
        let before = self.0.fetch_add(1 << 32, Ordering::SeqCst);
        ((before >> 32) as u32) < before as u32
    }

    /// How many elements were begun, and where to stop.
    fn unpack(word: u64) -> (i64, i64) {
        let stop = if word as u32 == NO_STOP {
            i64::MAX
        } else {
            i64::from(word as u32)
        };
        // Asking for the element at `stop` counts it as well, though it is not begun.
        (((word >> 32) as i64).min(stop), stop)
    }

    /// The index of the element in hand; −1 before the first.
    pub fn index(&self) -> i64 {
        self.begun() - 1
    }

    /// How many elements are done, the one in hand not, and how many are left. `None` before a split has said where the
    /// bundle stops: before, only the runner knows.
    pub fn work(&self) -> Option<Work> {
        let (begun, stop) = Self::unpack(self.0.load(Ordering::SeqCst));
        let completed = (begun - 1).max(0);
        (stop != i64::MAX).then(|| Work {
            completed: completed as f64,
            remaining: (stop - completed) as f64,
        })
    }

    /// How many elements were begun.
    pub fn begun(&self) -> i64 {
        Self::unpack(self.0.load(Ordering::SeqCst)).0
    }

    /// Cuts the input, if there is a place to: within the element in hand, if that can be cut, or between elements.
    pub(super) fn split_with(
        &self,
        desired: &DesiredSplit,
        hand: &dyn InHand,
    ) -> Option<SourceSplit> {
        let (begun, stop) = Self::unpack(self.0.load(Ordering::SeqCst));
        let index = begun - 1;
        let decide = |done| fraction_within(index, stop, done, desired);
        // The element stays in hand meanwhile, so `begun` stays as it is.
        let commit = || self.stop_before(index + 1);
        let number = u64::try_from(index).unwrap_or(u64::MAX);
        let done = match hand.cut(number, &decide, &commit) {
            AtElement::Cut {
                primaries,
                residuals,
            } => {
                return Some(SourceSplit {
                    channel: ChannelSplit {
                        last_primary: index - 1,
                        first_residual: index + 1,
                    },
                    primaries,
                    residuals,
                });
            }
            AtElement::Whole(done) => Some(done),
            AtElement::Elsewhere => None,
        };
        self.split_at(desired, index, done)
            .map(SourceSplit::between)
    }

    /// Stops before element `index`, if the bundle does not stop earlier.
    fn stop_before(&self, index: i64) {
        let stop = u32::try_from(index).unwrap_or(NO_STOP);
        let _ = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| {
                Some(word >> 32 << 32 | u64::from(stop.min(word as u32)))
            });
    }

    /// Cuts the input between elements, if there is a place to.
    pub fn split(&self, desired: &DesiredSplit) -> Option<ChannelSplit> {
        self.split_at(desired, -1, None)
    }

    /// As [`split`](Self::split); so much of element `index` is done. Of an element of which nobody knows, half counts as
    /// done.
    fn split_at(
        &self,
        desired: &DesiredSplit,
        index: i64,
        done: Option<f64>,
    ) -> Option<ChannelSplit> {
        loop {
            let word = self.0.load(Ordering::SeqCst);
            let (begun, stop) = Self::unpack(word);
            let done = done.filter(|_| begun - 1 == index).unwrap_or(0.5);
            let cut = stop_index(begun - 1, stop, done, desired)?;
            let low = u32::try_from(cut).ok().filter(|cut| *cut != NO_STOP)?;
            let new = word >> 32 << 32 | u64::from(low);
            if self
                .0
                .compare_exchange(word, new, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
            {
                return Some(ChannelSplit {
                    last_primary: cut - 1,
                    first_residual: cut,
                });
            }
        }
    }
}

/// A source that was cut.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSplit {
    /// Where. An element between the two ends was cut itself.
    pub channel: ChannelSplit,
    /// What the bundle keeps of that element.
    pub primaries: Vec<Root>,
    /// What it does not.
    pub residuals: Vec<Root>,
}

impl SourceSplit {
    /// A cut between two elements.
    pub(super) fn between(channel: ChannelSplit) -> Self {
        SourceSplit {
            channel,
            primaries: Vec::new(),
            residuals: Vec::new(),
        }
    }
}

/// Decodes elements of `F`.
pub(crate) struct SourceNode<F: Flow> {
    link: FlowLink<F>,
    reader: F::Reader,
    spec: SourceSpec,
    header: Header,
    sampler: Sampler,
    /// The start of an element whose end is in the next chunk.
    partial: Vec<u8>,
    /// Elements begun beyond what [`SourceProgress`] can count.
    uncounted: bool,
    begun: u32,
    stopped: bool,
}

impl<F: Flow> SourceNode<F> {
    pub(crate) fn new(spec: SourceSpec, link: FlowLink<F>) -> Result<Self> {
        let header = match &spec.headers {
            Headers::Encoded(_) => Header::global(Timestamp::MIN),
            Headers::Constant(header) => header.clone(),
        };
        Ok(SourceNode {
            link,
            reader: F::reader(&spec.value)?,
            spec,
            header,
            sampler: Sampler::default(),
            partial: Vec::new(),
            uncounted: false,
            begun: 0,
            stopped: false,
        })
    }

    /// Consumes the whole elements of `chunk`; yields how many bytes they are.
    fn consume(&mut self, chunk: &Bytes) -> Result<usize> {
        let mut input = Input::of_chunk(chunk).with_pages(&self.spec.pages);
        while !input.is_empty() {
            let start = input.remaining();
            if let Headers::Encoded(coding) = &self.spec.headers
                && let Err(error) = self.header.decode_into(&mut input, coding)
            {
                return incomplete(error, chunk.len() - start);
            }
            let before_value = input.remaining();
            let item = match F::read(&mut self.reader, &mut input) {
                Ok(item) => item,
                Err(error) => return incomplete(error, chunk.len() - start),
            };
            let size = start - input.remaining();
            // The reader borrows for the item; the fields below are disjoint from it.
            if !self.uncounted {
                self.begun += 1;
                self.uncounted = self.begun >= NO_STOP - 1;
                if !self.spec.progress.begin() {
                    self.stopped = true;
                    return Ok(chunk.len());
                }
            }
            self.sampler.count_sized(&self.spec.meter, size);
            self.link.consume(&self.header, item)?;
            if size == 0 && before_value > 0 {
                // The JVM's runners write one zero byte for an element of none.
                input.take(1)?;
            }
        }
        Ok(chunk.len())
    }
}

/// An element that goes on in the next chunk is not an error yet.
#[cold]
fn incomplete(error: Error, whole: usize) -> Result<usize> {
    if error.kind() == ErrorKind::Truncated {
        Ok(whole)
    } else {
        Err(error)
    }
}

impl<F: Flow> Source for SourceNode<F> {
    fn start(&mut self) -> Result<()> {
        self.sampler.reset();
        self.partial.clear();
        (self.uncounted, self.begun, self.stopped) = (false, 0, false);
        self.link.start()
    }

    fn feed(&mut self, chunk: Bytes) -> Result<()> {
        if self.stopped {
            return Ok(());
        }
        let chunk = if self.partial.is_empty() {
            chunk
        } else {
            let mut joined = std::mem::take(&mut self.partial);
            joined.extend_from_slice(&chunk);
            joined.into()
        };
        let before = self.spec.here.enter(Phase::Process);
        let whole = self.consume(&chunk)?;
        self.spec.here.leave(before);
        self.partial.extend_from_slice(&chunk[whole..]);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        if !self.partial.is_empty() {
            self.spec.here.enter(Phase::Finish);
            return Err(Error::decode(format!(
                "the input ends {} bytes into an element of {}",
                self.partial.len(),
                self.spec.value
            )));
        }
        self.link.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_and_the_next_element_never_miss_each_other() {
        let progress = SourceProgress::default();
        assert_eq!(progress.index(), -1);
        assert_eq!(progress.work(), None);
        for _ in 0..4 {
            assert!(progress.begin());
        }
        assert_eq!(progress.index(), 3);
        let half = DesiredSplit {
            fraction: 0.5,
            estimated_elements: 16,
            allowed: vec![],
        };
        let split = progress.split(&half).expect("there is a rest");
        assert_eq!(
            split,
            ChannelSplit {
                last_primary: 9,
                first_residual: 10
            }
        );
        let work = Work {
            completed: 3.0,
            remaining: 7.0,
        };
        assert_eq!(progress.work(), Some(work));
        for _ in 4..10 {
            assert!(progress.begin());
        }
        assert!(!progress.begin());
        assert_eq!(progress.begun(), 10);
        assert_eq!(progress.split(&half), None);
    }
}
