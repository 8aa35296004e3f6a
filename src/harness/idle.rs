//! Things that can be used again, until they have been idle for long.

use std::time::{Duration, Instant};

/// Idle things of several kinds.
pub(crate) struct IdlePool<T> {
    idle: Vec<Idle<T>>,
    longest: Duration,
}

struct Idle<T> {
    thing: T,
    since: Instant,
}

impl<T> IdlePool<T> {
    /// A pool of things that are worth keeping for so long.
    pub(crate) fn new(longest: Duration) -> Self {
        IdlePool {
            idle: Vec::new(),
            longest,
        }
    }

    pub(crate) fn put(&mut self, thing: T, now: Instant) {
        self.idle.push(Idle { thing, since: now });
    }

    /// The latest that is as wanted: it is the warmest, and the others may grow old enough to be dropped.
    pub(crate) fn find(&self, wanted: impl Fn(&T) -> bool) -> Option<&T> {
        let mut latest_first = self.idle.iter().rev();
        latest_first
            .find(|idle| wanted(&idle.thing))
            .map(|idle| &idle.thing)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.idle.iter().map(|idle| &idle.thing)
    }

    /// Takes what [`find`](Self::find) finds.
    pub(crate) fn take(&mut self, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let index = self.idle.iter().rposition(|idle| wanted(&idle.thing))?;
        Some(self.idle.remove(index).thing)
    }

    /// Takes what has been idle for too long.
    pub(crate) fn take_old(&mut self, now: Instant) -> Vec<T> {
        let longest = self.longest;
        let is_old = |idle: &mut Idle<T>| now.saturating_duration_since(idle.since) >= longest;
        let old = self.idle.extract_if(.., is_old);
        old.map(|idle| idle.thing).collect()
    }

    /// Takes everything.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        self.idle.drain(..).map(|idle| idle.thing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_is_used_again_and_the_old_are_dropped() {
        let minute = Duration::from_secs(60);
        let start = Instant::now();
        let mut pool = IdlePool::new(minute);
        for (n, thing) in ["a1", "b1", "a2", "b2"].into_iter().enumerate() {
            pool.put(thing, start + Duration::from_secs(n as u64));
        }
        let is_a = |thing: &&str| thing.starts_with('a');
        assert_eq!(pool.find(is_a), Some(&"a2"));
        assert_eq!(pool.take(is_a), Some("a2"));
        assert_eq!(
            pool.take_old(start + minute - Duration::from_millis(1)),
            [""; 0]
        );
        assert_eq!(
            pool.take_old(start + minute + Duration::from_secs(1)),
            ["a1", "b1"]
        );
        assert_eq!(pool.take(is_a), None);
        assert_eq!(pool.take_all(), ["b2"]);
    }
}
