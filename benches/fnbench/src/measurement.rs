//! What one run yields: a line of JSON.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::machine::MachineTime;
use crate::process::Usage;
use crate::runner::{StateCounts, Tally};

/// One run: a fresh worker, warmed up, then measured. Rates are per second of wall time unless they say otherwise; a
/// unit is what the scenario counts an element as; MB are 10⁶ bytes of encoded elements, without gRPC's framing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Measurement {
    pub(crate) harness: String,
    pub(crate) scenario: String,
    pub(crate) case: String,
    pub(crate) label: String,
    pub(crate) run: usize,
    pub(crate) concurrency: usize,
    /// Whether others used little enough of the machine.
    pub(crate) clean: bool,

    pub(crate) bundles: usize,
    pub(crate) elements: u64,
    pub(crate) units: u64,
    pub(crate) wall_s: f64,
    pub(crate) elements_per_s: f64,
    pub(crate) units_per_s: f64,
    pub(crate) bundles_per_s: f64,
    #[serde(rename = "in_MB_per_s")]
    pub(crate) in_mb_per_s: f64,
    #[serde(rename = "out_MB_per_s")]
    pub(crate) out_mb_per_s: f64,
    pub(crate) in_bytes: u64,
    pub(crate) out_bytes: u64,
    /// Data entries with bytes that came back.
    pub(crate) out_msgs: u64,
    pub(crate) lat_ms: Latencies,
    pub(crate) resp_bytes_mean: f64,

    /// CPU seconds of the worker's whole process tree.
    pub(crate) harness_cpu_s: f64,
    pub(crate) harness_user_s: f64,
    pub(crate) harness_sys_s: f64,
    pub(crate) harness_cores: f64,
    pub(crate) elements_per_cpu_s: f64,
    /// Units per core: hardly depends on what else the machine does.
    pub(crate) units_per_cpu_s: f64,
    pub(crate) cpu_us_per_bundle: f64,
    pub(crate) driver_cpu_s: f64,
    /// Near one, the driver is what limits.
    pub(crate) driver_cores: f64,

    /// Seconds that threads could have run but got no processor.
    pub(crate) harness_wait_s: f64,
    pub(crate) driver_wait_s: f64,
    pub(crate) machine_busy_share: f64,
    /// Cores that other processes used.
    pub(crate) foreign_cores: f64,
    pub(crate) steal_share: f64,

    pub(crate) spawn_to_connect_ms: f64,
    /// Without the time to settle.
    pub(crate) spawn_to_first_response_ms: f64,
    pub(crate) first_bundle_ms: f64,
    pub(crate) startup_cpu_s: f64,
    pub(crate) rss_connect_mb: f64,
    pub(crate) rss_first_mb: f64,
    pub(crate) rss_idle_mb: f64,
    pub(crate) rss_end_mb: f64,
    /// The most during the measured part.
    pub(crate) rss_peak_mb: f64,
    pub(crate) threads: u64,

    pub(crate) state: StateCounts,
    pub(crate) log_entries: u64,
    pub(crate) pbd_requests: u64,
    pub(crate) shutdown: String,
    pub(crate) shutdown_ms: f64,
}

/// Milliseconds from an instruction until its response and all ends of output were there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Latencies {
    pub(crate) mean: f64,
    pub(crate) min: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// Until the response alone.
    pub(crate) mean_to_response: f64,
}

impl Latencies {
    fn of(tally: &mut Tally) -> Self {
        let seconds = &mut tally.latencies_s;
        seconds.sort_by(f64::total_cmp);
        let count = seconds.len().max(1) as f64;
        let at = |share: f64| {
            let index = (seconds.len() as f64 * share).ceil() as usize;
            seconds.get(index.max(1) - 1).copied().unwrap_or_default() * 1e3
        };
        Latencies {
            mean: seconds.iter().sum::<f64>() / count * 1e3,
            min: at(0.0),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: at(1.0),
            mean_to_response: tally.until_response_s / count * 1e3,
        }
    }
}

/// All clocks at one moment.
pub(crate) struct Snapshot {
    at: Instant,
    worker: Usage,
    driver: Usage,
    machine: MachineTime,
    state: StateCounts,
}

impl Snapshot {
    pub(crate) fn take(worker: Pid, state: StateCounts) -> Self {
        let machine = MachineTime::now();
        let (worker, driver) = (Usage::of_tree(worker), Usage::of_self());
        Snapshot {
            at: Instant::now(),
            worker,
            driver,
            machine,
            state,
        }
    }
}

