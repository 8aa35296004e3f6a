//! Nodes that assign, map and merge windows.

use crate::dofn::{Consumer, Meter};
use crate::element::{
    Element, Header, Input, Iter, Kv, Layout, Nesting, Pane, Timestamp, WindowBytes,
};
use crate::error::{Error, Result};
use crate::exec::flow::{Flow, FlowLink, Opaque};
use crate::model::descriptor::EndOf;
use crate::window::{GlobalWindow, IntervalWindow, WindowFn, merge_sessions};

/// Puts elements into the windows of a window function. Values pass untouched.
pub(crate) struct Assign<F: Flow> {
    window_fn: WindowFn,
    link: FlowLink<F>,
    meter: Meter,
    header: Header,
    scratch: Vec<u8>,
}

impl<F: Flow> Assign<F> {
    pub(crate) fn new(window_fn: WindowFn, meter: Meter, link: FlowLink<F>) -> Self {
        let header = Header::global(Timestamp::MIN);
        Assign {
            window_fn,
            link,
            meter,
            header,
            scratch: Vec::new(),
        }
    }
}

impl<'a, F: Flow> Consumer<F::Item<'a>> for Assign<F> {
    fn start(&mut self) -> Result<()> {
        self.link.start()
    }

    fn consume(&mut self, header: &Header, item: F::Item<'a>) -> Result<()> {
        let Assign {
            window_fn,
            header: assigned,
            scratch,
            ..
        } = self;
        if *window_fn == WindowFn::Global {
            assigned.windows = WindowBytes::global();
        } else {
            assigned.windows.clear();
            window_fn.assign(header.timestamp, |window| {
                scratch.clear();
                window.encode(scratch, Nesting::Nested);
                assigned.windows.push(scratch);
            });
        }
        // Windows with gaps hold nothing there: an element in no window is in no collection.
        if assigned.windows.count() == 0 {
            return Ok(());
        }
        assigned.timestamp = header.timestamp;
        assigned.pane = Pane::NO_FIRING;
        assigned.metadata.clone_from(&header.metadata);
        super::count(&self.meter);
        self.link.consume(&self.header, item)
    }

    fn finish(&mut self) -> Result<()> {
        self.link.finish()
    }
}

/// `map_windows`: KV(nonce, window of the main input) to KV(nonce, window of the side input).
pub(crate) struct MapWindows {
    window_fn: WindowFn,
    end_of: EndOf,
    nonce: Layout,
    link: FlowLink<Opaque>,
    out: Vec<u8>,
}

impl MapWindows {
    pub(crate) fn new(
        window_fn: WindowFn,
        end_of: EndOf,
        nonce: Layout,
        link: FlowLink<Opaque>,
    ) -> Self {
        MapWindows {
            window_fn,
            end_of,
            nonce,
            link,
            out: Vec::new(),
        }
    }
}

impl<'a> Consumer<&'a [u8]> for MapWindows {
    fn start(&mut self) -> Result<()> {
        self.link.start()
    }

    fn consume(&mut self, header: &Header, pair: &'a [u8]) -> Result<()> {
        let mut input = Input::new(pair);
        self.nonce.skip(&mut input, Nesting::Nested)?;
        self.out.clear();
        self.out
            .extend_from_slice(&pair[..pair.len() - input.remaining()]);
        let end = (self.end_of)(input.rest())?;
        match self.window_fn.side_window(end)? {
            None => GlobalWindow.encode(&mut self.out, Nesting::Nested),
            Some(window) => window.encode(&mut self.out, Nesting::Nested),
        }
        self.link.consume(header, &self.out)
    }

    fn finish(&mut self) -> Result<()> {
        self.link.finish()
    }
}

/// `merge_windows`: KV(nonce, windows) to KV(nonce, KV(windows left alone, merged windows with their originals)).
pub(crate) struct MergeWindows {
    nonce: Layout,
    link: FlowLink<Opaque>,
    out: Vec<u8>,
}

type Merged = Kv<Vec<IntervalWindow>, Vec<Kv<IntervalWindow, Vec<IntervalWindow>>>>;

impl MergeWindows {
    /// Only sessions merge among the standard window functions.
    pub(crate) fn new(window_fn: WindowFn, nonce: Layout, link: FlowLink<Opaque>) -> Result<Self> {
        match window_fn {
            WindowFn::Session(_) => Ok(MergeWindows {
                nonce,
                link,
                out: Vec::new(),
            }),
            other => Err(Error::descriptor(format!(
                "windows of {other:?} do not merge"
            ))),
        }
    }
}

impl<'a> Consumer<&'a [u8]> for MergeWindows {
    fn start(&mut self) -> Result<()> {
        self.link.start()
    }

    fn consume(&mut self, header: &Header, pair: &'a [u8]) -> Result<()> {
        let mut input = Input::new(pair);
        self.nonce.skip(&mut input, Nesting::Nested)?;
        self.out.clear();
        self.out
            .extend_from_slice(&pair[..pair.len() - input.remaining()]);
        let windows = Iter::<IntervalWindow>::decode(&mut input, Nesting::Nested)?.to_vec()?;
        let (alone, merged): (Vec<_>, Vec<_>) = merge_sessions(windows)
            .into_iter()
            .partition(|(_, originals)| originals.len() == 1);
        let result: Merged = Kv(
            alone.into_iter().map(|(window, _)| window).collect(),
            merged
                .into_iter()
                .map(|(window, originals)| Kv(window, originals))
                .collect(),
        );
        result.encode(&mut self.out, Nesting::Nested);
        self.link.consume(header, &self.out)
    }

    fn finish(&mut self) -> Result<()> {
        self.link.finish()
    }
}
