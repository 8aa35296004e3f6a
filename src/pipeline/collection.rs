//! Collections in a pipeline under construction.

use std::any::type_name;
use std::marker::PhantomData;

use beam_proto::pipeline::WindowingStrategy;

use super::{Pipeline, SideView};
use crate::dofn::{List, MapView, MultiMap, Single, View};
use crate::element::{Coder, Element, Kv, Raw, Transcoder};
use crate::error::{Context, Error, Result};
use crate::model::windowing;
use crate::window::WindowFn;

/// A collection in a [`Pipeline`] under construction. Clones are handles of the same collection.
///
/// In a `PCollection<Raw>` only the coder knows what the elements are: it came from another SDK, or its type does not
/// matter here.
pub struct PCollection<T> {
    pub(super) pipeline: Pipeline,
    pub(super) id: String,
    pub(super) element: PhantomData<fn() -> T>,
}

impl<T> Clone for PCollection<T> {
    fn clone(&self) -> Self {
        self.pipeline.handle(self.id.clone())
    }
}

impl<T> PCollection<T> {
    /// Its id in the pipeline proto.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The pipeline that it is in.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Its coder.
    ///
    /// # Errors
    /// The pipeline lacks the coder, or it nests too deep.
    pub fn coder(&self) -> Result<Coder> {
        self.pipeline.graph(|graph| {
            let coder_id = graph.components.collection(&self.id)?.coder_id.clone();
            graph.components.resolve_coder(&coder_id)
        })
    }

    /// The standard function that assigned its windows, unless it is another SDK's own.
    ///
    /// # Errors
    /// A windowing strategy that is missing or cannot be read.
    pub fn window_fn(&self) -> Result<Option<WindowFn>> {
        let strategy = self.windowing_strategy()?;
        let spec = strategy.window_fn.as_ref();
        Ok(spec.map(windowing::window_fn).transpose()?.flatten())
    }

    /// The coder of its windows, unless this worker does not know it.
    pub(super) fn window_coder(&self) -> Result<Option<Coder>> {
        if let Some(window_fn) = self.window_fn()? {
            return Ok(Some(window_fn.coder()));
        }
        let id = self.windowing_strategy()?.window_coder_id;
        Ok(self
            .pipeline
            .graph(|graph| graph.components.resolve_coder(&id).ok()))
    }

    pub(super) fn windowing_strategy(&self) -> Result<WindowingStrategy> {
        self.pipeline.graph(|graph| {
            let strategy = graph.components.windowing_of_collection(&self.id);
            strategy.cloned().at("collection", &self.id)
        })
    }

    /// The same collection, as values that only their coder describes.
    pub fn raw(&self) -> PCollection<Raw> {
        self.pipeline.handle(self.id.clone())
    }
}

impl PCollection<Raw> {
    /// The same collection, as elements of type `T`.
    ///
    /// # Errors
    /// Its coder is not that of `T`; length prefixes and the ids of schemas make no difference.
    pub fn typed<T: Element>(&self) -> Result<PCollection<T>> {
        let (coder, wanted) = (self.coder()?, T::coder());
        match Transcoder::check(&coder, &wanted) {
            Ok(()) => Ok(self.pipeline.handle(self.id.clone())),
            Err(_) => {
                let error = Error::config(format!(
                    "the elements are encoded as {coder}, but {} is encoded as {wanted}; convert them before this \
                     transform",
                    type_name::<T>()
                ));
                Err(error.at("collection", &self.id))
            }
        }
    }
}

impl<T: Element> PCollection<T> {
    /// The collection as a side input that is seen as `V`.
    pub fn as_view<V: View<Element = T>>(&self) -> SideView<V> {
        SideView::of(self)
    }

    /// The collection as a side input of exactly one value.
    pub fn as_single(&self) -> SideView<Single<T>> {
        self.as_view()
    }

    /// The collection as a side input of any number of values.
    pub fn as_list(&self) -> SideView<List<T>> {
        self.as_view()
    }
}

impl<K: Element, V: Element> PCollection<Kv<K, V>> {
    /// The collection as a side input in which each key has one value.
    pub fn as_map(&self) -> SideView<MapView<K, V>> {
        self.as_view()
    }

    /// The collection as a side input in which each key has any number of values.
    pub fn as_multimap(&self) -> SideView<MultiMap<K, V>> {
        self.as_view()
    }
}
