//! What the checks need beside Rust, installed by us: Beam for Python, Prism, the class paths of Java job servers.
//!
//! Each tool is a folder of the cache whose name tells its version, made whole or not at all.

pub(crate) mod job_server;
pub(crate) mod prism;
pub(crate) mod python;

use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::{self, TICK};

/// The Beam version that this project is checked against.
pub(crate) const BEAM: &str = "2.77.0";

/// Makes the folder `key` of the cache if it is absent or not `complete`, and returns it.
///
/// `make` fills a sibling folder that takes the final name only when it is complete; a lock keeps a second run waiting.
///
/// # Errors
/// When the cache cannot be written or `make` fails. Nothing is left under the final name then.
pub(crate) fn install(
    cache: &Path,
    key: &str,
    complete: impl Fn(&Path) -> bool,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let home = cache.join(key);
    if complete(&home) {
        return Ok(home);
    }
    fs::create_dir_all(cache).with_context(|| format!("could not make {}", cache.display()))?;
    let _lock = lock(&cache.join(format!("{key}.lock")), key)?;
    if complete(&home) {
        return Ok(home);
    }
    eprintln!("installing {key} into {}", cache.display());
    let partial = cache.join(format!("{key}.partial"));
    for leftover in [&partial, &home] {
        remove(leftover)?;
    }
    fs::create_dir(&partial).with_context(|| format!("could not make {}", partial.display()))?;
    make(&partial).with_context(|| format!("could not install {key}"))?;
    ensure!(
        complete(&partial),
        "the installation of {key} left {} incomplete",
        partial.display()
    );
    fs::rename(&partial, &home).with_context(|| format!("could not make {}", home.display()))?;
    Ok(home)
}

/// Waits for the lock of one tool. It is free again when the returned file is dropped or its process ends.
fn lock(path: &Path, key: &str) -> Result<File> {
    let file = File::create(path).with_context(|| format!("could not make {}", path.display()))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if process::interrupted() => bail!("interrupted"),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    eprintln!("waiting for another run that installs {key}");
                    told = true;
                }
                thread::sleep(TICK);
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("could not lock {}", path.display()));
            }
        }
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The path of a program that the system must provide.
fn require(program: &str, remedy: &str) -> Result<PathBuf> {
    process::find(program).with_context(|| format!("`{program}` is not installed: {remedy}"))
}

/// A short name for some text, so that a changed text gets a folder of its own.
/// Another Rust may hash differently; the tool is then made once more.
fn fingerprint(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    format!("{:012x}", hasher.finish() & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn has_program(home: &Path) -> bool {
        home.join("program").is_file()
    }

    fn make(home: &Path) -> Result<()> {
        Ok(fs::write(home.join("program"), "new")?)
    }

    #[test]
    fn a_tool_is_made_once() {
        let cache = tempfile::tempdir().unwrap();
        let home = install(cache.path(), "tool-1", has_program, make).unwrap();
        assert_eq!(home, cache.path().join("tool-1"));
        let again = install(cache.path(), "tool-1", has_program, |_| bail!("made twice"));
        assert_eq!(again.unwrap(), home);
    }

    #[test]
    fn an_incomplete_tool_is_made_again() {
        let cache = tempfile::tempdir().unwrap();
        for leftover in ["tool-1", "tool-1.partial"] {
            fs::create_dir(cache.path().join(leftover)).unwrap();
            fs::write(cache.path().join(leftover).join("old"), "").unwrap();
        }
        let home = install(cache.path(), "tool-1", has_program, make).unwrap();
        assert!(has_program(&home) && !home.join("old").exists());
    }

    #[test]
    fn a_failed_installation_leaves_no_tool() {
        let cache = tempfile::tempdir().unwrap();
        let error = install(cache.path(), "tool-1", has_program, |_| bail!("no network"));
        assert_eq!(
            format!("{:#}", error.unwrap_err()),
            "could not install tool-1: no network"
        );
        let error = install(cache.path(), "tool-1", has_program, |_| Ok(()));
        assert!(error.unwrap_err().to_string().contains("incomplete"));
        assert!(!cache.path().join("tool-1").exists());
    }

    #[test]
    fn concurrent_runs_make_a_tool_once() {
        let cache = tempfile::tempdir().unwrap();
        let made = std::sync::atomic::AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    install(cache.path(), "tool-1", has_program, |home| {
                        made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        make(home)
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn fingerprints_follow_the_text() {
        assert_eq!(fingerprint("a"), fingerprint("a"));
        assert_ne!(fingerprint("a"), fingerprint("b"));
        assert_eq!(fingerprint("a").len(), 12);
    }
}
