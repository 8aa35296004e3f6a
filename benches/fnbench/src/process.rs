//! CPU time and memory of processes, as `/proc` has them.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// What the living processes of a tree have used so far.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Usage {
    /// CPU seconds, user and system, by a clock of nanoseconds.
    pub(crate) cpu_s: f64,
    /// User part, in clock ticks of usually 10 ms.
    pub(crate) user_s: f64,
    /// System part, in clock ticks.
    pub(crate) system_s: f64,
    /// Resident memory.
    pub(crate) rss_kb: u64,
    /// The most resident memory since the last [`reset_peak`].
    pub(crate) peak_kb: u64,
    pub(crate) threads: u64,
    /// Seconds that living threads could have run but got no processor.
    pub(crate) wait_s: f64,
}

impl Usage {
    /// Usage of `root` and its living descendants. Processes that end meanwhile count as nothing.
    pub(crate) fn of_tree(root: Pid) -> Self {
        let mut usage = Usage::default();
        for pid in tree(root) {
            if let Some(stat) = Stat::read(pid) {
                usage.user_s += stat.user_s;
                usage.system_s += stat.system_s;
                usage.cpu_s += cpu_seconds(pid).unwrap_or(stat.user_s + stat.system_s);
            }
            usage.add_status(pid);
            usage.wait_s += wait_seconds(pid);
        }
        usage
    }

    /// CPU and waiting time of this process.
    pub(crate) fn of_self() -> Self {
        let clock = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID);
        Usage {
            cpu_s: clock.map_or(0.0, |time| Duration::from(time).as_secs_f64()),
            wait_s: wait_seconds(Pid::this()),
            ..Usage::default()
        }
    }

    fn add_status(&mut self, pid: Pid) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        for line in status.lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let number = || {
                let first = value.split_whitespace().next();
                first.and_then(|first| first.parse().ok()).unwrap_or(0)
            };
            match key {
                "VmRSS" => self.rss_kb += number(),
                "VmHWM" => self.peak_kb += number(),
                "Threads" => self.threads += number(),
                _ => {}
            }
        }
    }
}

/// The part of `/proc/PID/stat` that matters here.
#[derive(Debug, PartialEq)]
struct Stat {
    parent: i32,
    user_s: f64,
    system_s: f64,
}

impl Stat {
    fn read(pid: Pid) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(&text, ticks_per_second())
    }

    /// The second field is the program's name in brackets, which may hold anything, brackets and spaces included.
    fn parse(text: &str, ticks_per_second: f64) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let seconds = |index: usize| {
            let ticks: f64 = fields.get(index)?.parse().ok()?;
            Some(ticks / ticks_per_second)
        };
        Some(Stat {
            parent: fields.get(1)?.parse().ok()?,
            user_s: seconds(11)?,
            system_s: seconds(12)?,
        })
    }
}

/// The unit of CPU times in `/proc`.
pub(crate) fn ticks_per_second() -> f64 {
    match sysconf(SysconfVar::CLK_TCK) {
        Ok(Some(ticks)) if ticks > 0 => ticks as f64,
        _ => 100.0,
    }
}

fn cpu_seconds(pid: Pid) -> Option<f64> {
    let clock = clock_getcpuclockid(pid).ok()?;
    let time = clock_gettime(clock).ok()?;
    Some(Duration::from(time).as_secs_f64())
}

/// The second number of a thread's `schedstat` is the nanoseconds that it waited for a processor.
fn wait_seconds(pid: Pid) -> f64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0.0;
    };
    let nanos = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() * 1e-9
}

/// `root` and its living descendants.
fn tree(root: Pid) -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<Pid>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(pid) = pid.map(Pid::from_raw)
            && let Some(stat) = Stat::read(pid)
        {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        if let Some(children) = children.remove(&pid.as_raw()) {
            found.extend(children);
        }
        next += 1;
    }
    found
}

/// Lets the peak of resident memory begin again for all processes of a tree.
pub(crate) fn reset_peak(root: Pid) {
    for pid in tree(root) {
        // Not allowed everywhere; then the peak is that of the whole life.
        let _unsupported = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

/// Restricts this thread, and what it starts from now on, to some processors. Yields what it had before.
///
/// # Errors
/// Processors that do not exist.
pub(crate) fn pin(processors: &[usize]) -> Result<CpuSet> {
    let this = Pid::from_raw(0);
    let before = sched_getaffinity(this).context("cannot read the affinity")?;
    let mut set = CpuSet::new();
    for processor in processors {
        set.set(*processor)
            .with_context(|| format!("there is no processor {processor}"))?;
    }
    sched_setaffinity(this, &set)
        .with_context(|| format!("cannot run on processors {processors:?}"))?;
    Ok(before)
}

/// Undoes [`pin`].
///
/// # Errors
/// The system refuses.
pub(crate) fn unpin(before: &CpuSet) -> Result<()> {
    sched_setaffinity(Pid::from_raw(0), before).context("cannot restore the affinity")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let text = "42 (a) R 1 (b) S 7 1 1 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 3 0 100 1 1";
        let stat = Stat {
            parent: 7,
            user_s: 2.5,
            system_s: 0.5,
        };
        assert_eq!(Stat::parse(text, 100.0), Some(stat));
        assert_eq!(Stat::parse("42 (a) R 1", 100.0), None);
        assert_eq!(Stat::parse("", 100.0), None);
    }

    #[test]
    fn this_process_is_measured() {
        let usage = Usage::of_tree(Pid::this());
        assert!(usage.rss_kb > 0 && usage.peak_kb >= usage.rss_kb / 2);
        assert!(usage.threads >= 1);
        assert!(Usage::of_self().cpu_s > 0.0);
    }
}
