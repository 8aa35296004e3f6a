//! Time on a bench: the timers that a tester's bundles have set, and how they fire.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::dofn_tester::Wired;
use super::{DoFnTester, OutputsOf};
use crate::dofn::timer::{KeyOf, TimerRules};
use crate::dofn::{Clock, Cx, DoFn, Fired, Scope, TimeDomain};
use crate::element::{
    Element, Firing, Header, Input, Keyed, KvVisitor, Nesting, Pane, Timestamp, WindowBytes,
    decoded, encoded,
};
use crate::error::{Context, Error, Result};
use crate::exec::{LocalTimers, emits_at};

/// A family of timers.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) domain: TimeDomain,
    /// Whether its timers fire when windows expire.
    pub(super) is_expiration: bool,
    /// The type that its port is named after.
    pub(super) tag: Option<TypeId>,
}

/// A timer: key, window, family and tag.
type Id = (Vec<u8>, Vec<u8>, usize, String);

/// The timers that are set, and the clock.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) families: Vec<Family>,
    set: BTreeMap<Id, Firing>,
    pub(super) clock: Arc<TestClock>,
}

impl Pending {
    /// Takes over what a bundle has written.
    pub(super) fn take_over(&mut self, local: &Mutex<LocalTimers>) {
        let mut local = local.lock().unwrap_or_else(PoisonError::into_inner);
        for (scope, family, tag, firing) in local.writes() {
            let id = (scope.key.into(), scope.window.into(), family, tag.into());
            match firing {
                Some(firing) => self.set.insert(id, *firing),
                None => self.set.remove(&id),
            };
        }
        local.clear();
    }

    /// Notes that there was an element in a scope, which expires some time.
    pub(super) fn saw(&mut self, scope: &Scope<'_>, rules: &TimerRules) -> Result<()> {
        let expirations = self.families.iter().enumerate();
        for (family, _) in expirations.filter(|(_, family)| family.is_expiration) {
            let id = (scope.key.into(), scope.window.into(), family, String::new());
            let firing = Firing {
                at: rules.expiry(scope.window)?,
                hold: (rules.end_of)(scope.window)?,
                pane: Pane::NO_FIRING,
            };
            self.set.insert(id, firing);
        }
        Ok(())
    }

    /// Takes the first timer, in the order of time, of those that are wanted.
    fn take(&mut self, wanted: impl Fn(&Id, &Firing, &Family) -> bool) -> Option<(Id, Firing)> {
        let set = self.set.iter();
        let (id, _) = set
            .filter(|(id, firing)| wanted(id, firing, &self.families[id.2]))
            .min_by_key(|(_, firing)| firing.at)?;
        self.set.remove_entry(&id.clone())
    }
}

impl<F: DoFn> DoFnTester<F> {
    /// Moves the watermark of the input: event-time timers that are due fire in the order of their times, in one bundle.
    /// Those that handlers set meanwhile are among them; windows expire.
    ///
    /// # Errors
    /// What fails the bundle; or an earlier bundle failed.
    pub fn advance_watermark(&mut self, to: Timestamp) -> Result<OutputsOf<F>> {
        self.bundle_of_timers(move |pending| {
            pending
                .take(|_, firing, family| family.domain == TimeDomain::EventTime && firing.at <= to)
        })
    }

    /// Moves the clock, which stands at the beginning of 1970 at first: processing-time timers that are due fire in the order
    /// of their times, in one bundle. Those that handlers set meanwhile are among them.
    ///
    /// # Errors
    /// What fails the bundle; or an earlier bundle failed.
    pub fn advance_processing_time(&mut self, by: Duration) -> Result<OutputsOf<F>> {
        let now = self.pending.clock.advance(by);
        self.bundle_of_timers(move |pending| {
            pending.take(|_, firing, family| {
                family.domain == TimeDomain::ProcessingTime && firing.at <= now
            })
        })
    }

