//! Keys and values of pairs.

use super::PCollection;
use super::site::OutputsAre;
use crate::dofn::builtin::{AtKeys, Keys, Values};
use crate::element::{Element, Kv, Raw};
use crate::error::{Error, Result};

impl<K: Element, V: Element> PCollection<Kv<K, V>> {
    /// The keys of the pairs, each as often as it occurs.
    pub fn keys(&self, label: &str) -> PCollection<K> {
        let outputs_are = self.part(label, 0);
        let pairs = self.pipeline.handle::<Kv<Raw, Raw>>(self.id.clone());
        let keys = pairs.par_do_into(label, &Keys, (), outputs_are);
        self.pipeline.handle(keys.id)
    }

    /// The values of the pairs.
    pub fn values(&self, label: &str) -> PCollection<V> {
        let outputs_are = self.part(label, 1);
        let pairs = self.pipeline.handle::<Kv<Raw, Raw>>(self.id.clone());
        let values = pairs.par_do_into(label, &Values, (), outputs_are);
        self.pipeline.handle(values.id)
    }

    /// The values of the pairs, at the times that the keys are.
    pub(super) fn place_at_keys(&self, label: &str) -> PCollection<V> {
        let outputs_are = self.part(label, 1);
        let pairs = self.pipeline.handle::<Kv<i64, Raw>>(self.id.clone());
        let values = pairs.par_do_into(label, &AtKeys, (), outputs_are);
        self.pipeline.handle(values.id)
    }

    /// Outputs that have the coder of a part of the pairs.
    fn part(&self, label: &str, index: usize) -> OutputsAre {
        let outcome: Result<OutputsAre> = self.pipeline.graph(|graph| {
            let like = graph.like(&self.id)?;
            let parts = graph.components.coder_parts(&like.coder_id)?;
            let raw = parts.get(index).cloned();
            match raw {
                Some(_) => Ok(OutputsAre { like, raw }),
                None => Err(Error::config("the elements are not pairs")),
            }
        });
        outcome.unwrap_or_else(|error| {
            self.pipeline.fail(error.at("transform", label));
            OutputsAre::default()
        })
    }
}
