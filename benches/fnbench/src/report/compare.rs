//! Two workers and the ceiling, side by side.

use std::fmt::Write as _;

use super::medians::{Group, short};
use crate::measurement::Measurement;
use crate::scenario::Scenario;

/// The worker without user code.
const SINK: &str = "sink";

/// The table, for the cases that `scenarios` have and `ours` has run.
pub(super) fn table(
    runs: &[Measurement],
    scenarios: &[Scenario],
    ours: &str,
    theirs: &str,
) -> String {
    let mut table = format!(
        "Units per second and core; medians. `*`: fewer than three undisturbed runs.\n\n\
         | scenario/case | {ours} | {theirs} | ceiling | {ours} ÷ {theirs} | {ours} ÷ ceiling \
         | wall units/s {ours}, {theirs} | p50/p99 ms {ours} | p50/p99 ms {theirs} \
         | CPU µs/bundle {ours}, {theirs} | RSS idle/peak MB {ours} | RSS idle/peak MB {theirs} |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n"
    );
    for scenario in scenarios {
        for case in scenario.cases() {
            let find = |worker: &str| Group::find(runs, worker, &scenario.name, &case.name);
            let Some(our) = find(ours) else { continue };
            let their = find(theirs);
            let mode = case.ceilings.first().map(|ceiling| ceiling.mode.as_str());
            let ceiling = mode.and_then(|mode| Some((mode, find(&format!("{SINK}-{mode}"))?)));
            let place = format!("{}/{}", scenario.name, case.name);
            let _infallible = row(&mut table, &place, &our, their.as_ref(), ceiling.as_ref());
        }
    }
    table
}

fn row(
    table: &mut String,
    place: &str,
    ours: &Group<'_>,
    theirs: Option<&Group<'_>>,
    ceiling: Option<&(&str, Group<'_>)>,
) -> std::fmt::Result {
    let per_core = |group: &Group<'_>| group.median(|run| run.units_per_cpu_s);
    let cell = |group: &Group<'_>| format!("{}{}", short(per_core(group)), group.mark());
    let ratio = |other: &Group<'_>| {
        let ratio = per_core(ours) / per_core(other).max(f64::MIN_POSITIVE);
        if ratio >= 2.0 {
            format!("{}×", short(ratio))
        } else {
            format!("{:.0} %", 100.0 * ratio)
        }
    };
    let wall = |group: &Group<'_>| short(group.median(|run| run.units_per_s));
    let latency = |group: &Group<'_>| {
        format!(
            "{:.3}/{:.3}",
            group.median(|run| run.lat_ms.p50),
            group.median(|run| run.lat_ms.p99)
        )
    };
    let cpu = |group: &Group<'_>| short(group.median(|run| run.cpu_us_per_bundle));
    let memory = |group: &Group<'_>| {
        format!(
            "{:.0}/{:.0}",
            group.median(|run| run.rss_idle_mb),
            group.median(|run| run.rss_peak_mb)
        )
    };
    let theirs_or = |cell: &dyn Fn(&Group<'_>) -> String| theirs.map_or("–".to_owned(), cell);
    let (sink, sink_ratio) = match ceiling {
        Some((mode, group)) => (format!("{} ({mode})", cell(group)), ratio(group)),
        None => ("–".to_owned(), "–".to_owned()),
    };
    writeln!(
        table,
        "| {place} | {} | {} | {sink} | {} | {sink_ratio} | {}, {} | {} | {} | {}, {} | {} | {} |",
        cell(ours),
        theirs_or(&cell),
        theirs_or(&ratio),
        wall(ours),
        theirs_or(&wall),
        latency(ours),
        theirs_or(&latency),
        cpu(ours),
        theirs_or(&cpu),
        memory(ours),
        theirs_or(&memory),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn ratios_are_of_medians_per_core() {
        let scenario: Scenario = serde_json::from_str(
            r#"{"name": "identity", "descriptor": "d", "source": {"transform_id": "s", "templates": "t"},
                "cases": [{"name": "a", "elements_per_bundle": 1, "bundles": 1, "ceilings": [{"mode": "recode"}]},
                          {"name": "h", "elements_per_bundle": 1, "bundles": 1},
                          {"name": "never", "elements_per_bundle": 1, "bundles": 1}]}"#,
        )
        .unwrap();
        let run = |harness: &str, case: &str, units_per_cpu_s| Measurement {
            harness: harness.into(),
            scenario: "identity".into(),
            case: case.into(),
            units_per_cpu_s,
            ..Measurement::default()
        };
        let runs = [
            run("rust", "a", 9e6),
            run("python", "a", 3e5),
            run("sink-recode", "a", 1e7),
            run("rust", "h", 5.0),
        ];
        let table = table(&runs, &[scenario], "rust", "python");
        let rows: Vec<_> = table.lines().skip(4).collect();
        assert!(
            rows[0].starts_with("| identity/a | 9.00M* | 300k* | 10.00M* (recode) | 30× | 90 % |"),
            "{}",
            rows[0]
        );
        assert!(rows[1].starts_with("| identity/h | 5.0* | – | – | – | – |"));
        assert_eq!(rows.len(), 2);
        let columns = |line: &str| line.matches('|').count();
        assert!(
            table
                .lines()
                .skip(2)
                .all(|line| columns(line) == columns(rows[0])),
            "{table}"
        );
    }
}