    /// Fires the timers of a key that are named after `Tag`, whatever their times, in the order of these, in one bundle.
    /// `Tag` may be [`WindowExpiration`](crate::dofn::WindowExpiration).
    ///
    /// # Errors
    /// What fails the bundle; no such timer is set; or an earlier bundle failed.
    pub fn fire<Tag: 'static>(&mut self, key: &KeyOf<F>) -> Result<OutputsOf<F>>
    where
        F::In: Keyed,
    {
        let key = encoded(key, Nesting::Nested);
        let tag = Some(TypeId::of::<Tag>());
        let set = self.pending.set.iter();
        let mut wanted: Vec<_> = set
            .filter(|((of, _, family, _), _)| {
                *of == key && self.pending.families[*family].tag == tag
            })
            .map(|(id, firing)| (firing.at, id.clone()))
            .collect();
        wanted.sort();
        if wanted.is_empty() {
            return Err(Error::user(
                "no such timer is set for this key; run elements that set it",
            ));
        }
        let mut wanted = wanted.into_iter();
        self.bundle_of_timers(move |pending| {
            // A handler may have cleared the next ones.
            wanted.find_map(|(_, id)| pending.set.remove_entry(&id))
        })
    }

    /// Runs a bundle of the timers that `next` takes.
    fn bundle_of_timers(
        &mut self,
        mut next: impl FnMut(&mut Pending) -> Option<(Id, Firing)>,
    ) -> Result<OutputsOf<F>> {
        self.run_bundle(|tester, wired| {
            while let Some((id, firing)) = next(&mut tester.pending) {
                tester.fire_one(wired, &id, &firing)?;
                tester.pending.take_over(&wired.local);
            }
            Ok(())
        })
    }

    fn fire_one(&mut self, wired: &mut Wired<F>, id: &Id, firing: &Firing) -> Result<()> {
        use crate::dofn::Ports;
        let (key, window, family, tag) = id;
        let scope = Scope { key, window };
        let Family { name, domain, .. } = self.pending.families[*family];
        let mut windows = WindowBytes::none();
        windows.push(window);
        let header = Header {
            timestamp: emits_at(firing, domain, window, &wired.rules)?,
            windows,
            pane: firing.pane,
            metadata: None,
        };
        let moment = (domain == TimeDomain::EventTime).then_some(firing.at);
        wired.io.enter(&scope)?;
        let mut cx = Cx::of_timer(&header, F::ALLOWED_TIMESTAMP_SKEW, moment);
        let fired = Fired { at: firing.at, tag };
        let handler = wired.handlers.get(*family)?;
        let key = F::In::visit(KeyOfBytes(key))?;
        let outcome = handler(&mut self.function, &*key, fired, &mut cx, &mut wired.io);
        outcome.and_then(|()| cx.outcome()).at("timer", name)
    }
}

/// The bytes of an element's key; none where it has no key.
pub(super) fn key_of<T: Element>(element: &T) -> Result<Vec<u8>> {
    let bytes = encoded(element, Nesting::Nested);
    let length = T::visit(KeyLength(&bytes))?;
    Ok(bytes[..length].to_vec())
}

struct KeyLength<'a>(&'a [u8]);

impl KvVisitor for KeyLength<'_> {
    type Output = Result<usize>;

    fn kv<K: Element, V: Element>(self) -> Result<usize> {
        let mut input = Input::new(self.0);
        K::skip(&mut input, Nesting::Nested)?;
        Ok(self.0.len() - input.remaining())
    }

    fn other(self) -> Result<usize> {
        Ok(0)
    }
}

/// Reads a key.
struct KeyOfBytes<'a>(&'a [u8]);

impl KvVisitor for KeyOfBytes<'_> {
    type Output = Result<Box<dyn Any>>;

    fn kv<K: Element, V: Element>(self) -> Self::Output {
        Ok(Box::new(decoded::<K>(self.0, Nesting::Nested)?))
    }

    fn other(self) -> Self::Output {
        Err(Error::user("the function's input has no keys"))
    }
}

/// A clock that a test moves: tests do not depend on the time of day.
#[derive(Default)]
pub(super) struct TestClock(AtomicI64);

impl TestClock {
    fn advance(&self, by: Duration) -> Timestamp {
        let now = Timestamp::from_millis(self.now_millis()) + by;
        self.0.store(now.millis(), Ordering::Relaxed);
        now
    }
}

impl Clock for TestClock {
    fn now_millis(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
