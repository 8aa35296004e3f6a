//! The stages before processing: pairing, splitting and truncating.

use super::roots::size_of;
use super::{Paired, Parts};
use crate::dofn::{Consumer, Link, Meter, Sampler, Splittable};
use crate::element::{Element, Header, Kv};
use crate::error::{Context, Error, Result};
use crate::exec::activity::{Here, Phase};

/// Where such a stage stands in its plan.
pub(crate) struct BeforePlace {
    pub(crate) here: Here,
    /// Counts what it emits.
    pub(crate) meter: Meter,
}

/// What a stage makes of one element: it calls for each that it emits.
type Make<F, A, B> = fn(&F, &Header, A, &mut dyn FnMut(B) -> Result<()>) -> Result<()>;

/// A stage that works on elements one by one, from the configuration of its function alone.
pub(super) struct Before<F, A, B> {
    function: F,
    place: BeforePlace,
    sampler: Sampler,
    step: &'static str,
    make: Make<F, A, B>,
    link: Link<B>,
}

impl<F: Splittable, A, B> Before<F, A, B> {
    fn new(
        function: F,
        place: BeforePlace,
        step: &'static str,
        make: Make<F, A, B>,
        link: Link<B>,
    ) -> Self {
        Before {
            function,
            place,
            sampler: Sampler::default(),
            step,
            make,
            link,
        }
    }
}

impl<F: Splittable, A: Send, B: Element> Consumer<A> for Before<F, A, B> {
    fn start(&mut self) -> Result<()> {
        self.sampler.reset();
        self.link.start()
    }

    fn consume(&mut self, header: &Header, value: A) -> Result<()> {
        // An element in no window is in no collection.
        if header.windows.count() == 0 {
            return Ok(());
        }
        let Before {
            function,
            place,
            sampler,
            step,
            make,
            link,
        } = self;
        let before = place.here.enter(Phase::Process);
        // What fails downstream is no failure of this step.
        let mut failed = None;
        let made = make(function, header, value, &mut |made| {
            sampler.count(&place.meter, &made);
            link.consume(header, made).map_err(|error| {
                failed = Some(error);
                Error::user("something downstream failed")
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        made.at("step", *step)?;
        place.here.leave(before);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.link.finish()
    }
}

/// Pairs elements with all the work on them.
pub(super) fn pair<F: Splittable>(
    function: F,
    place: BeforePlace,
    link: Link<Paired<F>>,
) -> Before<F, F::In, Paired<F>> {
    let make: Make<F, F::In, Paired<F>> = |function, header, element, emit| {
        let restriction = function.initial(&element)?;
        let state = function.initial_watermark(&element, &restriction, header.timestamp)?;
        emit(Kv(element, Kv(restriction, state)))
    };
    Before::new(function, place, "initial", make, link)
}

/// Splits work into parts, and says how much each is.
pub(super) fn split<F: Splittable>(
    function: F,
    place: BeforePlace,
    link: Link<Parts<F>>,
) -> Before<F, Paired<F>, Parts<F>> {
    let make: Make<F, Paired<F>, Parts<F>> = |function, _, paired, emit| {
        let Kv(element, Kv(restriction, state)) = paired;
        for part in function.split(&element, restriction)? {
            let size = size_of(function, &element, &part)?;
            emit(Kv(Kv(element.clone(), Kv(part, state.clone())), size))?;
        }
        Ok(())
    };
    Before::new(function, place, "split", make, link)
}

/// Leaves of parts what is still to be done when the pipeline is drained.
pub(super) fn truncate<F: Splittable>(
    function: F,
    place: BeforePlace,
    link: Link<Parts<F>>,
) -> Before<F, Parts<F>, Parts<F>> {
    let make: Make<F, Parts<F>, Parts<F>> = |function, _, part, emit| {
        let Kv(Kv(element, Kv(restriction, state)), _) = part;
        let Some(rest) = function.truncate(&element, restriction)? else {
            return Ok(());
        };
        let size = size_of(function, &element, &rest)?;
        emit(Kv(Kv(element, Kv(rest, state)), size))
    };
    Before::new(function, place, "truncate", make, link)
}
