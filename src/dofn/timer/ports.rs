//! The ports that timers are.

use std::any::Any;
use std::marker::PhantomData;
use std::time::Duration;

use super::family::When;
use super::{
    Domain, EventTime, Fired, Hold, KeyOf, OnTimer, OnWindowExpiration, TimeDomain, TimerFamily,
};
use crate::dofn::{Cx, Describe, Port, Scope, Wiring};
use crate::element::Timestamp;
use crate::error::{Error, Result};

/// A port that is a timer. What happens when it fires, [`OnTimer<Tag>`] says.
///
/// It waits for event time, unless it is a `Timer<Tag, ProcessingTime>`. The [module's documentation](super) says more.
pub struct Timer<Tag, D = EventTime>(TimerFamily, PhantomData<fn() -> (Tag, D)>);

impl<Tag, D> Timer<Tag, D> {
    /// Sets the timer, in place of what it was set to before: to an event time, or to milliseconds of the wall clock
    /// since 1970.
    ///
    /// An event time after the window has expired fails the bundle.
    pub fn set(&mut self, cx: &mut Cx<'_>, at: Timestamp) {
        self.set_holding(cx, at, Hold::Usual);
    }

    /// Sets the timer to `offset` after the timestamp of the element in hand, in a handler after the time of the event-time
    /// timer that has fired; but not to later than the window expires. A processing-time timer is set to `offset` from
    /// now.
    pub fn set_after(&mut self, cx: &mut Cx<'_>, offset: Duration) {
        self.set_after_holding(cx, offset, Hold::Usual);
    }

    /// As [`set`](Self::set), and says at what time its handler emits.
    pub fn set_holding(&mut self, cx: &mut Cx<'_>, at: Timestamp, hold: Hold) {
        self.0.set(cx, "", When::At(at), hold);
    }

    /// As [`set_after`](Self::set_after), and says at what time its handler emits.
    pub fn set_after_holding(&mut self, cx: &mut Cx<'_>, offset: Duration, hold: Hold) {
        self.0.set(cx, "", When::After(offset), hold);
    }

    /// Removes what the timer was set to, if it was set.
    pub fn clear(&mut self, cx: &mut Cx<'_>) {
        self.0.clear(cx, "");
    }
}

/// A port that is a family of timers, told apart by tags that are made up at run time. What happens when one of them fires,
/// [`OnTimer<Tag>`] says.
///
/// They wait for event time, unless they are `Timers<Tag, ProcessingTime>`. The [module's documentation](super) says more.
pub struct Timers<Tag, D = EventTime>(TimerFamily, PhantomData<fn() -> (Tag, D)>);

impl<Tag, D> Timers<Tag, D> {
    /// Sets the timer of a tag, as [`Timer::set`] does.
    pub fn set(&mut self, cx: &mut Cx<'_>, tag: &str, at: Timestamp) {
        self.set_holding(cx, tag, at, Hold::Usual);
    }

    /// Sets the timer of a tag, as [`Timer::set_after`] does.
    pub fn set_after(&mut self, cx: &mut Cx<'_>, tag: &str, offset: Duration) {
        self.set_after_holding(cx, tag, offset, Hold::Usual);
    }

    /// As [`set`](Self::set), and says at what time the handler emits.
    pub fn set_holding(&mut self, cx: &mut Cx<'_>, tag: &str, at: Timestamp, hold: Hold) {
        self.0.set(cx, tag, When::At(at), hold);
    }

    /// As [`set_after`](Self::set_after), and says at what time the handler emits.
    pub fn set_after_holding(&mut self, cx: &mut Cx<'_>, tag: &str, offset: Duration, hold: Hold) {
        self.0.set(cx, tag, When::After(offset), hold);
    }

    /// Removes what the timer of a tag was set to, if it was set.
    pub fn clear(&mut self, cx: &mut Cx<'_>, tag: &str) {
        self.0.clear(cx, tag);
    }
}

/// A port that has the function told when windows expire: [`OnWindowExpiration`] says what it does then.
///
/// A runner that cannot do that should refuse the pipeline (`beam:requirement:pardo:on_window_expiration:v1`), but not every one
/// does: some take it and never say that a window has expired.
pub struct WindowExpiration(());

/// Calls [`OnTimer::on_timer`].
fn fire<F: OnTimer<Tag>, Tag>(
    function: &mut F,
    key: &dyn Any,
    fired: Fired<'_>,
    cx: &mut Cx<'_>,
    io: &mut F::Io,
) -> Result<()> {
    function.on_timer(typed::<F>(key)?, fired, cx, io)
}

/// Calls [`OnWindowExpiration::on_window_expiration`].
fn expire<F: OnWindowExpiration>(
    function: &mut F,
    key: &dyn Any,
    _fired: Fired<'_>,
    cx: &mut Cx<'_>,
    io: &mut F::Io,
) -> Result<()> {
    function.on_window_expiration(typed::<F>(key)?, cx, io)
}

fn typed<F: crate::dofn::DoFn<In: crate::element::Keyed>>(key: &dyn Any) -> Result<&KeyOf<F>> {
    key.downcast_ref()
        .ok_or_else(|| Error::descriptor("a timer's key is not of the type of the function's keys"))
}

macro_rules! port_of_family {
    ($port:ident) => {
        impl<F, Tag, D> Port<F> for $port<Tag, D>
        where
            F: OnTimer<Tag>,
            Tag: 'static,
            D: Domain,
        {
            const OBSERVES_WINDOWS: bool = true;
            const KEYED: bool = true;

            fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
                let family = TimerFamily::wire::<F, Tag>(wiring, name, D::DOMAIN, fire::<F, Tag>)?;
                Ok($port(family, PhantomData))
            }

            fn describe<X: Describe>(describe: &mut X, name: &'static str) {
                describe.timer(name, D::DOMAIN);
            }

            fn enter(&mut self, scope: &Scope<'_>) -> Result<()> {
                self.0.enter(scope);
                Ok(())
            }

            fn leave(&mut self) {
                self.0.leave();
            }
        }
    };
}

port_of_family!(Timer);
port_of_family!(Timers);

impl<F: OnWindowExpiration> Port<F> for WindowExpiration {
    const OBSERVES_WINDOWS: bool = true;
    const KEYED: bool = true;

    fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
        TimerFamily::wire::<F, Self>(wiring, name, TimeDomain::EventTime, expire::<F>)?;
        Ok(WindowExpiration(()))
    }

    fn describe<X: Describe>(describe: &mut X, name: &'static str) {
        describe.window_expiration(name);
    }
}
