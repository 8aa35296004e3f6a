//! Processes elements with work on them.

use std::sync::Arc;

use super::Parts;
use super::hand::{Hand, HandPlace, InHand};
use crate::dofn::{BundleCx, Consumer, Cx, Ports, Scope, Splittable, WatermarkEstimator, Wiring};
use crate::element::{Header, WindowCoding};
use crate::error::{Context, Result, contained};
use crate::exec::activity::{Here, Phase};
use crate::exec::nodes::Guarded;

/// Where a splittable function stands in its plan.
pub(crate) struct ProcessPlace {
    pub(crate) here: Here,
    /// How the windows of the main input are encoded.
    pub(crate) windows: WindowCoding,
    pub(crate) hand: HandPlace,
}

/// A splittable function with its ports.
pub(super) struct Process<F: Splittable> {
    function: Guarded<F>,
    io: F::Io,
    here: Here,
    windows: WindowCoding,
    hand: Arc<Hand<F>>,
    /// How many elements came in this bundle.
    count: u64,
}

impl<F: Splittable> Process<F> {
    /// Wires the ports and sets the function up. `sizer` is an instance for the sizes of parts.
    pub(super) fn new(
        function: F,
        sizer: F,
        wiring: &mut Wiring<'_>,
        place: ProcessPlace,
    ) -> Result<Self> {
        let ProcessPlace {
            here,
            windows,
            hand,
        } = place;
        let mut function = Guarded::new(function);
        let before = here.enter(Phase::Start);
        let io = F::Io::wire(wiring)?;
        function.get().setup().at("step", "setup")?;
        here.leave(before);
        Ok(Process {
            function,
            io,
            here,
            windows,
            hand: Arc::new(Hand::new(sizer, hand)?),
            count: 0,
        })
    }

    /// Its element in hand.
    pub(super) fn hand(&self) -> Arc<dyn InHand> {
        self.hand.clone()
    }

    /// The windows to process an element in, one by one where a port looks at them.
    fn windows_of(&self, header: &Header) -> Result<Vec<Option<Vec<u8>>>> {
        if !<F::Io as Ports<F>>::OBSERVES_WINDOWS {
            return Ok(vec![None]);
        }
        let windows = header.windows.split(&self.windows)?;
        Ok(windows.iter().map(|window| Some(window.to_vec())).collect())
    }

    fn element(&mut self, index: u64, header: &Header, value: Parts<F>) -> Result<()> {
        let windows = self.windows_of(header)?;
        let function = self.function.get();
        let mut taken = self.hand.take(index, function, header, windows, value)?;
        loop {
            if <F::Io as Ports<F>>::OBSERVES_WINDOWS {
                let window = taken.header.windows.bytes();
                self.io.enter(&Scope::of_window(window))?;
            }
            let skew = F::ALLOWED_TIMESTAMP_SKEW;
            let mut cx = if F::Watermark::OBSERVES {
                Cx::observed(&taken.header, skew, &*taken.claims)
            } else {
                Cx::new(&taken.header, skew)
            };
            let resume = function.process(&taken.element, &taken.claims, &mut cx, &mut self.io)?;
            cx.outcome()?;
            if !self.hand.go_on(function, &mut taken, resume)? {
                return Ok(());
            }
        }
    }
}

impl<F: Splittable> Consumer<Parts<F>> for Process<F> {
    fn start(&mut self) -> Result<()> {
        self.count = 0;
        self.io.start()?;
        let before = self.here.enter(Phase::Start);
        let started = self.function.get().start_bundle(&mut self.io);
        started.at("step", "start_bundle")?;
        self.here.leave(before);
        Ok(())
    }

    fn consume(&mut self, header: &Header, value: Parts<F>) -> Result<()> {
        let index = self.count;
        self.count += 1;
        if header.windows.count() == 0 {
            return Ok(());
        }
        let before = self.here.enter(Phase::Process);
        self.element(index, header, value)?;
        self.here.leave(before);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let before = self.here.enter(Phase::Finish);
        let mut cx = BundleCx::new();
        self.io.leave();
        let finished = self.function.get().finish_bundle(&mut cx, &mut self.io);
        finished
            .and_then(|()| cx.outcome())
            .at("step", "finish_bundle")?;
        self.here.leave(before);
        self.io.finish()
    }
}

impl<F: Splittable> Drop for Process<F> {
    /// Tears the function down. A plan may be dropped while a panic unwinds, so a panic here must not add to it.
    fn drop(&mut self) {
        let function = self.function.get();
        contained(|| function.teardown());
    }
}
