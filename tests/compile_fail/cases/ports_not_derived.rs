use ferrobeam::prelude::*;

struct Words;

struct WordsIo {
    words: Out<String>,
}

impl DoFn for Words {
    type In = String;
    type Io = WordsIo; //~ `WordsIo` is not a set of ports for `Words` //~ derive `Ports` for a struct whose fields are ports

    fn process(&mut self, word: String, cx: &mut Cx<'_>, io: &mut WordsIo) -> Result {
        io.words.emit(cx, word);
        Ok(())
    }
}

fn main() {}
