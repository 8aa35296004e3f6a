//! A port type of one's own, with demands on its function.
use ferrobeam::dofn::{Describe, Port, Wiring};
use ferrobeam::prelude::*;
use ferrobeam::testing::DoFnTester;

use crate::text;

/// A function that can be told to stop.
trait Stops {}

/// Tells whether to stop; only for functions that can.
struct Stop;

impl<F: Stops> Port<F> for Stop {
    fn wire(_wiring: &mut Wiring<'_>, _name: &'static str) -> Result<Self> {
        Ok(Stop)
    }

    fn describe<D: Describe>(_describe: &mut D, _name: &'static str) {}
}

/// Emits words.
struct Words;

impl Stops for Words {}

/// The ports of [`Words`].
#[derive(Ports)]
struct WordsIo {
    /// All words.
    words: Out<String>,
    rest: Out<String>,
    /// Whether to stop.
    stop: Stop,
}

impl DoFn for Words {
    type In = String;
    type Io = WordsIo;

    fn process(&mut self, word: String, cx: &mut Cx<'_>, io: &mut WordsIo) -> Result {
        let Stop = io.stop;
        io.words.emit(cx, word.clone());
        io.rest.emit(cx, word);
        Ok(())
    }
}

#[test]
fn all_ports_are_wired() {
    let WordsIoOutputs { words, rest } = DoFnTester::of(Words).run(text(["a"])).unwrap();
    assert_eq!(
        (words.values(), rest.values()),
        (text(["a"]).into(), text(["a"]).into())
    );
}
