//! Sources whose work is split by ranges.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};

use crate::dofn::{Claims, Cx, Held, Named, OffsetRange, OffsetTracker, Out, Resume, Splittable};
use crate::error::{Error, Result};

/// Reads the lines of the files whose paths come in, by ranges of bytes: a line belongs to the range that it begins in.
/// Lines end in `\n` or `\r\n`, which is not part of them.
///
/// A file must not change while it is read. A line of more than [`LONGEST_LINE`](Self::LONGEST_LINE) bytes is an error.
#[derive(Serialize, Deserialize)]
pub struct ReadText {
    /// A file is split into ranges of at most so many bytes before it is read.
    pub range: u64,
}

impl ReadText {
    /// Ranges that take long enough to be worth a bundle, and not so long that few of them keep a large runner busy.
    pub const RANGE: u64 = 64 << 20;

    /// A longer line is rather a file that is not text, and it would be held in memory.
    pub const LONGEST_LINE: u64 = 256 << 20;
}

impl Default for ReadText {
    fn default() -> Self {
        ReadText { range: Self::RANGE }
    }
}

impl Named for ReadText {
    const NAME: &'static str = "ferrobeam.ReadText/v1";
}

impl Splittable for ReadText {
    type In = String;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = Out<String>;

    fn initial(&self, path: &String) -> Result<OffsetRange> {
        let metadata = std::fs::metadata(path).map_err(|e| cannot_read(path, e))?;
        let end = i64::try_from(metadata.len())
            .map_err(|_| Error::user(format!("the file {path:?} is too long")))?;
        Ok(OffsetRange::new(0, end))
    }

    fn split(&self, _path: &String, all: OffsetRange) -> Result<Vec<OffsetRange>> {
        Ok(all.in_parts_of(self.range))
    }

    fn process(
        &mut self,
        path: &String,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        out: &mut Out<String>,
    ) -> Result<Resume> {
        let cannot = |e| cannot_read(path, e);
        let start = claims.restriction().start;
        let file = File::open(path).map_err(cannot)?;
        let mut file = BufReader::with_capacity(1 << 16, file);
        let mut next = start;
        // The line that the range begins in the middle of belongs to the range before. It ends with the byte before this
        // range at the earliest.
        if let Ok(before @ 0..) = u64::try_from(start - 1) {
            file.seek(SeekFrom::Start(before)).map_err(cannot)?;
            next = start - 1 + length(file.skip_until(b'\n').map_err(cannot)?);
        }
        let mut line = Vec::new();
        while claims.claim(next) {
            let read = read_line(&mut file, &mut line, Self::LONGEST_LINE)
                .map_err(|e| cannot(e).at("byte", next.to_string()))?;
            if read == 0 {
                // What is left of the range lies behind the end of the file, or is none: nobody can claim it.
                let _behind = claims.claim(i64::MAX);
                break;
            }
            out.emit(cx, text(path, next, &line)?);
            if cx.failed() {
                break;
            }
            next += length(read);
        }
        Ok(Resume::Done)
    }
}

/// Reads a line with its end, and yields its length.
fn read_line(file: &mut impl BufRead, line: &mut Vec<u8>, longest: u64) -> std::io::Result<usize> {
    line.clear();
    let read = file.by_ref().take(longest + 1).read_until(b'\n', line)?;
    if read as u64 > longest {
        let what = format!("a line has more than {longest} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
    }
    Ok(read)
}

fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A line without its end.
fn text(path: &str, at: i64, line: &[u8]) -> Result<String> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(line) => Ok(line.to_owned()),
        Err(error) => Err(Error::user(format!(
            "the line at byte {at} of the file {path:?} is not UTF-8"
        ))
        .because(error)),
    }
}

#[cold]
fn cannot_read(path: &str, cause: std::io::Error) -> Error {
    Error::user(format!("the file {path:?} cannot be read")).because(cause)
}

/// Emits the numbers from `start` up to `end`, which is not one of them.
#[derive(Serialize, Deserialize)]
pub struct Sequence {
    /// The first number.
    pub start: i64,
    /// The first number behind the last; less than [`i64::MAX`], which would stand for no end.
    pub end: i64,
}

/// A sequence is split into parts of at most so many numbers before it is emitted.
const SEQUENCE_PART: u64 = 1 << 20;

impl Named for Sequence {
    const NAME: &'static str = "ferrobeam.Sequence/v1";
}

impl Splittable for Sequence {
    type In = Vec<u8>;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = Out<i64>;

    fn initial(&self, _impulse: &Vec<u8>) -> Result<OffsetRange> {
        let all = OffsetRange::new(self.start, self.end);
        if all.is_bounded() {
            Ok(all)
        } else {
            Err(Error::user(format!("the sequence {all:?} has no end")))
        }
    }

    fn split(&self, _impulse: &Vec<u8>, all: OffsetRange) -> Result<Vec<OffsetRange>> {
        Ok(all.in_parts_of(SEQUENCE_PART))
    }

    fn process(
        &mut self,
        _impulse: &Vec<u8>,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        out: &mut Out<i64>,
    ) -> Result<Resume> {
        let mut next = claims.restriction().start;
        while claims.claim(next) && !cx.failed() {
            out.emit(cx, next);
            next += 1;
        }
        Ok(Resume::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded() {
        let (mut file, mut line) = (&b"four\n12345\n"[..], Vec::new());
        assert_eq!(read_line(&mut file, &mut line, 5).expect("short"), 5);
        assert_eq!(line, b"four\n");
        let error = read_line(&mut file, &mut line, 5).expect_err("long");
        assert_eq!(error.to_string(), "a line has more than 5 bytes");
        assert!(line.len() <= 6);
    }
}