impl Measurement {
    /// Fills in what the measured part yields.
    pub(crate) fn measured(
        &mut self,
        mut tally: Tally,
        units_per_element: u64,
        before: &Snapshot,
        after: &Snapshot,
    ) {
        let wall = (after.at - before.at).as_secs_f64().max(1e-9);
        let cpu = (after.worker.cpu_s - before.worker.cpu_s).max(1e-9);
        let driver = after.driver.cpu_s - before.driver.cpu_s;
        let machine = after.machine.since(before.machine);
        let bundles = tally.latencies_s.len();
        let per_bundle = 1.0 / bundles.max(1) as f64;

        self.lat_ms = Latencies::of(&mut tally);
        self.bundles = bundles;
        self.elements = tally.elements;
        self.units = tally.elements * units_per_element;
        self.wall_s = wall;
        self.elements_per_s = self.elements as f64 / wall;
        self.units_per_s = self.units as f64 / wall;
        self.bundles_per_s = bundles as f64 / wall;
        self.in_mb_per_s = tally.in_bytes as f64 / wall / 1e6;
        self.out_mb_per_s = tally.out_bytes as f64 / wall / 1e6;
        (self.in_bytes, self.out_bytes) = (tally.in_bytes, tally.out_bytes);
        self.out_msgs = tally.out_messages;
        self.resp_bytes_mean = tally.response_bytes as f64 * per_bundle;

        self.harness_cpu_s = cpu;
        self.harness_user_s = after.worker.user_s - before.worker.user_s;
        self.harness_sys_s = after.worker.system_s - before.worker.system_s;
        self.harness_cores = cpu / wall;
        self.elements_per_cpu_s = self.elements as f64 / cpu;
        self.units_per_cpu_s = self.units as f64 / cpu;
        self.cpu_us_per_bundle = cpu * per_bundle * 1e6;
        self.driver_cpu_s = driver;
        self.driver_cores = driver / wall;
        self.harness_wait_s = after.worker.wait_s - before.worker.wait_s;
        self.driver_wait_s = after.driver.wait_s - before.driver.wait_s;
        self.machine_busy_share = machine.busy_share();
        self.foreign_cores = (machine.busy_s - cpu - driver).max(0.0) / wall;
        self.steal_share = machine.steal_share();
        self.rss_end_mb = megabytes(after.worker.rss_kb);
        self.rss_peak_mb = megabytes(after.worker.peak_kb);
        self.threads = after.worker.threads;
        self.state = after.state.since(before.state);
    }

    /// Adds the run to a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn append_to(&self, path: &Path) -> Result<()> {
        let mut line = serde_json::to_string(self).context("a measurement is not JSON")?;
        line.push('\n');
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        file.write_all(line.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads the runs of a file; none if it does not exist.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is not a run.
    pub(crate) fn read_all(path: &Path) -> Result<Vec<Self>> {
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let lines = text.lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(index, line)| {
                serde_json::from_str(line)
                    .with_context(|| format!("{}:{} is not a run", path.display(), index + 1))
            })
            .collect()
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} {}/{} run {}: {:.0} el/s, {:.1} MB/s in, {:.1} MB/s out, {:.1} bundles/s, p50 {:.3} ms, p99 {:.3} ms, \
             worker {:.2} CPU-s ({:.2} cores), driver {:.2} CPU-s ({:.2} cores), RSS {:.0}/{:.0} MB, start {:.0} ms, \
             others {:.2} cores, waited {:.2}+{:.2} s{}{}",
            self.harness,
            self.scenario,
            self.case,
            self.run,
            self.elements_per_s,
            self.in_mb_per_s,
            self.out_mb_per_s,
            self.bundles_per_s,
            self.lat_ms.p50,
            self.lat_ms.p99,
            self.harness_cpu_s,
            self.harness_cores,
            self.driver_cpu_s,
            self.driver_cores,
            self.rss_idle_mb,
            self.rss_peak_mb,
            self.spawn_to_first_response_ms,
            self.foreign_cores,
            self.harness_wait_s,
            self.driver_wait_s,
            if self.clean { "" } else { ", DISTURBED" },
            if self.shutdown == "graceful" {
                ""
            } else {
                ", had to be killed"
            },
        )
    }
}

/// From kB of `/proc`.
pub(crate) fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn snapshot(at: Instant, worker_s: f64, driver_s: f64, busy_s: f64) -> Snapshot {
        let usage = |cpu_s| Usage {
            cpu_s,
            ..Usage::default()
        };
        Snapshot {
            at,
            worker: usage(worker_s),
            driver: usage(driver_s),
            machine: MachineTime {
                total_s: 4.0 * busy_s,
                busy_s,
                steal_s: 0.0,
            },
            state: StateCounts::default(),
        }
    }

    #[test]
    fn rates_and_shares() {
        let start = Instant::now();
        let before = snapshot(start, 1.0, 1.0, 10.0);
        let after = snapshot(start + std::time::Duration::from_secs(2), 2.0, 1.5, 12.5);
        let tally = Tally {
            latencies_s: vec![0.004, 0.001, 0.002, 0.003],
            elements: 100,
            in_bytes: 8_000_000,
            ..Tally::default()
        };
        let mut run = Measurement::default();
        run.measured(tally, 10, &before, &after);
        assert_eq!(
            (run.units, run.units_per_s, run.units_per_cpu_s),
            (1000, 500.0, 1000.0)
        );
        assert_eq!((run.in_mb_per_s, run.bundles_per_s), (4.0, 2.0));
        assert_eq!((run.harness_cores, run.driver_cores), (0.5, 0.25));
        assert_eq!((run.foreign_cores, run.machine_busy_share), (0.5, 0.25));
        let lat = run.lat_ms;
        assert_eq!((lat.min, lat.p50, lat.p90, lat.max), (1.0, 2.0, 4.0, 4.0));
    }

    #[test]
    fn files_keep_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.jsonl");
        assert!(Measurement::read_all(&path).unwrap().is_empty());
        for run in 0..2 {
            let run = Measurement {
                run,
                in_mb_per_s: 0.5,
                ..Measurement::default()
            };
            run.append_to(&path).unwrap();
        }
        let runs = Measurement::read_all(&path).unwrap();
        assert_eq!((runs.len(), runs[1].run, runs[1].in_mb_per_s), (2, 1, 0.5));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"in_MB_per_s\":0.5"), "{text}");
        std::fs::write(&path, "{").unwrap();
        let error = Measurement::read_all(&path).unwrap_err().to_string();
        assert!(error.ends_with(":1 is not a run"), "{error}");
    }
}
