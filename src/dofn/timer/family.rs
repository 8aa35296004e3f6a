//! One family of timers as its port sees it: what may be set, and when.

use std::any::TypeId;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{TimeDomain, TimerHandler, TimerRules, TimerWrites};
use crate::dofn::{Clock, Cx, DoFn, Scope, Wiring};
use crate::element::{Firing, Timestamp};
use crate::error::{Error, Result};

/// The event time of what a timer's handler emits. Until the timer fires, the watermark of the outputs is held back there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// The time of the timer itself, if that is event time. Otherwise the timestamp in hand when it is set: the
    /// element's, or in a handler that timer's hold.
    #[default]
    Usual,
    /// A time of your choice: not before the timestamp in hand, less
    /// [`ALLOWED_TIMESTAMP_SKEW`](crate::dofn::DoFn::ALLOWED_TIMESTAMP_SKEW), not after the timer if that is in event time,
    /// and not after the window has expired.
    At(Timestamp),
    /// The watermark is not held back. What the handler emits may come late: it is at the time of the timer, but not
    /// after the end of the window; at the end of the window if the timer is in processing time.
    Nothing,
}

/// When a timer is to fire.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    At(Timestamp),
    After(Duration),
}

/// A family of timers of a function, in the key and window in hand. Ports of your own may be made of one.
pub struct TimerFamily {
    name: &'static str,
    index: usize,
    domain: TimeDomain,
    writes: Arc<Mutex<dyn TimerWrites>>,
    rules: TimerRules,
    clock: Arc<dyn Clock>,
    key: Vec<u8>,
    window: Vec<u8>,
    is_inside: bool,
}

impl TimerFamily {
    /// The family `name` of the function that is wired. `handler` is called when its timers fire; `Tag` names it.
    ///
    /// # Errors
    /// The pipeline does not declare it so.
    pub fn wire<F: DoFn, Tag: 'static>(
        wiring: &mut Wiring<'_>,
        name: &'static str,
        domain: TimeDomain,
        handler: TimerHandler<F>,
    ) -> Result<Self> {
        let clock = wiring.services().clock.clone();
        let transform = wiring.transform().clone();
        let timers = wiring.timers(name)?;
        let index = timers.take(name, domain, TypeId::of::<Tag>(), handler);
        let index = index.map_err(|error| error.at("timer", name).at("transform", &*transform))?;
        let (writes, rules) = timers.parts();
        Ok(TimerFamily {
            name,
            index,
            domain,
            writes,
            rules,
            clock,
            key: Vec::new(),
            window: Vec::new(),
            is_inside: false,
        })
    }

    /// Goes to a key and window.
    pub(super) fn enter(&mut self, scope: &Scope<'_>) {
        self.key.clear();
        self.key.extend_from_slice(scope.key);
        self.window.clear();
        self.window.extend_from_slice(scope.window);
        self.is_inside = true;
    }

    pub(super) fn leave(&mut self) {
        self.is_inside = false;
    }

    pub(super) fn set(&self, cx: &mut Cx<'_>, tag: &str, when: When, hold: Hold) {
        if cx.failed() {
            return;
        }
        match self.firing(cx, when, hold) {
            Ok(firing) => self.write(tag, Some(firing)),
            Err(error) => cx.fail(error.at("timer", self.name)),
        }
    }

    pub(super) fn clear(&self, cx: &mut Cx<'_>, tag: &str) {
        if cx.failed() {
            return;
        }
        match self.check_inside() {
            Ok(()) => self.write(tag, None),
            Err(error) => cx.fail(error.at("timer", self.name)),
        }
    }

    fn write(&self, tag: &str, firing: Option<Firing>) {
        let scope = Scope {
            key: &self.key,
            window: &self.window,
        };
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.write(&scope, self.index, tag, firing);
    }

    fn check_inside(&self) -> Result<()> {
        if self.is_inside {
            Ok(())
        } else {
            Err(Error::user(
                "a timer belongs to a key and a window, so it can be set and cleared in `process` and in handlers only",
            ))
        }
    }

    /// What to tell the runner of a timer.
    fn firing(&self, cx: &Cx<'_>, when: When, hold: Hold) -> Result<Firing> {
        self.check_inside()?;
        let expiry = self.rules.expiry(&self.window)?;
        let at = match (when, self.domain) {
            (When::At(at), TimeDomain::EventTime) if at > expiry => {
                return Err(Error::user(format!(
                    "a timer at {at} is later than its window, which expires at {expiry}; set it earlier, or give its \
                     input wider windows or more allowed lateness"
                )));
            }
            (When::At(at), _) => at,
            (When::After(offset), TimeDomain::EventTime) => (cx.moment() + offset).min(expiry),
            (When::After(offset), TimeDomain::ProcessingTime) => {
                Timestamp::from_millis(self.clock.now_millis()) + offset
            }
        };
        let hold = match (hold, self.domain) {
            (Hold::Usual, TimeDomain::EventTime) => at,
            (Hold::Usual, TimeDomain::ProcessingTime) => cx.timestamp(),
            (Hold::Nothing, _) => Timestamp::MAX,
            (Hold::At(hold), domain) => {
                check_hold(cx, hold, expiry)?;
                if domain == TimeDomain::EventTime && hold > at {
                    return Err(Error::user(format!(
                        "the hold at {hold} is later than its timer at {at}; hold at the timer's time or earlier"
                    )));
                }
                hold
            }
        };
        Ok(Firing {
            at,
            hold,
            pane: cx.pane(),
        })
    }
}

fn check_hold(cx: &Cx<'_>, hold: Timestamp, expiry: Timestamp) -> Result<()> {
    if hold < cx.earliest() {
        return Err(Error::user(format!(
            "the hold at {hold} is earlier than the timestamp in hand, {}, less the allowed skew; the watermark may have \
             passed it",
            cx.timestamp()
        )));
    }
    if hold > expiry {
        return Err(Error::user(format!(
            "the hold at {hold} is later than the window, which expires at {expiry}; hold at an earlier time"
        )));
    }
    Ok(())
}
