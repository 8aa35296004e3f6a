use ferrobeam::prelude::*;

#[derive(Ports)]
struct WordsIo {
    words: Out<String>,
    min_len: usize, //~ `min_len` is not a port: plain data belongs in the DoFn itself
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
    type Io = DictionaryIo; //~ `Dictionary` is not a port: use Out<T>, Side<V>, InWindow<W>, Timer<Tag>, Timers<Tag>, WindowExpiration, ValueState<T> or another kind of state, AfterCommit, Options, or a metric such as Counter

    fn process(&mut self, _: String, _: &mut Cx<'_>, _: &mut DictionaryIo) -> Result {
        Ok(())
    }
}

fn main() {}
