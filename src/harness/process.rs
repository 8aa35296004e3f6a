//! What the system says about this process. Where it says nothing, the answers are empty.

use std::fs::{read_link, read_to_string};
use std::path::{Path, PathBuf};

/// How often the system counts a thread's time, per second: what Linux tells programs, whatever it does itself.
const TICKS: f64 = 100.0;

/// Memory in use, in bytes.
pub(crate) fn resident() -> Option<u64> {
    kilobytes(&read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// How many threads there are.
pub(crate) fn threads() -> Option<u64> {
    field(&read_to_string("/proc/self/status").ok()?, "Threads:")?
        .parse()
        .ok()
}

/// The memory that the process may use, in bytes: the least limit of its control groups.
pub(crate) fn memory_limit() -> Option<u64> {
    limit_within(
        &read_to_string("/proc/self/cgroup").ok()?,
        Path::new("/sys/fs/cgroup"),
    )
}

/// The memory that the process has, in bytes: what it may use, or what the machine has if that is less.
pub(crate) fn memory() -> Option<u64> {
    let machine = read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| kilobytes(&text, "MemTotal:"));
    memory_limit().into_iter().chain(machine).min()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let number = field(status, name)?.strip_suffix("kB")?.trim();
    number.parse::<u64>().ok()?.checked_mul(1024)
}

/// The least limit of the groups that `groups` names, in the format of `/proc/self/cgroup`, and of those round them.
fn limit_within(groups: &str, root: &Path) -> Option<u64> {
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(group)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (root, file) = if controllers.is_empty() {
            (root.to_owned(), "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        let group: PathBuf = root.join(group.trim_start_matches('/'));
        // In a container the path may be the host's, which does not exist here; its root always does.
        let inside = group.ancestors().take_while(|dir| dir.starts_with(&root));
        limits.extend(inside.filter_map(|dir| {
            let limit = read_to_string(dir.join(file)).ok()?;
            limit.trim().parse::<u64>().ok()
        }));
    }
    // The first version says "none" by a number that no machine has.
    limits.into_iter().filter(|limit| *limit < 1 << 60).min()
}

/// A thread of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thread(Option<u32>);

impl Thread {
    /// The thread that asks.
    pub(crate) fn current() -> Self {
        thread_local! {
            static CURRENT: Thread = {
                let link = read_link("/proc/thread-self").ok();
                Thread(link.and_then(|link| link.file_name()?.to_str()?.parse().ok()))
            };
        }
        CURRENT.with(|current| *current)
    }

    /// What the thread does, as far as the system knows: `bundle-3 (thread 17): sleeping in futex_do_wait, 0.25 s of CPU`.
    pub(crate) fn describe(self) -> String {
        let described = self.0.and_then(|id| {
            let folder = format!("/proc/self/task/{id}");
            let stat = read_to_string(format!("{folder}/stat")).ok()?;
            let place = read_to_string(format!("{folder}/wchan")).unwrap_or_default();
            describe(id, &stat, &place)
        });
        described.unwrap_or_else(|| "a thread that the system says nothing about".into())
    }
}

/// Reads `stat` and `wchan` of a thread.
fn describe(id: u32, stat: &str, place: &str) -> Option<String> {
    // The name stands in brackets, and may hold some itself.
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1;
    let mut fields = rest.split_ascii_whitespace();
    let state = match fields.next()? {
        "R" => "running",
        "S" => "sleeping",
        "D" => "waiting for a device",
        _ => "stopped",
    };
    // After the state come ten fields, and then the ticks in user code and in the system.
    let user: u64 = fields.nth(10)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let place = match place.trim() {
        "" | "0" => String::new(),
        place => format!(" in {place}"),
    };
    let seconds = user.saturating_add(system) as f64 / TICKS;
    Some(format!(
        "{name} (thread {id}): {state}{place}, {seconds:.2} s of CPU"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_read() {
        let status = "Name:\tx\nVmRSS:\t   2048 kB\nThreads:\t14\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(2 << 20));
        assert_eq!(field(status, "Threads:"), Some("14"));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
    }

    #[test]
    fn threads_are_described() {
        let stat = "17 (bundle) 3) S 1 2 3 4 5 6 7 8 9 10 20 5 0 0";
        assert_eq!(
            describe(17, stat, "futex_do_wait").as_deref(),
            Some("bundle) 3 (thread 17): sleeping in futex_do_wait, 0.25 s of CPU")
        );
        let running = describe(17, &stat.replace(") S", ") R"), "0");
        assert_eq!(
            running.as_deref(),
            Some("bundle) 3 (thread 17): running, 0.25 s of CPU")
        );
        assert_eq!(describe(17, "17 (x) R 1", ""), None);
    }

    #[test]
    fn the_least_limit_counts() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, text).expect("a file");
        };
        assert_eq!(limit_within("0::/pod/task\n", root.path()), None);
        write("memory.max", "max\n");
        write("pod/memory.max", "1000\n");
        write("pod/task/memory.max", "2000\n");
        assert_eq!(limit_within("0::/pod/task\n", root.path()), Some(1000));
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        let old = "3:cpu,memory:/elsewhere\n1:name=systemd:/x\n";
        assert_eq!(limit_within(old, root.path()), None);
        write("memory/memory.limit_in_bytes", "500\n");
        assert_eq!(limit_within(old, root.path()), Some(500));
        assert_eq!(limit_within("damaged\n0:", root.path()), None);
    }
}
