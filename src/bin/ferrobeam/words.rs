//! Words of lines, and how often they occur.

use ferrobeam::exec::Registry;
use ferrobeam::expansion::{Call, Catalogue, SchemaTransform};
use ferrobeam::pipeline::PCollection;
use ferrobeam::prelude::*;
use ferrobeam::{Result, Row};
use serde::{Deserialize, Serialize};

/// The functions of this module.
pub(crate) fn functions(registry: &mut Registry) {
    registry.add::<FindWords>().add_steps(texts).add::<Often>();
}

/// The transforms of this module.
pub(crate) fn transforms(catalogue: &mut Catalogue) {
    catalogue.add::<SplitWords>().add::<CountWords>();
}

/// A line of a text. Rows with more fields than this will do.
#[derive(Clone, Row)]
struct Line {
    line: String,
}

/// A word of a line.
#[derive(Clone, Row)]
struct Word {
    word: String,
}

/// How often a word occurs.
#[derive(Clone, Row)]
struct WordCount {
    word: String,
    count: i64,
}

/// Splits lines into words.
#[derive(Clone, Row)]
struct SplitWords {
    /// Whether words are written in lower case.
    #[beam(default = true)]
    lowercase: bool,
    /// Words with fewer letters are left out.
    #[beam(default = 1)]
    min_letters: i64,
}

impl SchemaTransform for SplitWords {
    const IDENTIFIER: &'static str = "beam:schematransform:org.apache.beam:rust_split_words:v1";
    const DESCRIPTION: &'static str = "Splits the field `line` of each row into words: runs of letters and digits, with \
        apostrophes between them. Yields rows with the field `word`.";
    type Input = PCollection<Line>;
    type Output = PCollection<Word>;

    fn expand(self, lines: PCollection<Line>, _call: &Call<'_>) -> Result<PCollection<Word>> {
        let find = FindWords {
            lowercase: self.lowercase,
            min_letters: usize::try_from(self.min_letters).unwrap_or_default(),
        };
        Ok(lines.par_do("Find words", find).words)
    }
}

/// Finds the words of a line.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "ferrobeam.words.Find/v1")]
struct FindWords {
    lowercase: bool,
    min_letters: usize,
}

#[derive(Ports)]
struct FindWordsIo {
    words: Out<Word>,
    lines: Counter,
    empty_lines: Counter,
    word_letters: Distribution,
}

impl DoFn for FindWords {
    type In = Line;
    type Io = FindWordsIo;

    fn process(&mut self, line: Line, cx: &mut Cx<'_>, io: &mut FindWordsIo) -> Result {
        io.lines.add(1);
        let mut found = 0;
        for word in words(&line.line) {
            let letters = word.chars().count();
            found += 1;
            if letters < self.min_letters {
                continue;
            }
            io.word_letters.add(letters as i64);
            let word = if self.lowercase {
                word.to_lowercase()
            } else {
                word.to_owned()
            };
            io.words.emit(cx, Word { word });
        }
        if found == 0 {
            io.empty_lines.add(1);
        }
        Ok(())
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’')
        .map(|word| word.trim_matches(['\'', '’']))
        .filter(|word| !word.is_empty())
}

/// Counts words.
#[derive(Clone, Row)]
struct CountWords {
    /// Words that occur less often are left out.
    #[beam(default = 1)]
    min_count: i64,
}

impl SchemaTransform for CountWords {
    const IDENTIFIER: &'static str = "beam:schematransform:org.apache.beam:rust_count_words:v1";
    const DESCRIPTION: &'static str = "Counts, per window, how often each value of the field `word` occurs. Yields rows with the fields `word` and `count`.";
    type Input = PCollection<Word>;
    type Output = PCollection<WordCount>;

    fn expand(self, words: PCollection<Word>, _call: &Call<'_>) -> Result<PCollection<WordCount>> {
        let counts = words.steps("Texts", texts()).count_per_element("Count");
        let often = Often {
            min_count: self.min_count,
        };
        Ok(counts.par_do("Often", often).often)
    }
}

/// What is counted: the word, without whatever else its row holds.
fn texts() -> Steps<Word, impl Step<Word, Out = String>> {
    steps("ferrobeam.words.texts/v1").map(|word: Word| word.word)
}

/// Makes rows of the counts of words that occur often enough.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "ferrobeam.words.Often/v1")]
struct Often {
    min_count: i64,
}

#[derive(Ports)]
struct OftenIo {
    often: Out<WordCount>,
    distinct_words: Counter,
}

impl DoFn for Often {
    type In = Kv<String, i64>;
    type Io = OftenIo;

    fn process(&mut self, counted: Self::In, cx: &mut Cx<'_>, io: &mut OftenIo) -> Result {
        io.distinct_words.add(1);
        let Kv(word, count) = counted;
        if count >= self.min_count {
            io.often.emit(cx, WordCount { word, count });
        }
        Ok(())
    }
}
