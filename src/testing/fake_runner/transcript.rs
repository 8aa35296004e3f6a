//! What was said between runner and worker, for people who look for a fault.

use std::collections::VecDeque;
use std::fmt;

/// Lines that are kept: the last ones tell most.
const KEPT: usize = 1000;

/// The last lines of a conversation.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    lines: VecDeque<String>,
    dropped: usize,
}

impl Transcript {
    pub(super) fn add(&mut self, line: String) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back(line);
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dropped > 0 {
            writeln!(f, "  ({} lines before)", self.dropped)?;
        }
        for line in &self.lines {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

/// The beginning of some bytes, in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 24;
    let mut text: String = bytes
        .iter()
        .take(SHOWN)
        .map(|b| format!("{b:02x}"))
        .collect();
    if bytes.len() > SHOWN {
        text.push_str(&format!("… ({} bytes)", bytes.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let mut transcript = Transcript::default();
        for n in 0..KEPT + 2 {
            transcript.add(n.to_string());
        }
        let text = transcript.to_string();
        assert!(text.starts_with("  (2 lines before)\n  2\n"), "{text}");
        assert_eq!(hex(&[0, 255]), "00ff");
    }
}
