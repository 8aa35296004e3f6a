//! The end of a fused graph: elements become bytes for the runner.

use std::sync::Arc;

use crate::dofn::Consumer;
use crate::element::{Coder, Header, Pages};
use crate::error::Result;
use crate::exec::flow::Flow;
use crate::exec::link::Outbox;

/// A sink sends what it has once it is this many bytes: large enough that a message's overhead vanishes, small enough
/// that a consumer need not wait for long.
const FLUSH_BYTES: usize = 1 << 20;

/// Where the bytes of a sink go.
pub(crate) struct SinkSpec {
    /// The sink's index among the plan's sinks.
    pub(crate) index: usize,
    /// Coder of the values on the wire.
    pub(crate) value: Coder,
    /// Whether the wire has headers.
    pub(crate) headers: bool,
    pub(crate) outbox: Arc<dyn Outbox>,
    /// Tails of iterables that pass through.
    pub(crate) pages: Arc<dyn Pages>,
}

/// Encodes items for the runner.
pub(crate) struct Sink<F: Flow> {
    writer: F::Writer,
    buffer: Vec<u8>,
    spec: SinkSpec,
}

impl<F: Flow> Sink<F> {
    /// A sink for items of `own`.
    pub(crate) fn new(own: &Coder, spec: SinkSpec) -> Result<Self> {
        Ok(Sink {
            writer: F::writer(own, &spec.value, &spec.pages)?,
            buffer: Vec::new(),
            spec,
        })
    }

    #[cold]
    fn flush(&mut self) -> Result<()> {
        let full = std::mem::replace(
            &mut self.buffer,
            Vec::with_capacity(FLUSH_BYTES + (FLUSH_BYTES >> 3)),
        );
        self.spec.outbox.send(self.spec.index, full.into())
    }
}

impl<'a, F: Flow> Consumer<F::Item<'a>> for Sink<F> {
    fn start(&mut self) -> Result<()> {
        self.buffer.clear();
        Ok(())
    }

    #[inline]
    fn consume(&mut self, header: &Header, item: F::Item<'a>) -> Result<()> {
        let before = self.buffer.len();
        if self.spec.headers {
            header.encode(&mut self.buffer);
        }
        F::write(&mut self.writer, &item, &mut self.buffer)?;
        if self.buffer.len() == before {
            // Elements of no bytes could not be counted: one zero byte stands for each.
            self.buffer.push(0);
        }
        if self.buffer.len() >= FLUSH_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn finish(&mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.buffer);
        self.spec.outbox.close(self.spec.index, rest.into())
    }
}
