//! The binary as other programs see it: what it prints, where it listens, how it ends.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Nothing here takes long, except on a machine that does something else.
const LIMIT: Duration = Duration::from_secs(20);

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn binary(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrobeam"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Running {
    fn start(args: &[&str]) -> Self {
        Running(binary(args).spawn().unwrap())
    }

    /// The port that it prints.
    fn port(&mut self) -> u16 {
        let stdout = self.0.stdout.take().unwrap();
        let (sender, receiver) = mpsc::sync_channel(1);
        thread::spawn(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            sender.send(line).unwrap();
        });
        let line = receiver.recv_timeout(LIMIT).unwrap();
        line.trim().strip_prefix("PORT=").unwrap().parse().unwrap()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.0.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// How it ended, and after how long.
    fn ended(&mut self) -> (ExitStatus, Duration) {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return (status, begin.elapsed());
            }
            assert!(begin.elapsed() < LIMIT, "it does not end");
            thread::yield_now();
        }
    }
}

/// Exit status, standard output and standard error.
fn output(args: &[&str]) -> (bool, String, String) {
    let mut child = Running::start(args);
    let (status, _) = child.ended();
    let mut text = (String::new(), String::new());
    let stdout = child.0.stdout.take();
    let stderr = child.0.stderr.take();
    stdout.unwrap().read_to_string(&mut text.0).unwrap();
    stderr.unwrap().read_to_string(&mut text.1).unwrap();
    (status.success(), text.0, text.1)
}

fn reachable(host: &str, port: u16) -> bool {
    TcpStream::connect((host, port)).is_ok()
}

#[test]
fn it_listens_on_both_loopback_addresses_until_a_signal() {
    let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    for (args, signal) in [(["serve", "0"], "TERM"), (["pool", "0"], "INT")] {
        let mut service = Running::start(&args);
        let port = service.port();
        assert!(reachable("127.0.0.1", port), "{args:?}");
        assert_eq!(reachable("::1", port), has_ipv6, "{args:?}");
        service.signal(signal);
        let (status, took) = service.ended();
        assert!(status.success(), "{args:?}: {status}");
        assert!(took < Duration::from_secs(1), "{args:?}: {took:?}");
    }
}

#[test]
fn two_on_any_port_get_two_ports() {
    let (mut one, mut other) = (Running::start(&["0"]), Running::start(&["0"]));
    assert_ne!(one.port(), other.port());
}

#[test]
fn a_port_in_use_ends_it_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let begin = Instant::now();
    let (success, stdout, stderr) = output(&["serve", &port]);
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert!(!success);
    assert_eq!(stdout, "");
    assert!(stderr.contains("address in use"), "{stderr}");
    assert!(stderr.contains(&port), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn flags_of_other_services_do_not_matter() {
    let mut service = Running::start(&["0", "--filesToStage=a.jar", "--alsoStartLoopbackWorker"]);
    let port = service.port();
    assert!(reachable("127.0.0.1", port));
}

#[test]
fn mistakes_are_one_line() {
    for (args, expected) in [
        (&["sevre"][..], "the commands are"),
        (&[], "--help"),
        (&["serve", "--env=docker"], "--image"),
        (
            &["serve", "0", "--artifact=/no/such/file"],
            "cannot publish",
        ),
        (&["worker", "--id=1"], "--provision_endpoint"),
    ] {
        let (success, stdout, stderr) = output(args);
        assert!(!success, "{args:?}");
        assert_eq!(stdout, "", "{args:?}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn help_and_version() {
    let (success, stdout, _) = output(&["--help"]);
    assert!(
        success && stdout.starts_with("usage: ferrobeam"),
        "{stdout}"
    );
    let (success, stdout, _) = output(&["--version"]);
    assert!(success);
    assert_eq!(
        stdout,
        concat!("ferrobeam ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
