//! Prism, Beam's runner in Go.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{BEAM, install as install_tool, require};
use crate::process;
use crate::project::Project;

/// Two to three minutes of compilation on two idle cores, after the downloads.
const BUILD: Duration = Duration::from_secs(20 * 60);

/// Builds Prism if it is absent and returns its program.
///
/// # Errors
/// When the system has no Go, or the build fails.
pub(crate) fn install(project: &Project) -> Result<PathBuf> {
    let program = |home: &Path| home.join("prism");
    let home = install_tool(
        &project.cache,
        &format!("prism-{BEAM}"),
        |home| program(home).is_file(),
        |home| {
            let mut go = Command::new(require("go", "see https://go.dev/doc/install")?);
            go.arg("install")
                .arg(format!(
                    "github.com/apache/beam/sdks/v2/go/cmd/prism@v{BEAM}"
                ))
                .env("GOBIN", home);
            process::run(go, BUILD, |_| ())?.ok()
        },
    )?;
    Ok(program(&home))
}
