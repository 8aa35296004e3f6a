//! Process groups, and the one list of those alive that the signal handler works on.

use std::fs::File;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::output::{self, Line};
use super::{TICK, describe};

/// Groups that a signal must reach. Spawning holds the lock, so none slips past the handler.
static LIVE: Mutex<Live> = Mutex::new(Live {
    groups: Vec::new(),
    interrupted: false,
});

struct Live {
    groups: Vec<Pid>,
    interrupted: bool,
}

fn live() -> MutexGuard<'static, Live> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes the first request to stop on to every child, so that all waits return and every guard cleans up.
/// A second request ends this program where it stands.
pub(crate) fn watch_signals() -> Result<()> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).context("could not listen for signals")?;
    thread::spawn(move || {
        for _ in signals.forever() {
            let mut live = live();
            if live.interrupted {
                std::process::exit(130);
            }
            live.interrupted = true;
            for group in &live.groups {
                signal(*group, Signal::TERM);
            }
        }
    });
    Ok(())
}

/// Whether this program was told to stop.
pub(crate) fn interrupted() -> bool {
    live().interrupted
}

/// A group that is already gone is what the caller wants.
fn signal(group: Pid, signal: Signal) {
    let _gone = kill_process_group(group, signal);
}

/// A child that leads a process group. Dropping it kills the group.
pub(crate) struct Group {
    child: Child,
    id: Pid,
}

impl Group {
    /// Starts a command without input and hands over the lines of its output, which go to `log` too.
    pub(crate) fn spawn(mut command: Command, log: Option<File>) -> Result<(Self, Receiver<Line>)> {
        use std::os::unix::process::CommandExt as _;

        let what = describe(&command);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut live = live();
        if live.interrupted {
            bail!("`{what}` was not started: interrupted");
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("could not start `{what}`"))?;
        let id = Pid::from_child(&child);
        live.groups.push(id);
        drop(live);
        let streams = child.stdout.take().zip(child.stderr.take());
        let group = Self { child, id };
        let (output, errors) = streams.context("a child process has no output")?;
        Ok((group, output::lines(output, errors, log)))
    }

    /// How the child ended, if it did.
    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .context("could not look after a child process")
    }

    /// Asks the group to end and waits for its leader, at most for `grace`.
    pub(crate) fn stop(&mut self, grace: Duration) {
        signal(self.id, Signal::TERM);
        let deadline = Instant::now() + grace;
        while matches!(self.exited(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(TICK / 10);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        live().groups.retain(|group| *group != self.id);
        signal(self.id, Signal::KILL);
        let _ended = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::mpsc::RecvTimeoutError;

    use super::*;

    #[test]
    fn dropping_a_group_ends_descendants() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo started; wait"]);
        let (group, lines) = Group::spawn(command, None).unwrap();
        let limit = Duration::from_secs(20);
        assert_eq!(lines.recv_timeout(limit).unwrap().text, "started");
        drop(group);
        // The output ends when the last process that holds it is gone.
        assert_eq!(
            lines.recv_timeout(limit),
            Err(RecvTimeoutError::Disconnected)
        );
    }
}
