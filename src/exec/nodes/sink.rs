//! The end of a fused graph: elements become bytes for the runner.

use std::sync::Arc;

use crate::dofn::Consumer;
use crate::element::{Coder, Header, Pages};
use crate::error::Result;
use crate::exec::flow::Flow;
use crate::exec::held::HeldBuffer;
use crate::exec::link::Outbox;

/// Where the bytes of a sink go.
pub(crate) struct SinkSpec {
    /// The sink's index among the plan's sinks.
    pub(crate) index: usize,
    /// Coder of the values on the wire.
    pub(crate) value: Coder,
    /// Whether the wire has headers.
    pub(crate) headers: bool,
    pub(crate) outbox: Arc<dyn Outbox>,
    /// The sink sends what it has once it is this many bytes.
    pub(crate) flush_bytes: usize,
    /// Where it is collected, if somebody may send it on before that.
    pub(crate) held: Option<HeldBuffer>,
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
}

/// Appends an item; sends the buffer when it is full.
#[inline]
fn append<F: Flow>(
    writer: &mut F::Writer,
    spec: &SinkSpec,
    header: &Header,
    item: &F::Item<'_>,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    let before = buffer.len();
    if spec.headers {
        header.encode(buffer);
    }
    F::write(writer, item, buffer)?;
    if buffer.len() == before {
        // Elements of no bytes could not be counted: one zero byte stands for each.
        buffer.push(0);
    }
    if buffer.len() >= spec.flush_bytes {
        flush(spec, buffer)
    } else {
        Ok(())
    }
}

#[cold]
fn flush(spec: &SinkSpec, buffer: &mut Vec<u8>) -> Result<()> {
    let next = Vec::with_capacity(spec.flush_bytes + (spec.flush_bytes >> 3));
    let full = std::mem::replace(buffer, next);
    spec.outbox.send(spec.index, full.into())
}

impl<'a, F: Flow> Consumer<F::Item<'a>> for Sink<F> {
    fn start(&mut self) -> Result<()> {
        self.buffer.clear();
        if let Some(held) = &self.spec.held {
            held.lock().clear();
        }
        Ok(())
    }

    #[inline]
    fn consume(&mut self, header: &Header, item: F::Item<'a>) -> Result<()> {
        let Some(held) = &self.spec.held else {
            return append::<F>(
                &mut self.writer,
                &self.spec,
                header,
                &item,
                &mut self.buffer,
            );
        };
        let mut buffer = held.lock();
        let before = buffer.len();
        let appended = append::<F>(&mut self.writer, &self.spec, header, &item, &mut buffer);
        if appended.is_err() {
            // Half an element must not be sent on.
            buffer.truncate(before);
        }
        appended
    }

    fn finish(&mut self) -> Result<()> {
        let rest = match &self.spec.held {
            Some(held) => std::mem::take(&mut *held.lock()),
            None => std::mem::take(&mut self.buffer),
        };
        self.spec.outbox.close(self.spec.index, rest.into())
    }
}
