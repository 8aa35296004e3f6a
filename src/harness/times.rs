//! How long each transform ran, also in bundles that are shorter than the time between two looks.
//!
//! The sampling thread sees where a bundle is; a bundle knows how long it ran. At its end, what samples do not account for
//! is spread as the samples lie: those of this bundle, else those of earlier bundles of the plan.

use std::time::Duration;

use crate::exec::{Phase, PhaseTimes};

const PHASES: [Phase; 4] = [Phase::Start, Phase::Process, Phase::Finish, Phase::Timers];

/// Something for each phase of one node.
type Cells = [u64; PHASES.len()];

/// What a plan knows of its transforms from one bundle to the next.
pub(crate) struct Account {
    /// By node: milliseconds that samples saw in all bundles, by phase.
    seen: Vec<Cells>,
    /// Nodes that run functions: they share what no sample ever saw.
    functions: Vec<usize>,
    /// Time that is too short to be a millisecond.
    carried: Duration,
}

impl Account {
    /// The account of a plan of so many nodes, of which some run functions.
    pub(crate) fn new(nodes: usize, functions: Vec<usize>) -> Self {
        Account {
            seen: vec![Cells::default(); nodes],
            functions,
            carried: Duration::ZERO,
        }
    }

    /// Completes the times of a bundle that ran for `active`, without the time in which it waited for input.
    pub(crate) fn settle(&mut self, times: &[PhaseTimes], active: Duration) {
        let mut sampled = 0;
        for (seen, times) in self.seen.iter_mut().zip(times) {
            for (seen, phase) in seen.iter_mut().zip(PHASES) {
                let millis = times.get(phase);
                *seen = seen.saturating_add(millis);
                sampled += millis;
            }
        }
        let owed = self.carried + active;
        let missing = owed.saturating_sub(Duration::from_millis(sampled));
        let millis = u64::try_from(missing.as_millis()).unwrap_or(u64::MAX);
        self.carried = missing.saturating_sub(Duration::from_millis(millis));
        if millis == 0 {
            return;
        }
        if sampled > 0 {
            let own = times
                .iter()
                .map(|times| PHASES.map(|phase| times.get(phase)));
            spread(millis, &own.collect::<Vec<_>>(), times);
        } else if self.seen.iter().flatten().any(|seen| *seen > 0) {
            spread(millis, &self.seen, times);
        } else {
            let mut even = vec![Cells::default(); times.len()];
            for node in &self.functions {
                even[*node][Phase::Process as usize] = 1;
            }
            spread(millis, &even, times);
        }
    }
}

/// Adds `millis` to the cells of `times`, in proportion to their weights. The parts add up to the whole.
fn spread(millis: u64, weights: &[Cells], times: &[PhaseTimes]) {
    let all: u128 = weights.iter().flatten().map(|w| u128::from(*w)).sum();
    if all == 0 {
        return;
    }
    let (mut weight_so_far, mut millis_so_far) = (0, 0);
    for (weights, times) in weights.iter().zip(times) {
        for (weight, phase) in weights.iter().zip(PHASES) {
            weight_so_far += u128::from(*weight);
            let until_here = u64::try_from(u128::from(millis) * weight_so_far / all);
            let part = until_here.unwrap_or(millis) - millis_so_far;
            if part > 0 {
                times.add(phase, part);
                millis_so_far += part;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(sampled: &[Cells]) -> Vec<PhaseTimes> {
        let cells = sampled.iter().map(|millis| {
            let times = PhaseTimes::default();
            for (phase, millis) in PHASES.into_iter().zip(millis) {
                times.add(phase, *millis);
            }
            times
        });
        cells.collect()
    }

    fn settled(account: &mut Account, sampled: &[Cells], micros: u64) -> Vec<Cells> {
        let times = cells(sampled);
        account.settle(&times, Duration::from_micros(micros));
        let read = times.iter().map(|t| PHASES.map(|phase| t.get(phase)));
        read.collect()
    }

    #[test]
    fn time_is_spread_as_samples_lie() {
        for (name, sampled, micros, expected) in [
            (
                "nothing missing",
                [[0, 300, 100, 0], [0, 0, 0, 0]],
                400_000,
                [[0, 300, 100, 0], [0, 0, 0, 0]],
            ),
            (
                "by this bundle's samples",
                [[0, 300, 100, 0], [0, 0, 0, 0]],
                480_000,
                [[0, 360, 120, 0], [0, 0, 0, 0]],
            ),
            (
                "no samples: what runs functions shares",
                [[0; 4], [0; 4]],
                25_900,
                [[0, 0, 0, 0], [0, 25, 0, 0]],
            ),
            (
                "samples that say too much stay",
                [[0, 100, 0, 0], [0, 0, 0, 0]],
                3_000,
                [[0, 100, 0, 0], [0, 0, 0, 0]],
            ),
        ] {
            let mut account = Account::new(2, vec![1]);
            assert_eq!(settled(&mut account, &sampled, micros), expected, "{name}");
        }
    }

    #[test]
    fn short_bundles_add_up() {
        let mut account = Account::new(2, vec![0]);
        assert_eq!(
            settled(&mut account, &[[0, 100, 0, 0], [0, 300, 0, 0]], 400_000),
            [[0, 100, 0, 0], [0, 300, 0, 0]]
        );
        // A thousand bundles of 0.4 ms are 400 ms, where earlier samples lay.
        let mut sum = [0; 2];
        for _ in 0..1000 {
            let times = settled(&mut account, &[[0; 4]; 2], 400);
            sum = [sum[0] + times[0][1], sum[1] + times[1][1]];
        }
        assert_eq!(sum[0] + sum[1], 400);
    }

    #[test]
    fn the_parts_add_up_to_the_whole() {
        let weights = [[1, 1, 1, 0], [1, 1, 1, 0], [1, 0, 0, 0]];
        let times = cells(&[[0; 4]; 3]);
        spread(100, &weights, &times);
        let all: u64 = times.iter().flat_map(|t| PHASES.map(|p| t.get(p))).sum();
        assert_eq!(all, 100);
    }
}
