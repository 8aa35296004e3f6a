//! How to start a worker. Data, not code.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::process::{pin, unpin};

/// How long a worker may take to end by itself after its control stream has ended.
const END: Duration = Duration::from_secs(8);

/// How long it may take once it is asked to.
const TERMINATION: Duration = Duration::from_secs(5);

/// A file of `harness/`.
#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Harness {
    pub(crate) name: String,
    /// The program and its arguments, with placeholders in braces.
    command: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    cwd: Option<String>,
    /// What the provision service answers.
    #[serde(default)]
    pub(crate) pipeline_options: serde_json::Map<String, serde_json::Value>,
}

/// Values of placeholders.
pub(crate) type Variables = BTreeMap<String, String>;

impl Harness {
    /// # Errors
    /// The file cannot be read, or does not say how to start a worker.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let harness: Harness = serde_json::from_str(&text)
            .with_context(|| format!("{} does not describe a worker", path.display()))?;
        if harness.command.is_empty() {
            bail!("{} names no command", path.display());
        }
        Ok(harness)
    }

    /// Starts the worker on `processors`, or on all that this thread may use. Its output goes to `output`.
    ///
    /// # Errors
    /// An unknown placeholder, or the program cannot be started.
    pub(crate) fn start(
        &self,
        variables: &Variables,
        output: PathBuf,
        processors: Option<&[usize]>,
    ) -> Result<Worker> {
        let fill = |text: &String| substitute(text, variables);
        let words = self.command.iter().map(fill).collect::<Result<Vec<_>>>()?;
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| anyhow!("there is no command"))?;
        let mut command = Command::new(program);
        command.args(arguments);
        for (name, value) in &self.env {
            command.env(name, fill(value)?);
        }
        if let Some(folder) = &self.cwd {
            command.current_dir(fill(folder)?);
        }
        let file =
            File::create(&output).with_context(|| format!("cannot write {}", output.display()))?;
        let errors = file.try_clone().context("cannot share the output file")?;
        command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .process_group(0);
        // A child inherits the affinity of the thread that starts it.
        let before = processors.map(pin).transpose()?;
        let child = command.spawn();
        if let Some(before) = before {
            unpin(&before)?;
        }
        let child = child.with_context(|| format!("cannot start {program}"))?;
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .context("the worker ended at once")?;
        Ok(Worker {
            child,
            group: Pid::from_raw(id),
            output,
        })
    }
}

/// A running worker. Dropping it kills its process group.
pub(crate) struct Worker {
    child: Child,
    group: Pid,
    output: PathBuf,
}

/// How a worker came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself.
    Graceful,
    /// It was asked to.
    Terminated,
    /// It was killed.
    Killed,
}

impl Ending {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Ending::Graceful => "graceful",
            Ending::Terminated => "sigterm",
            Ending::Killed => "sigkill",
        }
    }
}

impl Worker {
    /// The first process of its tree.
    pub(crate) fn root(&self) -> Pid {
        self.group
    }

    /// Returns when the worker has ended before it should.
    pub(crate) async fn early_end(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => anyhow!(
                "the worker ended early with {status}; its output is {}",
                self.output.display()
            ),
            Err(error) => anyhow!(error).context("cannot wait for the worker"),
        }
    }

    /// Waits for the worker to end by itself, then insists.
    pub(crate) async fn end(mut self) -> Ending {
        if timeout(END, self.child.wait()).await.is_ok() {
            return Ending::Graceful;
        }
        let _gone = killpg(self.group, Signal::SIGTERM);
        if timeout(TERMINATION, self.child.wait()).await.is_ok() {
            return Ending::Terminated;
        }
        let _gone = killpg(self.group, Signal::SIGKILL);
        let _ended = self.child.wait().await;
        Ending::Killed
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Only what this driver started is in the group. Descendants may outlive the worker itself.
        let _gone = killpg(self.group, Signal::SIGKILL);
    }
}

/// Replaces each `{name}`. Braces around anything but a lower-case name stay: values may be JSON.
fn substitute(text: &str, variables: &Variables) -> Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let (before, braced) = rest.split_at(start);
        out.push_str(before);
        let name = braced[1..].split('}').next().unwrap_or_default();
        let is_name = !name.is_empty()
            && name.len() + 1 < braced.len()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if is_name {
            let value = variables.get(name);
            out.push_str(value.with_context(|| {
                format!("nothing says what {{{name}}} is: pass --set {name}=VALUE")
            })?);
            rest = &braced[name.len() + 2..];
        } else {
            out.push('{');
            rest = &braced[1..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn placeholders_are_replaced_and_json_is_not() {
        let variables: Variables = [("control".to_owned(), "localhost:1".to_owned())].into();
        let filled = |text| substitute(text, &variables);
        assert_eq!(
            filled("--control={control}!").unwrap(),
            "--control=localhost:1!"
        );
        assert_eq!(
            filled(r#"{"a:b": {"c": 1}} {control}"#).unwrap(),
            r#"{"a:b": {"c": 1}} localhost:1"#
        );
        assert_eq!(filled("{} {control").unwrap(), "{} {control");
        let error = filled("{python}").unwrap_err().to_string();
        assert_eq!(
            error,
            "nothing says what {python} is: pass --set python=VALUE"
        );
    }

    #[test]
    fn the_files_of_this_folder_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness");
        for name in ["rust", "python", "sink"] {
            let harness = Harness::load(&folder.join(format!("{name}.json"))).unwrap();
            assert_eq!(harness.name, name);
        }
    }
}
