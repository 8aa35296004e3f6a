//! Child processes that cannot outlive their use.
//!
//! Each child leads a process group of its own. The group is killed when its handle is dropped, when its time is up and
//! when this program is told to stop, so a runner's workers go with the runner. Output is read as it comes, in lines of
//! bounded length, of which only the last are kept for an error message.

mod group;
mod output;
mod server;

pub(crate) use group::{interrupted, watch_signals};
pub(crate) use server::Server;

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use self::group::Group;
use self::output::{Line, Tail};

/// How often a wait looks for what sends no event: a process that ended, an interruption.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// How a child ended, with what it said last.
pub(crate) struct Outcome {
    what: String,
    status: ExitStatus,
    tail: Tail,
}

impl Outcome {
    /// Whether the child reported success.
    pub(crate) fn success(&self) -> bool {
        self.status.success()
    }

    /// Turns a failure into an error that shows the last lines of output.
    pub(crate) fn ok(self) -> Result<()> {
        if self.success() {
            return Ok(());
        }
        bail!("`{}` ended with {}{}", self.what, self.status, self.tail)
    }
}

/// Runs a command to its end and hands over each line of its output, standard error included.
///
/// # Errors
/// When the command cannot be started, does not end within `limit`, or this program is told to stop.
pub(crate) fn run(
    command: Command,
    limit: Duration,
    mut on_line: impl FnMut(&Line),
) -> Result<Outcome> {
    let what = describe(&command);
    let deadline = Instant::now() + limit;
    let (mut group, lines) = Group::spawn(command, None)?;
    let mut tail = Tail::default();
    let mut open = true;
    let status = loop {
        if interrupted() {
            bail!("`{what}` was interrupted");
        }
        if Instant::now() >= deadline {
            bail!("`{what}` did not end within {} s{tail}", limit.as_secs());
        }
        if open {
            match lines.recv_timeout(TICK) {
                Ok(line) => {
                    on_line(&line);
                    tail.push(line);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => open = false,
            }
        } else {
            thread::sleep(TICK / 10);
        }
        // Asked only when no line is waiting. A descendant may hold the output open longer than the child lives.
        if let Some(status) = group.exited()? {
            break status;
        }
    };
    Ok(Outcome { what, status, tail })
}

/// A command whose address space is limited to `bytes` where the system has `prlimit`.
pub(crate) fn with_memory_limit(program: impl AsRef<OsStr>, bytes: u64) -> Command {
    if find("prlimit").is_none() {
        return Command::new(program);
    }
    let mut command = Command::new("prlimit");
    command.arg(format!("--as={bytes}")).arg(program);
    command
}

/// Where a program is on the search path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// The command as a person would type it, cut to a readable length.
pub(crate) fn describe(command: &Command) -> String {
    const LONGEST: usize = 160;
    let program = Path::new(command.get_program());
    let mut text = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn each_line_of_output_arrives() {
        let mut seen = Vec::new();
        let outcome = run(shell("echo one; printf two"), LIMIT, |line| {
            seen.push(line.text.clone());
        });
        assert!(outcome.unwrap().success());
        assert_eq!(seen, ["one", "two"]);
    }

    #[test]
    fn a_failure_shows_the_last_lines() {
        let outcome = run(shell("seq 1000; exit 3"), LIMIT, |_| ()).unwrap();
        let text = outcome.ok().unwrap_err().to_string();
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.ends_with("\n  999\n  1000"), "{text}");
        assert!(!text.contains("\n  500\n"), "{text}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(Command::new("no-such-program"), LIMIT, |_| ())
            .err()
            .unwrap();
        assert!(
            format!("{error:#}").contains("`no-such-program`"),
            "{error:#}"
        );
    }

    #[test]
    fn the_time_limit_is_kept() {
        let error = run(
            shell("echo busy; sleep 600"),
            Duration::from_millis(1500),
            |_| (),
        )
        .err();
        let text = error.unwrap().to_string();
        assert!(
            text.contains("did not end within 1 s") && text.ends_with("busy"),
            "{text}"
        );
    }

    #[test]
    fn a_stray_descendant_does_not_hold_up_the_end() {
        let started = Instant::now();
        assert!(run(shell("sleep 600 &"), LIMIT, |_| ()).unwrap().success());
        assert!(started.elapsed() < LIMIT / 2);
    }

    #[test]
    fn a_long_command_is_cut() {
        let text = describe(&shell(&"ü".repeat(500)));
        assert!(
            text.starts_with("sh -c üü") && text.ends_with("ü…"),
            "{text}"
        );
        assert_eq!(text.chars().count(), 161);
    }
}
