//! Joining collections by key.

use super::PCollection;
use super::graph::Like;
use super::group::{self, check_key};
use super::site::OutputsAre;
use crate::dofn::builtin::{Join, Tagged};
use crate::element::{Coder, Element, Iter, Kv, Raw};
use crate::error::Result;

/// What two collections hold for a key.
pub type Joined2<K, A, B> = Kv<K, Kv<Iter<A>, Iter<B>>>;

/// What three collections hold for a key.
pub type Joined3<K, A, B, C> = Kv<K, Kv<Iter<A>, Kv<Iter<B>, Iter<C>>>>;

impl<K: Element, A: Element> PCollection<Kv<K, A>> {
    /// The values of each key in this collection and in another one, per window. Where a collection lacks a key, its
    /// values are none.
    ///
    /// The values of one key must fit into memory. The collections must be windowed alike.
    pub fn join<B: Element>(
        &self,
        label: &str,
        other: &PCollection<Kv<K, B>>,
    ) -> PCollection<Joined2<K, A, B>> {
        let joined = join(label, &[self.raw(), other.raw()]);
        self.pipeline.handle(joined.id)
    }

    /// As [`join`](Self::join), of three collections.
    pub fn join3<B: Element, C: Element>(
        &self,
        label: &str,
        second: &PCollection<Kv<K, B>>,
        third: &PCollection<Kv<K, C>>,
    ) -> PCollection<Joined3<K, A, B, C>> {
        let joined = join(label, &[self.raw(), second.raw(), third.raw()]);
        self.pipeline.handle(joined.id)
    }
}

fn join(label: &str, inputs: &[PCollection<Raw>]) -> PCollection<Raw> {
    let pipeline = inputs[0].pipeline.clone();
    pipeline.scope(label, |pipeline| {
        let outputs_are = pipeline.graph(|graph| {
            let mut like = Like::default();
            let (mut key, mut values) = (None, Vec::new());
            for input in inputs {
                like = graph.like(&input.id)?;
                let coder = graph.components.resolve_coder(&like.coder_id)?;
                let (its_key, value) = group::pair(&coder)?;
                check_key(its_key)?;
                key.get_or_insert_with(|| its_key.clone());
                values.push(Coder::iterable(value.clone()));
            }
            let lists = values
                .into_iter()
                .rev()
                .reduce(|rest, one| Coder::kv(one, rest));
            let joined = key.zip(lists).map(|(key, lists)| Coder::kv(key, lists));
            let raw = joined.map(|coder| graph.components.coder(&coder));
            Ok(OutputsAre { like, raw })
        });
        let outputs_are = outputs_are.unwrap_or_else(|error: crate::Error| {
            pipeline.fail(error);
            OutputsAre::default()
        });
        let tagged = inputs.iter().enumerate().map(|(tag, input)| {
            let label = format!("Tag {tag}");
            let key = first_of_pair(input);
            let key = key.unwrap_or_else(|error| {
                pipeline.fail(error.at("transform", &label));
                OutputsAre::default()
            });
            let pairs = pipeline.handle::<Kv<Raw, Raw>>(input.id.clone());
            let tag = u8::try_from(tag).unwrap_or(u8::MAX);
            let tagged = pairs.par_do_into(&label, &Tagged { tag }, (), key);
            pipeline.handle::<Kv<Raw, Vec<u8>>>(tagged.id)
        });
        let tagged: Vec<_> = tagged.collect();
        let all = pipeline.flatten("Flatten", tagged);
        let groups = all.raw().group_by_key("Group");
        let groups = pipeline.handle::<Kv<Raw, Iter<Vec<u8>>>>(groups.id);
        let join = Join {
            inputs: inputs.len(),
        };
        groups.par_do_into("Join", &join, (), outputs_are)
    })
}

/// Outputs with the coder of the keys.
fn first_of_pair(input: &PCollection<Raw>) -> Result<OutputsAre> {
    input.pipeline.graph(|graph| {
        let like = graph.like(&input.id)?;
        let parts = graph.components.coder_parts(&like.coder_id)?;
        let raw = parts.first().cloned();
        Ok(OutputsAre { like, raw })
    })
}
