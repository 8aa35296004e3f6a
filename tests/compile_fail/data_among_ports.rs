use ferrobeam::prelude::*;

#[derive(Ports)]
struct WordsIo {
    words: Out<String>,
    min_len: usize,
}

struct Dictionary;

#[derive(Ports)]
struct DictionaryIo {
    words: Out<String>,
    dictionary: Dictionary,
}

struct Words;

impl DoFn for Words {
    type In = String;
    type Io = DictionaryIo;

    fn process(&mut self, _: String, _: &mut Cx<'_>, _: &mut DictionaryIo) -> Result {
        Ok(())
    }
}

fn main() {}
