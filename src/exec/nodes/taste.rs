//! Looks at all elements of a collection on their way to its readers. Stands in a plan only where samples are wanted.

use std::sync::Arc;

use crate::dofn::{Clock, Consumer};
use crate::element::{Coder, Header, Pages, coder::urn};
use crate::error::Result;
use crate::exec::flow::{Flow, FlowLink};
use crate::exec::samples::{Bucket, Sample, Suspect, Tasting};

/// Elements that are larger leave no buffer of their size behind.
const SCRATCH_BYTES: usize = 64 << 10;

/// Which collection is looked at.
pub(crate) struct TasteSpec<'a> {
    pub(crate) tasting: &'a Tasting,
    /// The collection's id.
    pub(crate) collection: &'a str,
    /// Its coder in the descriptor.
    pub(crate) wire: &'a Coder,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pages: &'a Arc<dyn Pages>,
}

impl TasteSpec<'_> {
    /// Puts a node in front of `link`, unless elements of `own` cannot be written in the collection's coder.
    pub(crate) fn before<F: Flow>(self, own: &Coder, link: FlowLink<F>) -> FlowLink<F> {
        // Writing a value whose tail is the runner's would fetch all of it.
        if has_tails(self.wire) || has_tails(own) {
            return link;
        }
        let (headers, value) = match (self.wire.urn.as_ref(), self.wire.components.first()) {
            (urn::WINDOWED_VALUE, Some(value)) => (true, value),
            _ => (false, self.wire),
        };
        match F::writer(own, value, self.pages) {
            Ok(writer) => Box::new(Taste::<F> {
                link,
                writer,
                headers,
                bucket: self.tasting.samples.bucket(self.collection),
                suspect: self.tasting.suspect.clone(),
                failures: self.tasting.samples.failures,
                clock: self.clock,
                number: 0,
                scratch: Vec::new(),
            }),
            Err(_) => link,
        }
    }
}

fn has_tails(coder: &Coder) -> bool {
    coder.is(urn::STATE_BACKED_ITERABLE) || coder.components.iter().any(has_tails)
}

struct Taste<F: Flow> {
    link: FlowLink<F>,
    writer: F::Writer,
    /// Whether the collection's coder is one of windowed values.
    headers: bool,
    bucket: Arc<Bucket>,
    suspect: Arc<Suspect>,
    /// Whether elements that fail are kept. Then each must be written before its readers consume it.
    failures: bool,
    clock: Arc<dyn Clock>,
    /// Of the element in hand, in the life of the plan.
    number: u64,
    scratch: Vec<u8>,
}

/// Names an element as the one that a plan failed at, unless it is told that all went well.
struct InHand<'a> {
    suspect: &'a Suspect,
    bucket: &'a Arc<Bucket>,
    element: Option<&'a [u8]>,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if let Some(element) = self.element {
            self.suspect.name(self.bucket, element);
        }
    }
}

impl<'a, F: Flow> Consumer<F::Item<'a>> for Taste<F> {
    fn start(&mut self) -> Result<()> {
        self.link.start()
    }

    fn consume(&mut self, header: &Header, item: F::Item<'a>) -> Result<()> {
        self.number += 1;
        let is_wanted = self.bucket.wants(self.number);
        let is_written = (is_wanted || self.failures) && self.write(header, &item);
        if is_written && is_wanted {
            self.bucket.add(Sample {
                element: self.scratch.clone().into(),
                millis: self.clock.now_millis(),
                failure: None,
            });
        }
        let mut in_hand = InHand {
            suspect: &self.suspect,
            bucket: &self.bucket,
            element: (is_written && self.failures).then_some(&self.scratch),
        };
        self.link.consume(header, item)?;
        in_hand.element = None;
        drop(in_hand);
        self.scratch.shrink_to(SCRATCH_BYTES);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.link.finish()
    }
}

impl<F: Flow> Taste<F> {
    /// Writes an element; whether that could be done. One that cannot be written fails where it must be: it is not for a
    /// sample to fail a bundle.
    fn write(&mut self, header: &Header, item: &F::Item<'_>) -> bool {
        self.scratch.clear();
        if self.headers {
            header.encode(&mut self.scratch);
        }
        F::write(&mut self.writer, item, &mut self.scratch).is_ok()
    }
}
