//! Counts the words of a text file.
//!
//! ```sh
//! cargo run --example wordcount -- --job_endpoint=localhost:8099 --input=in.txt --output=out.txt
//! ```
//!
//! Prism (`prism --job_port=8099`) or Beam's local job service in Python are job services for one machine. The functions
//! run in this process, unless `--environment_type` says otherwise.

use std::sync::Arc;

use ferrobeam::dofn::Sum;
use ferrobeam::exec::Registry;
use ferrobeam::pipeline::{Pipeline, PipelineOptions};
use ferrobeam::prelude::*;
use serde::{Deserialize, Serialize};

/// Splits lines into words.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "wordcount.Words/v1")]
struct Words {
    /// Shorter words are left out.
    min_len: usize,
}

#[derive(Ports)]
struct WordsIo {
    words: Out<Kv<String, i64>>,
    /// Lines without a word.
    empty_lines: Counter,
    /// Lengths of words in bytes.
    lengths: Distribution,
}

impl DoFn for Words {
    type In = String;
    type Io = WordsIo;

    fn process(&mut self, line: String, cx: &mut Cx<'_>, io: &mut WordsIo) -> Result {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '\'');
        let mut any = false;
        for word in words.filter(|word| !word.is_empty() && word.len() >= self.min_len) {
            any = true;
            io.lengths.add(word.len() as i64);
            io.words.emit(cx, Kv(word.to_lowercase(), 1));
        }
        if !any {
            io.empty_lines.add(1);
        }
        Ok(())
    }
}

/// One line of text for each word.
fn format() -> Steps<Kv<String, i64>, impl Step<Kv<String, i64>, Out = String>> {
    steps("wordcount.format/v1").map(|Kv(word, count)| format!("{word}: {count}"))
}

fn count_words(pipeline: &Pipeline, input: &str, output: &str) {
    let lines = pipeline.read_lines("Read", input);
    let words = lines.par_do("Words", Words { min_len: 1 }).words;
    words
        .combine_per_key("Count", Sum::<i64>::new())
        .steps("Format", format())
        .write_lines("Write", output);
}

fn main() -> Result {
    let mut options = PipelineOptions::from_args(std::env::args().skip(1))?;
    let mut file = |name: &str| {
        let path = options.take(name);
        path.ok_or_else(|| Error::config(format!("name a file with --{name}=")))
    };
    let (input, output) = (file("input")?, file("output")?);

    let mut registry = Registry::new();
    registry.add::<Words>().add_steps(format);

    let pipeline = Pipeline::new();
    count_words(&pipeline, &input, &output);
    let mut job = pipeline.run(&options, &Arc::new(registry))?;
    let state = job.wait(None)?;

    let metrics = job.metrics()?;
    let words = metrics.distribution("wordcount.Words", "lengths");
    let empty = metrics.counter("wordcount.Words", "empty_lines");
    println!(
        "{state}: {} words, {} empty lines",
        words.map_or(0, |spread| spread.count),
        empty.unwrap_or(0)
    );
    Ok(())
}
