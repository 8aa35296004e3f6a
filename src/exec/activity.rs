//! Where a bundle is: which transform runs, and in which phase.
//!
//! The bundle thread writes one word; a sampler and the loggers read it whenever they like.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a transform is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Setting up, or starting the bundle.
    Start,
    /// Processing elements.
    Process,
    /// Finishing the bundle.
    Finish,
    /// Processing timers.
    Timers,
}

/// The word: `turn << 32 | (index + 1) << 2 | phase`; zero where no transform runs.
#[derive(Clone, Default)]
pub struct Activity(Arc<AtomicU64>);

impl Activity {
    /// The index of the running transform among the plan's nodes, and its phase.
    pub fn now(&self) -> Option<(usize, Phase)> {
        let word = self.0.load(Relaxed);
        let phase = match word & 3 {
            0 => Phase::Start,
            1 => Phase::Process,
            2 => Phase::Finish,
            _ => Phase::Timers,
        };
        (word as u32 >> 2)
            .checked_sub(1)
            .map(|index| (index as usize, phase))
    }

    /// Which piece of work the running transform is at, if it says so by [`Here::proceed`].
    pub fn turn(&self) -> u32 {
        (self.0.load(Relaxed) >> 32) as u32
    }

    /// Says that no transform runs.
    pub fn clear(&self) {
        self.0.store(0, Relaxed);
    }

    /// The place of one transform.
    pub fn here(&self, index: usize) -> Here {
        Here {
            word: self.0.clone(),
            mine: (index as u64 + 1) << 2,
        }
    }
}

/// One transform's way to say that it runs.
pub struct Here {
    word: Arc<AtomicU64>,
    mine: u64,
}

impl Here {
    /// Says that this transform runs. Yields what ran before, for [`Here::leave`].
    ///
    /// An error leaves the word as it is, so that whoever reports the error can say where it happened.
    #[inline]
    pub fn enter(&self, phase: Phase) -> u64 {
        let before = self.word.load(Relaxed);
        self.word.store(self.mine | phase as u64, Relaxed);
        before
    }

    /// Says that this transform, which runs, is at piece `turn` of its work. Only for work that no edge brings: elements
    /// are counted, and so tell a bundle that moves from one that does not.
    #[inline]
    pub fn proceed(&self, turn: u32) {
        let place = self.word.load(Relaxed) as u32;
        self.word
            .store(u64::from(turn) << 32 | u64::from(place), Relaxed);
    }

    /// Says that what ran before runs again.
    #[inline]
    pub fn leave(&self, before: u64) {
        self.word.store(before, Relaxed);
    }
}

/// Milliseconds that one transform spent in each phase, as a sampler saw it.
#[derive(Default)]
pub struct PhaseTimes {
    millis: [AtomicU64; 4],
}

impl PhaseTimes {
    /// Adds to a phase.
    pub fn add(&self, phase: Phase, millis: u64) {
        self.millis[phase as usize].fetch_add(millis, Relaxed);
    }

    /// Milliseconds in `phase` so far in this bundle.
    pub fn get(&self, phase: Phase) -> u64 {
        self.millis[phase as usize].load(Relaxed)
    }

    /// Forgets everything: a new bundle begins.
    pub fn reset(&self) {
        for cell in &self.millis {
            cell.store(0, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_transforms_give_the_word_back() {
        let activity = Activity::default();
        assert_eq!(activity.now(), None);
        let (outer, inner) = (activity.here(0), activity.here(7));
        let idle = outer.enter(Phase::Process);
        let before = inner.enter(Phase::Finish);
        assert_eq!(activity.now(), Some((7, Phase::Finish)));
        inner.leave(before);
        assert_eq!(activity.now(), Some((0, Phase::Process)));
        outer.leave(idle);
        assert_eq!(activity.now(), None);
    }

    #[test]
    fn pieces_of_work_are_told_apart() {
        let activity = Activity::default();
        let (outer, inner) = (activity.here(0), activity.here(1));
        outer.enter(Phase::Finish);
        outer.proceed(1);
        outer.proceed(2);
        assert_eq!(
            (activity.now(), activity.turn()),
            (Some((0, Phase::Finish)), 2)
        );
        let before = inner.enter(Phase::Process);
        assert_eq!(
            (activity.now(), activity.turn()),
            (Some((1, Phase::Process)), 0)
        );
        inner.leave(before);
        assert_eq!(activity.turn(), 2);
    }
}
