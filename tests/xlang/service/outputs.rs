//! Several outputs, no inputs, and what is said on the way.

use ferrobeam::Row;
use ferrobeam::exec::Registry;
use ferrobeam::expansion::{Catalogue, Outputs};
use ferrobeam::prelude::*;
use serde::{Deserialize, Serialize};

pub(crate) fn functions(registry: &mut Registry) {
    registry.add::<Sort>();
}

pub(crate) fn transforms(catalogue: &mut Catalogue) {
    catalogue
        .add_urn("ferrobeam:test:sort", |call| {
            let texts = call.only_input::<String>()?;
            let sorted = call
                .pipeline()
                .scope("Sort", |_| texts.par_do("By kind", Sort));
            Ok(Outputs::none()
                .and("numbers", sorted.numbers)
                .and("words", sorted.words)
                .and("rejected", sorted.rejected))
        })
        .add_urn("ferrobeam:test:sequence", |call| {
            let Length { length } = call.config()?;
            let numbers = call.pipeline().sequence("Numbers", 0..length);
            Ok(Outputs::only(numbers))
        });
}

/// How many numbers there are to be.
#[derive(Clone, Row)]
struct Length {
    length: i64,
}

/// A text that is of no kind.
#[derive(Clone, Row)]
struct Rejected {
    text: String,
    reason: String,
}

/// Sorts texts by what they are.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "test.Sort/v1")]
struct Sort;

#[derive(Ports)]
struct SortIo {
    numbers: Out<i64>,
    words: Out<String>,
    rejected: Out<Rejected>,
    rejections: Counter,
    word_letters: Distribution,
}

impl DoFn for Sort {
    type In = String;
    type Io = SortIo;

    fn process(&mut self, text: String, cx: &mut Cx<'_>, io: &mut SortIo) -> Result {
        if let Ok(number) = text.parse() {
            io.numbers.emit(cx, number);
        } else if text.chars().all(char::is_alphabetic) {
            io.word_letters.add(text.chars().count() as i64);
            io.words.emit(cx, text);
        } else {
            io.rejections.inc();
            tracing::warn!("{text} is rejected");
            let reason = "neither number nor word".to_owned();
            io.rejected.emit(cx, Rejected { text, reason });
        }
        Ok(())
    }
}
