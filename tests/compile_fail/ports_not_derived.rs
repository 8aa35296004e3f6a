use ferrobeam::prelude::*;

struct Words;

struct WordsIo {
    words: Out<String>,
}

impl DoFn for Words {
    type In = String;
    type Io = WordsIo;

    fn process(&mut self, word: String, cx: &mut Cx<'_>, io: &mut WordsIo) -> Result {
        io.words.emit(cx, word);
        Ok(())
    }
}

fn main() {}
