//! Runs a function.

use std::any::Any;

use crate::dofn::timer::TimerHandlers;
use crate::dofn::{BundleCx, Consumer, Cx, DoFn, Fired, Ports, Scope, Wiring};
use crate::element::{Header, Timestamp, WindowCoding};
use crate::error::{Context, Result, contained};
use crate::exec::activity::{Here, Phase};

/// Where a function stands in its plan.
pub(crate) struct ParDoPlace {
    pub(crate) here: Here,
    /// How the windows of the main input are encoded.
    pub(crate) windows: WindowCoding,
}

/// A function whose end harms nobody: what it throws then is dropped, as a panic may be unwinding already.
pub(crate) struct Guarded<F>(Option<F>);

impl<F> Guarded<F> {
    pub(crate) fn new(function: F) -> Self {
        Guarded(Some(function))
    }

    pub(crate) fn get(&mut self) -> &mut F {
        self.0.as_mut().expect("only `drop` takes the function")
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        let function = self.0.take();
        contained(move || drop(function));
    }
}

/// A function with its ports.
pub(crate) struct ParDo<F: DoFn> {
    function: Guarded<F>,
    io: F::Io,
    place: ParDoPlace,
    handlers: TimerHandlers<F>,
    /// The encoded key of the element in hand, where the function is keyed.
    key: Vec<u8>,
}

impl<F: DoFn> ParDo<F> {
    /// Wires the ports and sets the function up.
    pub(crate) fn new(function: F, wiring: &mut Wiring<'_>, place: ParDoPlace) -> Result<Self> {
        let mut function = Guarded::new(function);
        let before = place.here.enter(Phase::Start);
        let io = F::Io::wire(wiring)?;
        let handlers = wiring.timer_handlers();
        function.get().setup().at("step", "setup")?;
        place.here.leave(before);
        Ok(ParDo {
            function,
            io,
            place,
            handlers,
            key: Vec::new(),
        })
    }

    /// Says which encoded key comes next.
    pub(crate) fn set_key(&mut self, key: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(key);
    }

    /// Calls the handler of a family of timers, with the decoded key.
    pub(crate) fn fire(
        &mut self,
        scope: &Scope<'_>,
        key: &dyn Any,
        family: usize,
        fired: Fired<'_>,
        header: &Header,
        moment: Option<Timestamp>,
    ) -> Result<()> {
        let handler = self.handlers.get(family)?;
        self.io.enter(scope)?;
        let mut cx = Cx::of_timer(header, F::ALLOWED_TIMESTAMP_SKEW, moment);
        handler(self.function.get(), key, fired, &mut cx, &mut self.io)?;
        cx.outcome()
    }

    fn enter(&mut self, window: &[u8]) -> Result<()> {
        self.io.enter(&Scope {
            key: &self.key,
            window,
        })
    }

    fn in_windows(&mut self, header: &Header, value: F::In) -> Result<()> {
        if header.windows.count() == 1 {
            self.enter(header.windows.bytes())?;
            return self.process(header, value);
        }
        let mut one = header.clone();
        let windows = header.windows.split(&self.place.windows)?;
        let Some((last, others)) = windows.split_last() else {
            return Ok(());
        };
        for window in others {
            one.windows.set_one(window);
            self.enter(window)?;
            self.process(&one, value.clone())?;
        }
        one.windows.set_one(last);
        self.enter(last)?;
        self.process(&one, value)
    }

    #[inline]
    fn process(&mut self, header: &Header, value: F::In) -> Result<()> {
        let mut cx = Cx::new(header, F::ALLOWED_TIMESTAMP_SKEW);
        let function = self.function.get();
        function.process(value, &mut cx, &mut self.io)?;
        cx.outcome()
    }
}

impl<F: DoFn> Consumer<F::In> for ParDo<F> {
    fn start(&mut self) -> Result<()> {
        self.io.start()?;
        let before = self.place.here.enter(Phase::Start);
        self.function
            .get()
            .start_bundle(&mut self.io)
            .at("step", "start_bundle")?;
        self.place.here.leave(before);
        Ok(())
    }

    #[inline]
    fn consume(&mut self, header: &Header, value: F::In) -> Result<()> {
        let before = self.place.here.enter(Phase::Process);
        let outcome = if <F::Io as Ports<F>>::OBSERVES_WINDOWS {
            self.in_windows(header, value)
        } else if header.windows.count() == 0 {
            Ok(())
        } else {
            self.process(header, value)
        };
        outcome?;
        self.place.here.leave(before);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let before = self.place.here.enter(Phase::Finish);
        let mut cx = BundleCx::new();
        self.io.leave();
        self.function
            .get()
            .finish_bundle(&mut cx, &mut self.io)
            .and_then(|()| cx.outcome())
            .at("step", "finish_bundle")?;
        self.place.here.leave(before);
        self.io.finish()
    }
}

impl<F: DoFn> Drop for ParDo<F> {
    /// Tears the function down. A plan may be dropped while a panic unwinds, so a panic here must not add to it.
    fn drop(&mut self) {
        let function = self.function.get();
        contained(|| function.teardown());
    }
}
