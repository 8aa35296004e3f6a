//! Bundles that stay in one place: for how long, and what is to be said or done about it.
//!
//! Knows no clock and no thread: it is told what was seen and when.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::watch::Watch;
use crate::exec::Phase;

/// Warnings about one stay come ever more seldom, but no more seldom than this.
const SELDOM: Duration = Duration::from_secs(60 * 60);

/// Bundles that are warned of at one look; more at once say nothing new.
const AT_ONCE: usize = 10;

/// Where a bundle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Its plan is being made: of which node the function is being set up, if of one.
    Creation(Option<usize>),
    /// It waits for input, or for a thread. That is the runner's time, however long.
    Input,
    /// A transform runs. `steps` counts what the bundle has taken in and put out so far: as long as it grows, the bundle
    /// is not stuck, even if it is seen in the same transform again and again.
    Transform {
        node: usize,
        phase: Phase,
        steps: u64,
    },
}

impl Place {
    /// The node that the bundle is in, if it is in one.
    pub(crate) fn node(self) -> Option<usize> {
        match self {
            Place::Creation(node) => node,
            Place::Input => None,
            Place::Transform { node, .. } => Some(node),
        }
    }
}

/// A bundle that has been in one place for long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lull {
    pub(crate) bundle: Arc<str>,
    pub(crate) place: Place,
    pub(crate) held: Duration,
}

/// What one look finds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Lulls to warn of, the longest first.
    pub(crate) lulls: Vec<Lull>,
    /// How many more there were.
    pub(crate) more: usize,
    /// The longest stay that is beyond the time that an element may take.
    pub(crate) expired: Option<Lull>,
}

/// The places of all bundles that live.
pub(crate) struct Lulls {
    watch: Watch,
    stays: HashMap<Arc<str>, Stay>,
}

struct Stay {
    place: Place,
    since: Instant,
    /// How long the stay must last until it is warned of again.
    due: Duration,
    look: u64,
}

impl Lulls {
    pub(crate) fn new(watch: Watch) -> Self {
        Lulls {
            watch,
            stays: HashMap::new(),
        }
    }

    /// Takes what was seen: each bundle that lives, and its place. Bundles that are missing have ended.
    pub(crate) fn look(
        &mut self,
        now: Instant,
        seen: impl IntoIterator<Item = (Arc<str>, Place)>,
    ) -> Findings {
        let Watch { lull, timeout, .. } = self.watch;
        let look = self.stays.values().next().map_or(0, |stay| stay.look + 1);
        let mut found = Findings::default();
        for (bundle, place) in seen {
            let arrived = Stay {
                place,
                since: now,
                due: lull,
                look,
            };
            let stay = self.stays.entry(bundle.clone()).or_insert(arrived);
            stay.look = look;
            if stay.place != place {
                (stay.place, stay.since, stay.due) = (place, now, lull);
            }
            let held = now.saturating_duration_since(stay.since);
            if place == Place::Input {
                continue;
            }
            let is_due = held >= stay.due;
            if is_due {
                stay.due = held + held.min(SELDOM);
            }
            let longest = found.expired.as_ref().map_or(Duration::ZERO, |l| l.held);
            let is_expired = timeout.is_some_and(|timeout| held >= timeout) && held >= longest;
            if !is_due && !is_expired {
                continue;
            }
            let stay = Lull {
                bundle,
                place,
                held,
            };
            if is_due {
                found.lulls.push(stay.clone());
            }
            if is_expired {
                found.expired = Some(stay);
            }
        }
        self.stays.retain(|_, stay| stay.look == look);
        found.lulls.sort_by_key(|lull| std::cmp::Reverse(lull.held));
        found.more = found.lulls.len().saturating_sub(AT_ONCE);
        found.lulls.truncate(AT_ONCE);
        found
    }

