//! The bundles that failed last, for people who ask.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How many are remembered.
const REMEMBERED: usize = 20;

/// The most of one error's text that is kept, in bytes.
const LONGEST: usize = 2 << 10;

/// A bundle that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) at: Instant,
    pub(crate) instruction: Arc<str>,
    pub(crate) error: String,
}

/// The bundles that failed last, and how many there were in all.
#[derive(Default)]
pub(crate) struct Failures(Mutex<(VecDeque<Failed>, u64)>);

impl Failures {
    pub(crate) fn add(&self, at: Instant, instruction: &Arc<str>, error: &str) {
        let error = error[..error.floor_char_boundary(LONGEST)].to_owned();
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, count) = &mut *failures;
        *count += 1;
        if last.len() >= REMEMBERED {
            last.pop_front();
        }
        last.push_back(Failed {
            at,
            instruction: instruction.clone(),
            error,
        });
    }

    /// The latest first, and how many there were in all.
    pub(crate) fn latest(&self) -> (Vec<Failed>, u64) {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (failures.0.iter().rev().cloned().collect(), failures.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_kept_in_part() {
        let (failures, now) = (Failures::default(), Instant::now());
        for n in 0..30 {
            failures.add(now, &n.to_string().into(), &"é".repeat(LONGEST));
        }
        let (latest, count) = failures.latest();
        assert_eq!((latest.len(), count), (REMEMBERED, 30));
        assert_eq!(&*latest[0].instruction, "29");
        assert_eq!(latest[0].error.len(), LONGEST);
    }
}
