//! All workers and cases, one row each.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::medians::{Group, short};
use crate::measurement::Measurement;

const HEAD: &str = "\
| scenario/case | worker | runs | units/s | spread | units/s per core | cores | in MB/s | out MB/s | CPU s | sys % \
| driver cores | bundles/s | CPU µs/bundle | p50 ms | p99 ms | RSS idle/peak MB | other cores |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// The table, in the order in which workers and cases ran first.
pub(super) fn table(runs: &[Measurement]) -> String {
    let mut order = Vec::new();
    let mut groups: HashMap<_, Vec<&Measurement>> = HashMap::new();
    for run in runs {
        let key = (&run.scenario, &run.case, &run.harness, &run.label);
        let group = groups.entry(key).or_default();
        if group.is_empty() {
            order.push(key);
        }
        group.push(run);
    }
    let mut table = HEAD.to_owned();
    for key in order {
        let (scenario, case, harness, label) = key;
        if let Some(group) = groups.remove(&key).and_then(Group::of) {
            let worker = format!("{harness} {label}");
            let _infallible = row(
                &mut table,
                &format!("{scenario}/{case}"),
                worker.trim(),
                &group,
            );
        }
    }
    table
}

fn row(table: &mut String, place: &str, worker: &str, group: &Group<'_>) -> std::fmt::Result {
    let median = |value: fn(&Measurement) -> f64| group.median(value);
    writeln!(
        table,
        "| {place} | {worker} | {}{} of {} | {} | {:.0} % | {} | {:.2} | {:.1} | {:.1} | {:.2} | {:.0} | {:.2} | {} \
         | {} | {:.3} | {:.3} | {:.0}/{:.0} | {:.2} |",
        group.len(),
        group.mark(),
        group.tries,
        short(median(|run| run.units_per_s)),
        100.0 * group.spread(|run| run.units_per_s),
        short(median(|run| run.units_per_cpu_s)),
        median(|run| run.harness_cores),
        median(|run| run.in_mb_per_s),
        median(|run| run.out_mb_per_s),
        median(|run| run.harness_cpu_s),
        median(|run| 100.0 * run.harness_sys_s / run.harness_cpu_s.max(1e-9)),
        median(|run| run.driver_cores),
        short(median(|run| run.bundles_per_s)),
        short(median(|run| run.cpu_us_per_bundle)),
        median(|run| run.lat_ms.p50),
        median(|run| run.lat_ms.p99),
        median(|run| run.rss_idle_mb),
        median(|run| run.rss_peak_mb),
        median(|run| run.foreign_cores),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_and_case_is_a_row() {
        let run = |harness: &str, case: &str| Measurement {
            harness: harness.into(),
            scenario: "identity".into(),
            case: case.into(),
            units_per_s: 5e6,
            ..Measurement::default()
        };
        let runs = [run("rust", "a"), run("python", "a"), run("rust", "a")];
        let table = table(&runs);
        let rows: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(rows.len(), 2);
        assert!(
            rows[0].starts_with("| identity/a | rust | 2* of 2 | 5.00M | 0 % |"),
            "{}",
            rows[0]
        );
        let columns = |line: &str| line.matches('|').count();
        assert!(
            table.lines().all(|line| columns(line) == columns(rows[0])),
            "{table}"
        );
    }
}
