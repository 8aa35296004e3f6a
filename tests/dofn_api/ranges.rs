//! Sources whose work is split by ranges.

use std::io::Write;

use ferrobeam::dofn::builtin::{ReadText, Sequence};
use ferrobeam::testing::SplittableTester;
use tempfile::NamedTempFile;

fn file(text: &[u8]) -> (NamedTempFile, String) {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(text).expect("there is room");
    let path = file.path().to_str().expect("a path of text").to_owned();
    (file, path)
}

fn read(text: &[u8], range: u64) -> Vec<String> {
    let (_file, path) = file(text);
    let mut tester = SplittableTester::of(ReadText { range });
    tester.run([path]).expect("it can be read").values()
}

#[test]
fn each_line_once_and_none_torn_wherever_ranges_meet() {
    for (text, lines) in [
        (&b"one\ntwo\r\n\nfour\n"[..], vec!["one", "two", "", "four"]),
        (b"one\ntwo", vec!["one", "two"]),
        (b"\n", vec![""]),
        (b"\n\n\r\n", vec!["", "", ""]),
        (b"", vec![]),
        (
            b"one line, longer than any range",
            vec!["one line, longer than any range"],
        ),
        ("ä\nöü\n".as_bytes(), vec!["ä", "öü"]),
    ] {
        for range in 1..=text.len() as u64 + 1 {
            assert_eq!(read(text, range), lines, "{range}");
        }
    }
}

#[test]
fn cut_anywhere() {
    let text: String = (0..200)
        .map(|n| format!("{}\n", "x".repeat(n % 7)))
        .collect();
    let expected: Vec<String> = {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let (_file, path) = file(text.as_bytes());
    for seed in 0..50 {
        let mut tester = SplittableTester::of(ReadText { range: 100 });
        let lines = tester
            .cutting(seed)
            .run([path.clone()])
            .expect("it can be read");
        let mut lines = lines.values();
        lines.sort();
        assert_eq!(lines, expected, "seed {seed}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let error = |path: String| {
        let mut tester = SplittableTester::of(ReadText::default());
        tester.run([path]).expect_err("unreadable").to_string()
    };
    let missing = error("/no/such/file".into());
    assert!(
        missing.contains("\"/no/such/file\" cannot be read"),
        "{missing}"
    );
    let (_file, path) = file(b"good\n\xff\n");
    let damaged = error(path);
    assert!(damaged.contains("the line at byte 5"), "{damaged}");
}

#[test]
fn sequences() {
    let mut tester = SplittableTester::of(Sequence { start: -2, end: 3 });
    let numbers = tester.run([vec![]]).expect("nothing fails").values();
    assert_eq!(numbers, [-2, -1, 0, 1, 2]);
    let end = i64::MAX;
    let endless = SplittableTester::of(Sequence { start: 1, end }).run([vec![]]);
    let error = endless.expect_err("nothing would end it").to_string();
    assert!(error.contains("the sequence [1, …) has no end"), "{error}");
}
