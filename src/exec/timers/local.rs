//! What a bundle has done to timers so far.
//!
//! The runner learns of it when the bundle ends, and until then the bundle must act as if it knew: a timer that was
//! moved or cleared does not fire as it was before, and one that was set fires in its turn.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::dofn::timer::TimerWrites;
use crate::dofn::{Scope, TimeDomain};
use crate::element::{Firing, Timestamp};

/// A timer within its key and window: its family, and its tag.
pub(crate) type TimerId = (usize, Box<str>);

/// The timers that a bundle has set and cleared, by key and window.
pub(crate) struct LocalTimers {
    /// Of each family.
    domains: Vec<TimeDomain>,
    /// Indices into `scopes`.
    index: HashMap<Box<[u8]>, usize>,
    /// In the order in which they were first written to.
    scopes: Vec<InScope>,
    scratch: Vec<u8>,
}

/// The timers of one key and window.
struct InScope {
    key: Box<[u8]>,
    window: Box<[u8]>,
    /// The last write to each timer.
    last: BTreeMap<TimerId, Option<Firing>>,
    /// Those that are set, in the order in which they fire.
    event: BTreeSet<(Timestamp, TimerId)>,
    processing: BTreeSet<(Timestamp, TimerId)>,
}

impl InScope {
    fn set(&mut self, domain: TimeDomain) -> &mut BTreeSet<(Timestamp, TimerId)> {
        match domain {
            TimeDomain::EventTime => &mut self.event,
            TimeDomain::ProcessingTime => &mut self.processing,
        }
    }

    /// Takes the first timer of a domain, if it is due at `now`. What is left of it is that it is not set.
    fn take_due(&mut self, domain: TimeDomain, now: Timestamp) -> Option<(TimerId, Firing)> {
        let (at, _) = self.set(domain).first()?;
        if *at > now {
            return None;
        }
        let (_, id) = self.set(domain).pop_first()?;
        let firing = self.last.get_mut(&id)?.take()?;
        Some((id, firing))
    }
}

impl LocalTimers {
    /// Nothing was done yet to families of these domains.
    pub(crate) fn new(domains: Vec<TimeDomain>) -> Self {
        LocalTimers {
            domains,
            index: HashMap::new(),
            scopes: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Forgets everything: a new bundle begins.
    pub(crate) fn clear(&mut self) {
        self.index.clear();
        self.scopes.clear();
    }

    /// The position of a scope in `index`, as bytes in `scratch`.
    fn spell(&mut self, scope: &Scope<'_>) {
        self.scratch.clear();
        self.scratch
            .extend_from_slice(&scope.key.len().to_le_bytes());
        self.scratch.extend_from_slice(scope.key);
        self.scratch.extend_from_slice(scope.window);
    }

    fn find(&mut self, scope: &Scope<'_>) -> Option<&mut InScope> {
        if self.scopes.is_empty() {
            return None;
        }
        self.spell(scope);
        let index = self.index.get(&self.scratch[..])?;
        self.scopes.get_mut(*index)
    }

    fn find_or_add(&mut self, scope: &Scope<'_>) -> &mut InScope {
        self.spell(scope);
        let index = match self.index.get(&self.scratch[..]) {
            Some(index) => *index,
            None => {
                let index = self.scopes.len();
                self.index.insert(self.scratch[..].into(), index);
                self.scopes.push(InScope {
                    key: scope.key.into(),
                    window: scope.window.into(),
                    last: BTreeMap::new(),
                    event: BTreeSet::new(),
                    processing: BTreeSet::new(),
                });
                index
            }
        };
        &mut self.scopes[index]
    }

    /// Takes a timer of a scope that must fire before one of `domain` at `at`, which the runner has fired. `clock` is the
    /// wall time.
    ///
    /// Timers of the same domain do, up to that time. The wall clock is known in any case, so processing-time timers
    /// also do before an event-time timer, and before it all the more: whoever waits for them waits in person. How far the
    /// watermark is, the firing of a processing-time timer does not tell.
    pub(crate) fn take_due(
        &mut self,
        scope: &Scope<'_>,
        domain: TimeDomain,
        at: Timestamp,
        clock: Timestamp,
    ) -> Option<(TimerId, Firing)> {
        let scope = self.find(scope)?;
        match domain {
            TimeDomain::ProcessingTime => scope.take_due(domain, at),
            TimeDomain::EventTime => scope
                .take_due(TimeDomain::ProcessingTime, clock)
                .or_else(|| scope.take_due(domain, at)),
        }
    }

    /// Whether the bundle has written to a timer, so that what the runner knew of it no longer holds.
    pub(crate) fn is_overwritten(&mut self, scope: &Scope<'_>, family: usize, tag: &str) -> bool {
        self.find(scope)
            .is_some_and(|scope| scope.last.contains_key(&(family, Box::from(tag))))
    }

    /// The last write to each timer that the bundle has written to.
    pub(crate) fn writes(&self) -> impl Iterator<Item = (Scope<'_>, usize, &str, Option<&Firing>)> {
        self.scopes.iter().flat_map(|in_scope| {
            let scope = Scope {
                key: &in_scope.key,
                window: &in_scope.window,
            };
            let writes = in_scope.last.iter();
            writes.map(move |((family, tag), firing)| (scope, *family, &**tag, firing.as_ref()))
        })
    }
}

impl TimerWrites for LocalTimers {
    fn write(&mut self, scope: &Scope<'_>, family: usize, tag: &str, firing: Option<Firing>) {
        let domain = self.domains.get(family).copied();
        let domain = domain.unwrap_or(TimeDomain::EventTime);
        let scope = self.find_or_add(scope);
        let id: TimerId = (family, tag.into());
        let before = scope.last.insert(id.clone(), firing).flatten();
        let set = scope.set(domain);
        if let Some(before) = before {
            set.remove(&(before.at, id.clone()));
        }
        if let Some(firing) = firing {
            set.insert((firing.at, id));
        }
    }
}
