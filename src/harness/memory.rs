//! How much memory the worker may use.

use std::path::Path;

/// The memory limit of this process in bytes: that of its control group, else what the machine has. `None` where the
/// system does not say.
pub(crate) fn limit() -> Option<u64> {
    limit_below(Path::new("/"))
}

fn limit_below(root: &Path) -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let machine = read("proc/meminfo").and_then(|text| total_of_machine(&text));
    let groups = read("proc/self/cgroup").unwrap_or_default();
    let mut limit = machine;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (mount, file) = if controllers.is_empty() {
            ("sys/fs/cgroup", "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            continue;
        };
        // A limit of a parent holds as well. In a container the path may be one of the host's, of which only the root
        // can be seen here.
        for path in Path::new(path.trim_start_matches('/')).ancestors() {
            let file = root.join(mount).join(path).join(file);
            let number = std::fs::read_to_string(file).ok();
            let number = number.and_then(|text| text.trim().parse::<u64>().ok());
            // Where there is no limit, the file says "max" or a number larger than any machine.
            limit = match (limit, number) {
                (Some(limit), Some(number)) => Some(limit.min(number)),
                (None, Some(number)) if number < 1 << 60 => Some(number),
                (limit, _) => limit,
            };
        }
    }
    limit
}

/// The line `MemTotal: <n> kB`.
fn total_of_machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_of(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        limit_below(root.path())
    }

    const MACHINE: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:        8000000 kB\nMemFree: 1 kB\n",
    );

    #[test]
    fn the_closest_control_group_or_its_parent_limits() {
        let own = ("proc/self/cgroup", "0::/a/b\n");
        let limited = [
            MACHINE,
            own,
            ("sys/fs/cgroup/a/memory.max", "1000000\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
        ];
        assert_eq!(limit_of(&limited), Some(1_000_000));
        let first = ("proc/self/cgroup", "5:cpu,memory:/not/here\n");
        let root = "sys/fs/cgroup/memory/memory.limit_in_bytes";
        assert_eq!(limit_of(&[MACHINE, first, (root, "77\n")]), Some(77));
        assert_eq!(limit_of(&[first, (root, "9223372036854771712")]), None);
    }

    #[test]
    fn without_a_control_group_the_machine_limits() {
        assert_eq!(limit_of(&[MACHINE]), Some(8_192_000_000));
        assert_eq!(limit_of(&[]), None);
        assert_eq!(limit_of(&[("proc/meminfo", "MemTotal: much\n")]), None);
    }
}
