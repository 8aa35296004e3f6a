//! Which runs count, and what is typical of them.

use crate::measurement::Measurement;

/// Fewer runs than this say nothing.
const ENOUGH: usize = 3;

/// The runs of one worker and case that count.
pub(super) struct Group<'a> {
    runs: Vec<&'a Measurement>,
    /// How many runs there were in all.
    pub(super) tries: usize,
    /// Whether there were too few clean ones, so that the least disturbed had to do.
    pub(super) disturbed: bool,
}

impl<'a> Group<'a> {
    /// The clean ones of `runs`, or the three that were disturbed least; `None` if there are no runs at all.
    pub(super) fn of(mut runs: Vec<&'a Measurement>) -> Option<Self> {
        let tries = runs.len();
        let clean: Vec<_> = runs.iter().copied().filter(|run| run.clean).collect();
        let disturbed = clean.len() < ENOUGH;
        if disturbed {
            runs.sort_by(|a, b| a.foreign_cores.total_cmp(&b.foreign_cores));
            runs.truncate(ENOUGH);
        } else {
            runs = clean;
        }
        (tries > 0).then_some(Group {
            runs,
            tries,
            disturbed,
        })
    }

    /// The runs of a worker on a case.
    pub(super) fn find(
        runs: &'a [Measurement],
        harness: &str,
        scenario: &str,
        case: &str,
    ) -> Option<Self> {
        let matching = runs
            .iter()
            .filter(|run| run.harness == harness && run.scenario == scenario && run.case == case);
        Group::of(matching.collect())
    }

    /// How many runs count.
    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// The median of a value.
    pub(super) fn median(&self, value: impl Fn(&Measurement) -> f64) -> f64 {
        let mut values: Vec<f64> = self.runs.iter().map(|run| value(run)).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match (values.get(middle), values.len() % 2) {
            (Some(value), 1) => *value,
            (Some(value), _) => (value + values[middle - 1]) / 2.0,
            (None, _) => 0.0,
        }
    }

    /// The largest difference, as a share of the median.
    pub(super) fn spread(&self, value: impl Fn(&Measurement) -> f64) -> f64 {
        let values = self.runs.iter().map(|run| value(run));
        let (min, max) = values.fold((f64::INFINITY, 0.0_f64), |(min, max), value| {
            (min.min(value), max.max(value))
        });
        (max - min) / self.median(value).max(f64::MIN_POSITIVE)
    }

    /// A star for disturbed runs.
    pub(super) fn mark(&self) -> &'static str {
        if self.disturbed { "*" } else { "" }
    }
}

/// A number with at most three digits that matter.
pub(super) fn short(number: f64) -> String {
    match number.abs() {
        size if size >= 1e6 => format!("{:.2}M", number / 1e6),
        size if size >= 1e4 => format!("{:.0}k", number / 1e3),
        size if size >= 1e3 => format!("{:.1}k", number / 1e3),
        size if size >= 10.0 => format!("{number:.0}"),
        size if size >= 1.0 => format!("{number:.1}"),
        _ => format!("{number:.3}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn run(units_per_s: f64, foreign_cores: f64) -> Measurement {
        Measurement {
            units_per_s,
            foreign_cores,
            clean: foreign_cores < 0.2,
            ..Measurement::default()
        }
    }

    #[test]
    fn clean_runs_count_alone_if_there_are_enough() {
        let runs = [run(1.0, 0.0), run(9.0, 0.9), run(2.0, 0.1), run(4.0, 0.1)];
        let group = Group::of(runs.iter().collect()).unwrap();
        assert_eq!((group.len(), group.tries, group.mark()), (3, 4, ""));
        assert_eq!(group.median(|run| run.units_per_s), 2.0);
        assert_eq!(group.spread(|run| run.units_per_s), 1.5);
    }

    #[test]
    fn otherwise_the_least_disturbed_do() {
        let runs = [run(1.0, 0.9), run(2.0, 0.1), run(3.0, 0.3), run(4.0, 0.4)];
        let group = Group::of(runs.iter().collect()).unwrap();
        assert_eq!((group.len(), group.mark()), (3, "*"));
        assert_eq!(group.median(|run| run.units_per_s), 3.0);
        let group = Group::of(runs[..2].iter().collect()).unwrap();
        assert_eq!(group.median(|run| run.units_per_s), 1.5);
        assert!(Group::of(vec![]).is_none());
    }

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.1234, "0.123"),
            (5.25, "5.2"),
            (305.4, "305"),
            (5100.0, "5.1k"),
            (305_400.0, "305k"),
            (10_266_000.0, "10.27M"),
        ];
        for (number, text) in cases {
            assert_eq!(short(number), text);
        }
    }
}
