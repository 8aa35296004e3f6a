//! How much anybody in this process wants to know.
//!
//! `tracing` is asked once which events are wanted at all; the rest cost one comparison each. Workers come and go with
//! levels of their own, so the answer changes.

use std::sync::{Mutex, PoisonError};

use tracing::level_filters::LevelFilter;

const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// By level, how many want it.
static WANTED: Mutex<[usize; LEVELS.len()]> = Mutex::new([0; LEVELS.len()]);

/// Keeps events of a level and of more severe ones coming as long as it lives.
pub(crate) struct Verbosity(usize);

impl Verbosity {
    pub(crate) fn new(level: LevelFilter) -> Self {
        let index = LEVELS.iter().position(|known| *known == level);
        let index = index.unwrap_or_default();
        change(|wanted| wanted[index] += 1);
        Verbosity(index)
    }
}

impl Drop for Verbosity {
    fn drop(&mut self) {
        change(|wanted| wanted[self.0] -= 1);
    }
}

/// The most that anybody wants.
pub(crate) fn most() -> LevelFilter {
    most_of(&WANTED.lock().unwrap_or_else(PoisonError::into_inner))
}

fn most_of(wanted: &[usize; LEVELS.len()]) -> LevelFilter {
    let most = wanted.iter().rposition(|count| *count > 0);
    LEVELS[most.unwrap_or_default()]
}

fn change(change: impl FnOnce(&mut [usize; LEVELS.len()])) {
    let (before, after) = {
        let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
        let before = most_of(&wanted);
        change(&mut wanted);
        (before, most_of(&wanted))
    };
    if before != after {
        // Asks the subscriber again, which asks `most`.
        tracing::callsite::rebuild_interest_cache();
        log::set_max_level(match after {
            LevelFilter::OFF => log::LevelFilter::Off,
            LevelFilter::ERROR => log::LevelFilter::Error,
            LevelFilter::WARN => log::LevelFilter::Warn,
            LevelFilter::INFO => log::LevelFilter::Info,
            LevelFilter::DEBUG => log::LevelFilter::Debug,
            _ => log::LevelFilter::Trace,
        });
    }
}
