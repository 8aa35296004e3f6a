//! Output of children: cut into lines, with the last ones kept.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// Longer lines are cut in pieces, so that a child without newlines cannot fill our memory.
const LONGEST_LINE: u64 = 16 * 1024;

/// Lines read ahead of whoever looks at them. A slow reader slows the child, as a terminal would.
const LINES_AHEAD: usize = 256;

/// Lines that an error message shows.
const TAIL_LINES: usize = 40;

/// Reads lines on a thread of their own until the output ends. `each` sees every line, also when nobody receives any more:
/// a child must never block on output that is not wanted.
pub(crate) fn lines(
    output: impl Read + Send + 'static,
    mut each: impl FnMut(&str) + Send + 'static,
) -> Receiver<String> {
    let (sender, receiver) = sync_channel(LINES_AHEAD);
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            match output
                .by_ref()
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut bytes)
            {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&bytes);
            let line = text.trim_end_matches(['\r', '\n']);
            each(line);
            let _unwanted = sender.send(line.to_owned());
        }
    });
    receiver
}

/// The last lines of some output.
#[derive(Default)]
pub(crate) struct Tail(VecDeque<String>);

impl Tail {
    pub(crate) fn push(&mut self, line: String) {
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
    use super::*;

    #[test]
    fn an_endless_line_is_cut() {
        let endless = std::io::repeat(b'x').take(3 * LONGEST_LINE + 5);
        let lengths: Vec<usize> = lines(endless, |_| ())
            .iter()
            .map(|line| line.len())
            .collect();
        assert_eq!(lengths, [16384, 16384, 16384, 5]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let seen: Vec<String> = lines(&b"a\xffb\r\nc"[..], |_| ()).iter().collect();
        assert_eq!(seen, ["a\u{fffd}b", "c"]);
    }
}
