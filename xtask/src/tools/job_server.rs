//! Class paths of the Flink and Spark job servers, resolved by Maven.
//!
//! The jars stay in Maven's own repository; what we keep is the list of them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{fingerprint, install as install_tool, require};
use crate::process;
use crate::project::Project;

/// Downloads of up to 300 MB.
const RESOLVE: Duration = Duration::from_secs(20 * 60);

/// Resolves the class path of `tests/runners/<name>/pom.xml` if it is absent or names a jar that is gone.
///
/// # Errors
/// When the system has no Maven, or a jar cannot be downloaded.
pub(crate) fn class_path(project: &Project, name: &str) -> Result<String> {
    let pom = project
        .root
        .join("tests/runners")
        .join(name)
        .join("pom.xml");
    let text =
        fs::read_to_string(&pom).with_context(|| format!("could not read {}", pom.display()))?;
    let list = |home: &Path| home.join("classpath");
    let home = install_tool(
        &project.cache,
        &format!("{name}-{}", fingerprint(&text)),
        |home| fs::read_to_string(list(home)).is_ok_and(|path| is_complete(&path)),
        |home| {
            let mut maven = Command::new(require(
                "mvn",
                "install Maven (on Debian: apt-get install maven)",
            )?);
            maven
                .args(["--quiet", "--batch-mode", "-Dstyle.color=never", "--file"])
                .arg(&pom)
                .arg("dependency:build-classpath")
                .arg(format!("-Dmdep.outputFile={}", list(home).display()));
            process::run(maven, RESOLVE, |_| ())?.ok()
        },
    )?;
    let path = list(&home);
    fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))
}

fn is_complete(class_path: &str) -> bool {
    !class_path.is_empty() && env::split_paths(class_path).all(|jar| jar.is_file())
}

/// The Java that runs a job server: `JAVA_HOME`'s, else the one on the search path.
///
/// # Errors
/// When there is none.
pub(crate) fn java() -> Result<PathBuf> {
    let chosen = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    match chosen.filter(|java| java.is_file()) {
        Some(java) => Ok(java),
        None => require(
            "java",
            "install a JDK (on Debian: apt-get install openjdk-17-jdk-headless)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_path_needs_all_its_jars() {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(is_complete(here));
        assert!(!is_complete(&format!("{here}:/nowhere/a.jar")));
        assert!(!is_complete(""));
    }
}