    /// Where a bundle was seen last, and since when it is there.
    pub(crate) fn stay(&self, bundle: &str) -> Option<(Place, Instant)> {
        let stay = self.stays.get(bundle)?;
        Some((stay.place, stay.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(node: usize, steps: u64) -> Place {
        Place::Transform {
            node,
            phase: Phase::Process,
            steps,
        }
    }

    fn lulls(timeout: Option<u32>) -> Lulls {
        Lulls::new(Watch {
            timeout: timeout.map(|minutes| MINUTE * minutes),
            ..Watch::default()
        })
    }

    /// Minutes at which a bundle is warned of that is seen in a place each minute.
    fn warned(places: impl Fn(u32) -> Option<Place>, minutes: u32) -> Vec<u32> {
        let (mut lulls, start) = (lulls(None), Instant::now());
        let mut warned = Vec::new();
        for minute in 0..minutes {
            let seen = places(minute).map(|place| (Arc::from("b"), place));
            let found = lulls.look(start + MINUTE * minute, seen);
            for lull in found.lulls {
                assert_eq!(&*lull.bundle, "b");
                warned.push(minute);
            }
            assert_eq!(found.expired, None);
        }
        warned
    }

    #[test]
    fn a_stay_is_warned_of_after_five_minutes_and_then_ever_more_seldom() {
        let stuck = |_| Some(at(1, 7));
        assert_eq!(warned(stuck, 250), [5, 10, 20, 40, 80, 140, 200]);
    }

    #[test]
    fn whatever_moves_is_not_stuck() {
        for (name, places) in [
            (
                "the next element",
                (|m| Some(at(1, u64::from(m)))) as fn(u32) -> Option<Place>,
            ),
            ("another transform", |m| Some(at(m as usize % 2, 7))),
            ("waits for input", |_| Some(Place::Input)),
            ("another function is set up", |m| {
                Some(Place::Creation(Some(m as usize)))
            }),
            ("ends and comes again", |m| (m % 4 != 3).then(|| at(1, 7))),
        ] {
            assert_eq!(warned(places, 60), [0u32; 0], "{name}");
        }
    }

    #[test]
    fn creation_is_watched_too() {
        let places = |minute| {
            Some(match minute {
                0..3 => Place::Creation(None),
                3..9 => Place::Creation(Some(2)),
                _ => at(2, 0),
            })
        };
        // In setup since minute 3; in the first element since minute 9.
        assert_eq!(warned(places, 15), [8, 14]);
    }

    #[test]
    fn the_longest_come_first_and_too_many_are_counted() {
        let (mut lulls, start) = (lulls(None), Instant::now());
        let seen = |count: u32| (0..count).map(|n| (Arc::from(n.to_string()), at(0, 0)));
        for second in 0..15 {
            let now = start + Duration::from_secs(u64::from(second));
            assert_eq!(lulls.look(now, seen(second + 1)), Findings::default());
        }
        let found = lulls.look(start + 6 * MINUTE, seen(15));
        let names: Vec<_> = found.lulls.iter().map(|lull| &*lull.bundle).collect();
        assert_eq!(names, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        assert_eq!(found.more, 5);
    }

    #[test]
    fn an_element_may_take_so_long_and_no_longer() {
        let (mut lulls, start) = (lulls(Some(2)), Instant::now());
        let seen = || [("slow", at(3, 1)), ("hungry", Place::Input)];
        let seen = || seen().map(|(name, place)| (Arc::from(name), place));
        let mut expired = |seconds| {
            let now = start + Duration::from_secs(seconds);
            lulls.look(now, seen()).expired
        };
        assert_eq!(expired(0), None);
        assert_eq!(expired(119), None);
        let expected = Lull {
            bundle: "slow".into(),
            place: at(3, 1),
            held: 2 * MINUTE,
        };
        assert_eq!(expired(120), Some(expected));
        assert_eq!(lulls.stay("slow"), Some((at(3, 1), start)));
        assert_eq!(lulls.stay("gone"), None);
    }
}
