//! Where the project's files, builds and tools are.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

/// The places that every command needs, found once at the start.
pub(crate) struct Project {
    /// The repository.
    pub(crate) root: PathBuf,
    /// Where cargo puts the programs of this build, such as `target/debug`.
    pub(crate) programs: PathBuf,
    /// The program that is running, for tests that start a runner through it.
    pub(crate) xtask: PathBuf,
    /// Logs and reports of these commands.
    pub(crate) logs: PathBuf,
    /// Installed tools, outside the repository so that every checkout shares them.
    pub(crate) cache: PathBuf,
}

impl Project {
    /// Finds the places and makes the folder of the logs.
    ///
    /// # Errors
    /// When there is neither a cache folder nor a home folder in the environment, or a folder cannot be made.
    pub(crate) fn locate() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the xtask crate has no parent folder")?
            .to_path_buf();
        let xtask = env::current_exe().context("could not find the running program")?;
        let programs = xtask
            .parent()
            .context("the running program is in no folder")?
            .to_path_buf();
        let logs = programs.join("xtask-logs");
        fs::create_dir_all(&logs).with_context(|| format!("could not make {}", logs.display()))?;
        let cache = cache_folder(|name| env::var_os(name))
            .context("no folder for tools: set FERROBEAM_CACHE, XDG_CACHE_HOME or HOME")?;
        Ok(Self {
            cache: std::path::absolute(&cache)
                .with_context(|| format!("could not resolve {}", cache.display()))?,
            root,
            programs,
            xtask,
            logs,
        })
    }

    /// A cargo command at the root of the repository, by the cargo that runs us.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// The environment that tests may rely on, beside the Python interpreter's path.
    pub(crate) fn test_environment(&self, python: &Path) -> [(&'static str, PathBuf); 3] {
        [
            ("FERROBEAM_PYTHON", python.to_path_buf()),
            ("FERROBEAM_CACHE", self.cache.clone()),
            ("FERROBEAM_XTASK", self.xtask.clone()),
        ]
    }
}

/// The first folder that the environment names for tools. An empty variable counts as unset.
fn cache_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    folder("FERROBEAM_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("ferrobeam")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/ferrobeam")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)]) -> Option<PathBuf> {
        cache_folder(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_most_specific_variable_names_the_cache() {
        let all = [
            ("FERROBEAM_CACHE", "/a"),
            ("XDG_CACHE_HOME", "/b"),
            ("HOME", "/c"),
        ];
        assert_eq!(chosen(&all), Some("/a".into()));
        assert_eq!(chosen(&all[1..]), Some("/b/ferrobeam".into()));
        assert_eq!(chosen(&all[2..]), Some("/c/.cache/ferrobeam".into()));
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let variables = [("FERROBEAM_CACHE", ""), ("HOME", "/c")];
        assert_eq!(chosen(&variables), Some("/c/.cache/ferrobeam".into()));
    }
}
