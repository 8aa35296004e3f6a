//! How busy the machine is: measurements mean little while others use it.

use std::fs;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::process::ticks_per_second;

/// The machine counts as quiet while less than this share of it is busy.
const QUIET: f64 = 0.08;

/// CPU time of the whole machine since it started, in seconds of all processors together.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub(crate) struct MachineTime {
    pub(crate) total_s: f64,
    pub(crate) busy_s: f64,
    /// What the hypervisor gave to others.
    pub(crate) steal_s: f64,
}

impl MachineTime {
    /// The time now; zeros where the system does not tell.
    pub(crate) fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self::parse(&text, ticks_per_second())
    }

    /// The first line holds user, nice, system, idle, iowait, irq, softirq and steal.
    fn parse(text: &str, ticks_per_second: f64) -> Self {
        let first = text.lines().next().unwrap_or_default();
        let ticks = first.split_whitespace().skip(1).take(8);
        let seconds: Vec<f64> = ticks
            .map(|ticks| ticks.parse::<f64>().unwrap_or(0.0) / ticks_per_second)
            .collect();
        let of = |index: usize| seconds.get(index).copied().unwrap_or(0.0);
        let total_s = seconds.iter().sum();
        MachineTime {
            total_s,
            busy_s: total_s - of(3) - of(4),
            steal_s: of(7),
        }
    }

    /// What passed since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        MachineTime {
            total_s: self.total_s - earlier.total_s,
            busy_s: self.busy_s - earlier.busy_s,
            steal_s: self.steal_s - earlier.steal_s,
        }
    }

    /// The share of the whole machine that was busy.
    pub(crate) fn busy_share(self) -> f64 {
        self.busy_s / self.total_s.max(1e-9)
    }

    /// The share of the whole machine that the hypervisor gave to others.
    pub(crate) fn steal_share(self) -> f64 {
        self.steal_s / self.total_s.max(1e-9)
    }
}

/// Whether the machine was quiet during `span`.
pub(crate) async fn is_quiet(span: Duration) -> bool {
    let before = MachineTime::now();
    sleep(span).await;
    MachineTime::now().since(before).busy_share() < QUIET
}

/// Waits for the machine to be quiet, at most for `limit`.
pub(crate) async fn wait_quiet(limit: Duration) {
    let start = Instant::now();
    while start.elapsed() < limit {
        if is_quiet(Duration::from_millis(300)).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_waiting_time_is_not_busy() {
        let earlier = MachineTime::parse("cpu 100 0 100 700 100 0 0 0 9 9\ncpu0 1", 100.0);
        let later = MachineTime::parse("cpu 200 0 200 1400 100 0 0 100 9 9\n", 100.0);
        let passed = later.since(earlier);
        assert_eq!(
            passed,
            MachineTime {
                total_s: 10.0,
                busy_s: 3.0,
                steal_s: 1.0
            }
        );
        assert_eq!((passed.busy_share(), passed.steal_share()), (0.3, 0.1));
        assert_eq!(MachineTime::parse("", 100.0), MachineTime::default());
    }
}
