//! A Python environment with Apache Beam and pytest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{fingerprint, install as install_tool, require};
use crate::process;
use crate::project::Project;

const REMEDY: &str =
    "install Python 3.10 to 3.13 with venv (on Debian: apt-get install python3-venv)";

/// Downloads of some 150 MB on a slow line.
const INSTALL: Duration = Duration::from_secs(15 * 60);

/// Makes the environment that `tests/requirements.txt` describes, if it is absent, and returns its interpreter.
///
/// # Errors
/// When the system has no Python with venv, or a package cannot be installed.
pub(crate) fn install(project: &Project) -> Result<PathBuf> {
    let list = project.root.join("tests/requirements.txt");
    let requirements =
        fs::read_to_string(&list).with_context(|| format!("could not read {}", list.display()))?;
    let base = require("python3", REMEDY)?;
    let version = version(&base)?;
    let key = format!(
        "python-beam-{}-py{version}-{}",
        super::BEAM,
        fingerprint(&requirements)
    );
    let interpreter = |home: &Path| home.join("bin/python");
    let beam = format!("lib/python{version}/site-packages/apache_beam/version.py");
    let home = install_tool(
        &project.cache,
        &key,
        |home| interpreter(home).exists() && home.join(&beam).is_file(),
        |home| {
            let mut venv = Command::new(&base);
            venv.args(["-m", "venv"]).arg(home);
            process::run(venv, Duration::from_secs(120), |_| ())?
                .ok()
                .context(REMEDY)?;
            let mut pip = Command::new(interpreter(home));
            pip.args(["-m", "pip", "install", "--quiet", "--requirement"])
                .arg(&list)
                .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
            process::run(pip, INSTALL, |_| ())?.ok()?;
            remove_scripts(&home.join("bin"))
        },
    )?;
    Ok(interpreter(&home))
}

/// Scripts name the folder in which they were installed, which is about to be renamed. `python -m` does not need them.
fn remove_scripts(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with("python") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Major and minor version of an interpreter, such as `3.11`.
fn version(interpreter: &Path) -> Result<String> {
    let mut command = Command::new(interpreter);
    command.args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
    let mut version = String::new();
    process::run(command, Duration::from_secs(60), |line| {
        if line.is_output {
            version.clone_from(&line.text);
        }
    })?
    .ok()
    .context(REMEDY)?;
    let supported = version
        .strip_prefix("3.")
        .and_then(|minor| minor.parse::<u32>().ok())
        .is_some_and(|minor| (10..=13).contains(&minor));
    if !supported {
        bail!(
            "Beam {} does not run on Python {version}: {REMEDY}",
            super::BEAM
        );
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_requirements_name_the_same_beam() {
        let requirements = include_str!("../../../tests/requirements.txt");
        let pin = format!("apache-beam=={}", crate::tools::BEAM);
        assert!(
            requirements.lines().any(|line| line == pin),
            "{requirements}"
        );
    }
}
