//! How timers are connected: from ports to whoever keeps them, and from firings to handlers.

use std::any::{Any, TypeId};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Fired, TimeDomain};
use crate::dofn::{Cx, DoFn, Scope};
use crate::element::{Firing, Timestamp};
use crate::error::{Error, Result};

/// Takes what a function does to its timers.
pub trait TimerWrites: Send {
    /// Sets the timer `tag` of a family in a scope, or clears it.
    fn write(&mut self, scope: &Scope<'_>, family: usize, tag: &str, firing: Option<Firing>);
}

/// What limits the timers of a function.
#[derive(Clone, Copy)]
pub struct TimerRules {
    /// Finds the last timestamp of an encoded window.
    pub end_of: fn(&[u8]) -> Result<Timestamp>,
    /// How long after the end of a window elements of it are still taken.
    pub allowed_lateness: Duration,
}

impl TimerRules {
    /// When an encoded window expires: no event-time timer of it fires later.
    ///
    /// # Errors
    /// A window of which nothing can be told.
    pub fn expiry(&self, window: &[u8]) -> Result<Timestamp> {
        let expiry = (self.end_of)(window)? + self.allowed_lateness;
        Ok(expiry.min(Timestamp::GLOBAL_WINDOW_END))
    }
}

/// Calls a function's handler: with the key, which must be of the type of its keys.
pub type TimerHandler<F> =
    fn(&mut F, &dyn Any, Fired<'_>, &mut Cx<'_>, &mut <F as DoFn>::Io) -> Result<()>;

/// A family of timers while its function is wired.
struct Family {
    name: String,
    domain: TimeDomain,
    /// A [`TimerHandler`] of the function, and the type that its port is named after.
    handler: Option<(Box<dyn Any + Send>, TypeId)>,
}

/// The timers of one function while its ports are wired.
pub struct TimerWiring {
    families: Vec<Family>,
    writes: Arc<Mutex<dyn TimerWrites>>,
    rules: TimerRules,
}

impl TimerWiring {
    /// The families that a descriptor declares, by index; what functions do to them goes to `writes`.
    pub fn new(
        families: impl IntoIterator<Item = (String, TimeDomain)>,
        writes: Arc<Mutex<dyn TimerWrites>>,
        rules: TimerRules,
    ) -> Self {
        let families = families.into_iter().map(|(name, domain)| Family {
            name,
            domain,
            handler: None,
        });
        TimerWiring {
            families: families.collect(),
            writes,
            rules,
        }
    }

    /// Where writes go, and what limits them.
    pub(super) fn parts(&self) -> (Arc<Mutex<dyn TimerWrites>>, TimerRules) {
        (self.writes.clone(), self.rules)
    }

    /// Takes a family for the port that is named after the type `tag`. Yields its index.
    pub(super) fn take<F: DoFn>(
        &mut self,
        name: &'static str,
        domain: TimeDomain,
        tag: TypeId,
        handler: TimerHandler<F>,
    ) -> Result<usize> {
        let index = self.families.iter().position(|family| family.name == name);
        let Some(index) = index else {
            return Err(undeclared());
        };
        let family = &mut self.families[index];
        if family.domain != domain {
            return Err(Error::descriptor(format!(
                "the pipeline declares timers in {:?}, but the function's are in {domain:?}; expand the transform again \
                 with this version",
                family.domain
            )));
        }
        family.handler = Some((Box::new(handler), tag));
        Ok(index)
    }

    /// The handlers that ports have registered.
    pub(in crate::dofn) fn handlers<F: DoFn>(&mut self) -> TimerHandlers<F> {
        let families = self.families.iter_mut().map(|family| {
            let (handler, tag) = family.handler.take()?;
            Some((*handler.downcast::<TimerHandler<F>>().ok()?, tag))
        });
        TimerHandlers(families.collect())
    }
}

#[cold]
pub(in crate::dofn) fn undeclared() -> Error {
    Error::descriptor(
        "the function has timers that the pipeline does not declare; expand the transform again with this version",
    )
}

/// What a function does when its timers fire, by family.
pub struct TimerHandlers<F: DoFn>(Vec<Option<(TimerHandler<F>, TypeId)>>);

impl<F: DoFn> TimerHandlers<F> {
    /// None at all.
    pub fn none() -> Self {
        TimerHandlers(Vec::new())
    }

    /// What is done when timers of a family fire.
    ///
    /// # Errors
    /// The function has no port of this family.
    pub fn get(&self, family: usize) -> Result<TimerHandler<F>> {
        match self.0.get(family) {
            Some(Some((handler, _))) => Ok(*handler),
            _ => Err(Error::descriptor(
                "a timer fired that the function does not know; expand the transform again with this version",
            )),
        }
    }

    /// The type that the port of a family is named after.
    pub fn tag(&self, family: usize) -> Option<TypeId> {
        let (_, tag) = self.0.get(family)?.as_ref()?;
        Some(*tag)
    }
}
