//! Children that run until we are done with them.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::group::Group;
use super::output::Tail;
use super::{TICK, describe, interrupted};

/// Time for a server to end by itself before its group is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A running server. Dropping it stops the server and all that it started.
pub(crate) struct Server {
    group: Group,
    what: String,
}

impl Server {
    /// Starts a command and waits until `ready` finds in a line of its output what the caller needs to know.
    /// All output goes to the file `log`.
    ///
    /// # Errors
    /// When the server cannot be started, ends early, or is not ready within `limit`.
    pub(crate) fn start<T>(
        command: Command,
        log: &Path,
        limit: Duration,
        ready: impl Fn(&str) -> Option<T>,
    ) -> Result<(Self, T)> {
        let what = describe(&command);
        let file =
            File::create(log).with_context(|| format!("could not write {}", log.display()))?;
        let (group, lines) = Group::spawn(command, Some(file))?;
        let mut server = Self { group, what };
        let deadline = Instant::now() + limit;
        let mut tail = Tail::default();
        loop {
            match lines.recv_timeout(TICK) {
                Ok(line) => match ready(&line.text) {
                    Some(found) => return Ok((server, found)),
                    None => tail.push(line),
                },
                Err(RecvTimeoutError::Timeout) => server.check(&tail)?,
                Err(RecvTimeoutError::Disconnected) => {
                    server.check(&tail)?;
                    bail!(
                        "`{}` closed its output before it was ready{tail}",
                        server.what
                    );
                }
            }
            if Instant::now() >= deadline {
                let seconds = limit.as_secs();
                bail!("`{}` was not ready within {seconds} s{tail}", server.what);
            }
        }
    }

    /// Fails when the server has ended or this program was told to stop.
    pub(crate) fn alive(&mut self) -> Result<()> {
        if interrupted() {
            bail!("interrupted");
        }
        match self.group.exited()? {
            None => Ok(()),
            Some(status) => bail!("`{}` ended with {status}", self.what),
        }
    }

    fn check(&mut self, tail: &Tail) -> Result<()> {
        self.alive().with_context(|| format!("not ready{tail}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.group.stop(GRACE);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use rustix::process::{Pid, test_kill_process_group};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn start(script: &str, log: &Path, limit: Duration) -> Result<(Server, i32)> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Server::start(command, log, limit, |line| {
            line.strip_prefix("PID=").and_then(|pid| pid.parse().ok())
        })
    }

    fn is_alive(leader: i32) -> bool {
        test_kill_process_group(Pid::from_raw(leader).unwrap()).is_ok()
    }

    #[test]
    fn a_server_lives_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let (mut server, leader) =
            start("echo hello; echo PID=$$; exec sleep 600", &log, LIMIT).unwrap();
        server.alive().unwrap();
        assert!(is_alive(leader));
        drop(server);
        assert!(!is_alive(leader));
        assert!(fs::read_to_string(&log).unwrap().starts_with("hello\nPID="));
    }

    #[test]
    fn a_server_that_ends_early_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let error = start(
            "echo no port free; exit 4",
            &folder.path().join("log"),
            LIMIT,
        )
        .err();
        let text = format!("{:#}", error.unwrap());
        assert!(text.contains("no port free"), "{text}");
    }

    #[test]
    fn a_server_that_is_never_ready_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let limit = Duration::from_millis(300);
        let error = start("echo loading; sleep 600", &folder.path().join("log"), limit).err();
        let text = format!("{:#}", error.unwrap());
        assert!(
            text.contains("was not ready within") && text.contains("loading"),
            "{text}"
        );
    }
}
