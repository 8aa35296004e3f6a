//! Many edges from one, and one from many.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dofn::{Consumer, Meter};
use crate::element::Header;
use crate::error::Result;
use crate::exec::flow::{Flow, FlowLink};

/// Gives each item to several consumers.
pub(crate) struct Fanout<F: Flow> {
    links: Vec<FlowLink<F>>,
}

impl<F: Flow> Fanout<F> {
    pub(crate) fn new(links: Vec<FlowLink<F>>) -> Self {
        Fanout { links }
    }
}

impl<'a, F: Flow> Consumer<F::Item<'a>> for Fanout<F> {
    fn start(&mut self) -> Result<()> {
        self.links.iter_mut().try_for_each(|link| link.start())
    }

    fn consume(&mut self, header: &Header, item: F::Item<'a>) -> Result<()> {
        let Some((last, others)) = self.links.split_last_mut() else {
            return Ok(());
        };
        for link in others {
            link.consume(header, item.clone())?;
        }
        last.consume(header, item)
    }

    fn finish(&mut self) -> Result<()> {
        self.links.iter_mut().try_for_each(|link| link.finish())
    }
}

/// The end that several edges of a flatten share.
pub(crate) struct SharedCore<F: Flow> {
    link: FlowLink<F>,
    meter: Meter,
    parents: usize,
    started: usize,
    finished: usize,
}

impl<F: Flow> SharedCore<F> {
    pub(crate) fn new(link: FlowLink<F>, meter: Meter) -> Self {
        SharedCore {
            link,
            meter,
            parents: 0,
            started: 0,
            finished: 0,
        }
    }

    pub(crate) fn add_parent(&mut self) {
        self.parents += 1;
    }
}

/// One edge into a flatten. What comes after starts with the first of them and finishes with the last.
pub(crate) struct Shared<F: Flow> {
    core: Arc<Mutex<SharedCore<F>>>,
}

impl<F: Flow> Shared<F> {
    pub(crate) fn new(core: Arc<Mutex<SharedCore<F>>>) -> Self {
        Shared { core }
    }

    /// Never contended: all edges of a plan run on one thread. The lock only lets a plan move between threads.
    fn core(&self) -> MutexGuard<'_, SharedCore<F>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a, F: Flow> Consumer<F::Item<'a>> for Shared<F> {
    fn start(&mut self) -> Result<()> {
        let mut core = self.core();
        core.started += 1;
        if core.started == 1 {
            core.finished = 0;
            core.link.start()?;
        }
        Ok(())
    }

    fn consume(&mut self, header: &Header, item: F::Item<'a>) -> Result<()> {
        let mut core = self.core();
        super::count(&core.meter);
        core.link.consume(header, item)
    }

    fn finish(&mut self) -> Result<()> {
        let mut core = self.core();
        core.finished += 1;
        if core.finished == core.parents {
            core.started = 0;
            core.link.finish()?;
        }
        Ok(())
    }
}
