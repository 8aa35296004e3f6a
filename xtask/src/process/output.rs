//! Output of children: cut into lines, with the last ones kept.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Longer lines are cut in pieces, so that a child without newlines cannot fill our memory.
const LONGEST_LINE: u64 = 16 * 1024;

/// Lines read ahead of whoever looks at them. A slow reader slows the child, as a terminal would.
const LINES_AHEAD: usize = 256;

/// Lines that an error message shows.
const TAIL_LINES: usize = 40;

/// A line without its end, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    /// Whether it came through standard output rather than standard error.
    pub(crate) is_output: bool,
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// Reads the lines of both streams, each on a thread of its own, until they end. All lines go to `log` too, also when
/// nobody receives any more: a child must never block on output that is not wanted.
pub(crate) fn lines(
    output: impl Read + Send + 'static,
    errors: impl Read + Send + 'static,
    log: Option<File>,
) -> Receiver<Line> {
    let (sender, receiver) = sync_channel(LINES_AHEAD);
    let log = Arc::new(log);
    let (other_sender, other_log) = (sender.clone(), Arc::clone(&log));
    thread::spawn(move || read(output, true, &log, &sender));
    thread::spawn(move || read(errors, false, &other_log, &other_sender));
    receiver
}

fn read(stream: impl Read, is_output: bool, log: &Option<File>, sender: &SyncSender<Line>) {
    let mut stream = BufReader::new(stream);
    let mut bytes = Vec::new();
    while let Ok(1..) = (&mut stream)
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut bytes)
    {
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        if let Some(mut log) = log.as_ref() {
            // One call per line keeps lines of two streams whole. A full disk must not stop the child.
            let _lost = log.write_all(format!("{text}\n").as_bytes());
        }
        let _unwanted = sender.send(Line { text, is_output });
        bytes.clear();
    }
}

/// The last lines of some output.
#[derive(Default)]
pub(crate) struct Tail(VecDeque<Line>);

impl Tail {
    pub(crate) fn push(&mut self, line: Line) {
        if self.0.len() == TAIL_LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }
}

/// What an error message appends: nothing, or a heading and indented lines.
impl fmt::Display for Tail {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str(" and printed nothing");
        }
        out.write_str("; it printed last:")?;
        self.0.iter().try_for_each(|line| write!(out, "\n  {line}"))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn texts(output: impl Read + Send + 'static) -> Vec<String> {
        let lines = lines(output, io::empty(), None);
        lines.iter().map(|line| line.text).collect()
    }

    #[test]
    fn an_endless_line_is_cut() {
        let endless = io::repeat(b'x').take(3 * LONGEST_LINE + 5);
        let lengths: Vec<usize> = texts(endless).iter().map(String::len).collect();
        assert_eq!(lengths, [16384, 16384, 16384, 5]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(texts(&b"a\xffb\r\n\nc"[..]), ["a\u{fffd}b", "", "c"]);
    }

    #[test]
    fn the_streams_are_told_apart() {
        let mut seen: Vec<Line> = lines(&b"out\n"[..], &b"err\n"[..], None).iter().collect();
        seen.sort_by_key(|line| line.is_output);
        let seen: Vec<_> = seen
            .iter()
            .map(|line| (line.is_output, line.text.as_str()))
            .collect();
        assert_eq!(seen, [(false, "err"), (true, "out")]);
    }
}
