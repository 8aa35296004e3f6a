//! How much memory this process may use.

use std::path::{Path, PathBuf};

/// Where the kernel shows control groups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// How many bytes this process may use: the least that its control groups and the machine allow. `None` if nothing can
/// be read, as on a kernel that is not Linux.
pub(crate) fn limit() -> Option<u64> {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    limit_of(&read)
}

/// As [`limit`], with files as told.
fn limit_of(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let own = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let groups = limit_files(&own).into_iter();
    let groups = groups.filter_map(|path| group_limit(&read(&path)?));
    let machine = read(Path::new("/proc/meminfo"));
    groups
        .chain(machine.and_then(|text| machine_memory(&text)))
        .min()
}

/// The files that hold the limits of the control groups which `/proc/self/cgroup` names, and of those around them.
///
/// Within a container the names are often those outside of it, where nothing is; the roots stand for the container then.
fn limit_files(own: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(group)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (root, file) = if controllers.is_empty() {
            (PathBuf::from(CGROUPS), "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (Path::new(CGROUPS).join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        let group = Path::new(group.trim_start_matches('/'));
        // A name that leads out of the tree leads nowhere.
        if group
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)))
        {
            let around = group.ancestors().map(|part| root.join(part).join(file));
            files.extend(around);
        } else {
            files.push(root.join(file));
        }
    }
    files
}

/// The limit in `memory.max` of version 2 or `memory.limit_in_bytes` of version 1; `None` where there is none.
fn group_limit(text: &str) -> Option<u64> {
    // Version 1 has no word for no limit: it says the largest number of whole pages.
    const NO_LIMIT: u64 = 1 << 60;
    let limit = text.trim().parse().ok()?;
    (limit > 0 && limit < NO_LIMIT).then_some(limit)
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn machine_memory(text: &str) -> Option<u64> {
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const MEMINFO: &str = "MemTotal:       16303428 kB\nMemFree:         1035040 kB\n";
    const MACHINE: u64 = 16_303_428 * 1024;

    fn limit_with(files: &[(&str, &str)]) -> Option<u64> {
        let files: HashMap<_, _> = files
            .iter()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
            .collect();
        limit_of(&|path| files.get(path).cloned())
    }

    #[test]
    fn version_two() {
        let own = ("/proc/self/cgroup", "0::/system.slice/worker.service\n");
        let meminfo = ("/proc/meminfo", MEMINFO);
        let inner = (
            "/sys/fs/cgroup/system.slice/worker.service/memory.max",
            "max\n",
        );
        let outer = ("/sys/fs/cgroup/system.slice/memory.max", "2147483648\n");
        assert_eq!(limit_with(&[own, meminfo, inner, outer]), Some(2 << 30));
        assert_eq!(limit_with(&[own, meminfo, inner]), Some(MACHINE));
        let inner = (inner.0, "1073741824\n");
        assert_eq!(limit_with(&[own, meminfo, inner, outer]), Some(1 << 30));
    }

    #[test]
    fn version_two_in_a_container() {
        let files = [
            ("/proc/self/cgroup", "0::/\n"),
            ("/sys/fs/cgroup/memory.max", "536870912\n"),
            ("/proc/meminfo", MEMINFO),
        ];
        assert_eq!(limit_with(&files), Some(512 << 20));
        let files = [("/proc/self/cgroup", "0::/../../pod\n"), files[1], files[2]];
        assert_eq!(limit_with(&files), Some(512 << 20));
    }

    #[test]
    fn version_one() {
        let own = "12:cpu,cpuacct:/docker/abc\n5:memory:/docker/abc\n1:name=systemd:/docker/abc\n";
        let own = ("/proc/self/cgroup", own);
        let none = "9223372036854771712\n";
        let root = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
        let inner = "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes";
        let meminfo = ("/proc/meminfo", MEMINFO);
        assert_eq!(limit_with(&[own, meminfo, (root, none)]), Some(MACHINE));
        assert_eq!(
            limit_with(&[own, meminfo, (root, "1048576000\n")]),
            Some(1_048_576_000)
        );
        let files = [own, meminfo, (root, none), (inner, "262144000\n")];
        assert_eq!(limit_with(&files), Some(262_144_000));
    }

    #[test]
    fn nonsense_is_no_limit() {
        let own = ("/proc/self/cgroup", "x\n0:\n:memory:\n0::/a/b\n");
        let max = |text| ("/sys/fs/cgroup/a/b/memory.max", text);
        for text in ["", "-1", "0", "much", "99999999999999999999999"] {
            assert_eq!(limit_with(&[own, max(text)]), None, "{text:?}");
        }
        assert_eq!(limit_with(&[("/proc/meminfo", "MemTotal: lots\n")]), None);
        assert_eq!(limit_with(&[]), None);
        assert!(limit().is_some_and(|limit| limit > 1 << 20));
    }
}
