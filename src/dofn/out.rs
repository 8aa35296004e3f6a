//! Outputs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{BundleCx, Cx, Describe, DistributionCell, Link, Port, Ports, Scope, Site, Wiring};
use crate::element::{Element, Header, Nesting, Pane, Timestamp, WindowBytes};
use crate::error::Result;
use crate::window::Window;

/// Counts the elements of one collection and samples their sizes. Several producers may share it.
#[derive(Clone, Default)]
pub struct Meter {
    /// Elements so far in this bundle.
    pub count: Arc<AtomicU64>,
    /// Encoded sizes of the sampled ones, in bytes.
    pub sizes: Arc<DistributionCell>,
}

impl Meter {
    /// Forgets everything: a new bundle begins.
    pub fn reset(&self) {
        self.count.store(0, Relaxed);
        self.sizes.clear();
    }
}

/// Decides which elements of a [`Meter`] are measured: the first ten, then one in ever more.
#[derive(Default)]
pub struct Sampler {
    next: u64,
    scratch: Vec<u8>,
}

impl Sampler {
    /// Counts one element, and now and then measures it.
    #[inline]
    pub fn count<T: Element>(&mut self, meter: &Meter, value: &T) {
        let count = meter.count.load(Relaxed);
        if count >= self.next {
            self.measure(meter, count, value);
        }
        meter.count.store(count + 1, Relaxed);
    }

    #[cold]
    #[inline(never)]
    fn measure<T: Element>(&mut self, meter: &Meter, count: u64, value: &T) {
        self.scratch.clear();
        value.encode(&mut self.scratch, Nesting::Nested);
        self.sizes(meter, count, self.scratch.len());
        // A large element must not keep its size allocated for ever.
        self.scratch.shrink_to(64 << 10);
    }

    fn sizes(&mut self, meter: &Meter, count: u64, size: usize) {
        meter.sizes.add(size as i64);
        self.next = count + (count / 10).max(1);
    }

    /// Counts one element of a known encoded size.
    #[inline]
    pub fn count_sized(&mut self, meter: &Meter, size: usize) {
        let count = meter.count.load(Relaxed);
        if count >= self.next {
            self.sizes(meter, count, size);
        }
        meter.count.store(count + 1, Relaxed);
    }

    /// Starts over: a new bundle begins.
    pub fn reset(&mut self) {
        self.next = 0;
    }
}

/// An output of a function.
pub struct Out<T> {
    link: Link<T>,
    meter: Meter,
    sampler: Sampler,
}

impl<T: Element> Out<T> {
    /// An output that ends in `link`.
    pub fn new(link: Link<T>, meter: Meter) -> Self {
        Out {
            link,
            meter,
            sampler: Sampler::default(),
        }
    }

    /// Emits with the timestamp, windows and pane of the element in hand.
    #[inline]
    pub fn emit(&mut self, cx: &mut Cx<'_>, value: T) {
        if cx.failed() {
            return;
        }
        if let Err(error) = self.send(cx.header(), value) {
            cx.fail(error);
        }
    }

    /// Emits at another timestamp, in the windows and pane of the element in hand.
    ///
    /// A timestamp before the element's, beyond [`DoFn::ALLOWED_TIMESTAMP_SKEW`](super::DoFn::ALLOWED_TIMESTAMP_SKEW),
    /// fails the bundle.
    pub fn emit_at(&mut self, cx: &mut Cx<'_>, timestamp: Timestamp, value: T) {
        if cx.failed() {
            return;
        }
        if let Some(header) = cx.header_at(timestamp)
            && let Err(error) = self.send(&header, value)
        {
            cx.fail(error);
        }
    }

    /// Emits at the end of a bundle, in a window and at a timestamp of your choice.
    pub fn emit_in<W: Window>(
        &mut self,
        cx: &mut BundleCx,
        window: &W,
        timestamp: Timestamp,
        value: T,
    ) {
        if cx.failed() {
            return;
        }
        let mut windows = WindowBytes::none();
        windows.push(&crate::element::encoded(window, Nesting::Nested));
        let header = Header {
            timestamp,
            windows,
            pane: Pane::NO_FIRING,
            metadata: None,
        };
        if let Err(error) = self.send(&header, value) {
            cx.fail(error);
        }
    }

    /// Passes on one element.
    ///
    /// # Errors
    /// Whatever fails downstream.
    #[inline]
    pub fn send(&mut self, header: &Header, value: T) -> Result<()> {
        self.sampler.count(&self.meter, &value);
        self.link.consume(header, value)
    }

    /// Begins a bundle.
    ///
    /// # Errors
    /// Whatever fails downstream.
    pub fn start(&mut self) -> Result<()> {
        self.sampler.reset();
        self.link.start()
    }

    /// Ends a bundle.
    ///
    /// # Errors
    /// Whatever fails downstream.
    pub fn finish(&mut self) -> Result<()> {
        self.link.finish()
    }
}

impl<F: ?Sized, T: Element> Port<F> for Out<T> {
    fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
        wiring.out(name)
    }

    fn describe<D: Describe>(describe: &mut D, name: &'static str) {
        describe.output::<T>(name);
    }

    fn start(&mut self) -> Result<()> {
        Out::start(self)
    }

    fn finish(&mut self) -> Result<()> {
        Out::finish(self)
    }
}

/// The tag of a function's only output.
pub(super) const OUTPUT: &str = "output";

impl<F: ?Sized, T: Element> Ports<F> for Out<T> {
    type Outputs<S: Site> = S::Collection<T>;
    type Sides<S: Site> = ();
    const OBSERVES_WINDOWS: bool = false;

    fn wire(wiring: &mut Wiring<'_>) -> Result<Self> {
        wiring.out(OUTPUT)
    }

    fn describe<D: Describe>(describe: &mut D) {
        describe.output::<T>(OUTPUT);
    }

    fn start(&mut self) -> Result<()> {
        Out::start(self)
    }

    fn enter(&mut self, _scope: &Scope<'_>) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Out::finish(self)
    }

    fn outputs<S: Site>(site: &mut S) -> S::Collection<T> {
        site.output(OUTPUT)
    }

    fn sides<S: Site>(_site: &mut S, (): ()) {}
}

/// A sink: a function without ports.
impl<F: ?Sized> Ports<F> for () {
    type Outputs<S: Site> = ();
    type Sides<S: Site> = ();
    const OBSERVES_WINDOWS: bool = false;

    fn wire(_wiring: &mut Wiring<'_>) -> Result<Self> {
        Ok(())
    }

    fn describe<D: Describe>(_describe: &mut D) {}

    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    fn enter(&mut self, _scope: &Scope<'_>) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    fn outputs<S: Site>(_site: &mut S) {}

    fn sides<S: Site>(_site: &mut S, (): ()) {}
}
