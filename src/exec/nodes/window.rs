//! Nodes that assign, map and merge windows.

use crate::dofn::{Consumer, MergedWindow, Meter, SideWindows};
use crate::element::{
    Element, Header, Input, Iter, Kv, Layout, Nesting, Pane, Timestamp, WindowBytes,
};
use crate::error::{Error, Result};
use crate::exec::flow::{Flow, FlowLink, Opaque};
use crate::window::{Window, WindowFn, merge_sessions};

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
    windows: SideWindows,
    nonce: Layout,
    link: FlowLink<Opaque>,
    out: Vec<u8>,
}

impl MapWindows {
    pub(crate) fn new(windows: SideWindows, nonce: Layout, link: FlowLink<Opaque>) -> Self {
        MapWindows {
            windows,
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
        let window = (self.windows)(input.rest())?;
        self.out.extend_from_slice(&window);
        self.link.consume(header, &self.out)
    }

    fn finish(&mut self) -> Result<()> {
        self.link.finish()
    }
}

/// `merge_windows`: KV(nonce, windows) to KV(nonce, KV(windows left alone, merged windows with their originals)).
pub(crate) struct MergeWindows {
    nonce: Layout,
    merger: Merger,
    link: FlowLink<Opaque>,
    out: Vec<u8>,
}

/// Reads the windows of a key, and appends what becomes of them: those left alone, and the merged ones with those that they
/// replace.
pub(crate) type Merger = Box<dyn Fn(&mut Input<'_>, &mut Vec<u8>) -> Result<()> + Send>;

/// The merger of standard windows, of which only sessions merge.
pub(crate) fn merge_standard(window_fn: WindowFn) -> Result<Merger> {
    match window_fn {
        WindowFn::Session(_) => Ok(merger(|windows| {
            let (alone, merged): (Vec<_>, Vec<_>) = merge_sessions(windows)
                .into_iter()
                .partition(|(_, originals)| originals.len() == 1);
            let alone = alone.into_iter().map(|(window, _)| window);
            Ok((alone.collect(), merged))
        })),
        other => Err(Error::descriptor(format!(
            "windows of {other:?} do not merge"
        ))),
    }
}

/// The merger of windows of type `W`. `merge` yields those that stay alone, and the merged ones with those that they
/// replace.
pub(super) fn merger<W: Window>(
    merge: impl Fn(Vec<W>) -> Result<(Vec<W>, Vec<MergedWindow<W>>)> + Send + 'static,
) -> Merger {
    Box::new(move |input, out| {
        let windows = Iter::<W>::decode(input, Nesting::Nested)?.to_vec()?;
        let (alone, merged) = merge(windows)?;
        let alone: Iter<W> = alone.into_iter().collect();
        let merged: Iter<Kv<W, Iter<W>>> = merged
            .into_iter()
            .map(|(into, from)| Kv(into, from.into_iter().collect()))
            .collect();
        Kv(alone, merged).encode(out, Nesting::Nested);
        Ok(())
    })
}

impl MergeWindows {
    pub(crate) fn new(merger: Merger, nonce: Layout, link: FlowLink<Opaque>) -> Self {
        MergeWindows {
            nonce,
            merger,
            link,
            out: Vec::new(),
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
        (self.merger)(&mut input, &mut self.out)?;
        self.link.consume(header, &self.out)
    }

    fn finish(&mut self) -> Result<()> {
        self.link.finish()
    }
}
