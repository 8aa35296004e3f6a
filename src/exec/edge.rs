//! Edges whose kind is not known statically, and what can be done with each kind.

use std::any::{Any, TypeId, type_name};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use super::flow::{Flow, FlowLink, Keyed, Opaque, Typed, flow_id};
use super::nodes::{
    Assign, Decode, Encode, Fanout, KeyJoin, KeySplit, Shared, SharedCore, Sink, SinkSpec,
    TasteSpec,
};
use super::source::{Source, SourceNode, SourceSpec};
use crate::dofn::{Discard, Meter};
use crate::element::{Coder, Element, Kv, KvVisitor, Pages, coder::urn};
use crate::error::{Error, Result};
use crate::window::WindowFn;

/// A `FlowLink<F>` for some flow `F`.
pub(crate) type AnyLink = Box<dyn Any + Send>;

/// What travels along an edge: its kind, and the coder of its bytes.
#[derive(Clone)]
pub(crate) struct Form {
    pub(crate) ops: &'static dyn FlowOps,
    pub(crate) coder: Coder,
}

impl Form {
    /// Elements of type `T`.
    pub(crate) fn typed<T: Element>() -> Self {
        Form {
            ops: ops::<Typed<T>>(),
            coder: T::coder(),
        }
    }

    /// Values of type `V` under keys of `key`.
    pub(crate) fn keyed<V: Element>(key: Coder) -> Self {
        Form {
            ops: ops::<Keyed<V>>(),
            coder: Coder::kv(key, V::coder()),
        }
    }
}

/// An edge and what must be put into it.
pub(crate) struct Edge {
    pub(crate) form: Form,
    pub(crate) link: AnyLink,
}

/// What can be done with the edges of one flow.
pub(crate) trait FlowOps: Send + Sync {
    fn id(&self) -> TypeId;
    /// What travels, for errors.
    fn name(&self) -> &'static str;
    /// The form that items have after they were read from `wire`.
    fn form(&self, wire: &Coder) -> Result<Form>;
    fn source(&self, spec: SourceSpec, link: AnyLink) -> Result<Box<dyn Source>>;
    fn sink(&self, own: &Coder, spec: SinkSpec) -> Result<AnyLink>;
    fn discard(&self) -> AnyLink;
    fn fanout(&self, links: Vec<AnyLink>) -> Result<AnyLink>;
    /// A link that looks at items of `own` before `link` takes them.
    fn taste(&self, own: &Coder, spec: TasteSpec<'_>, link: AnyLink) -> Result<AnyLink>;
    /// A maker of links that all end in `link`, with the number of them yet to come.
    fn share(&self, link: AnyLink, meter: Meter) -> Result<Box<dyn SharedMaker>>;
    fn assign(&self, window_fn: WindowFn, meter: Meter, link: AnyLink) -> Result<AnyLink>;
    /// Bytes of `wire` into items for `link`.
    fn decoding(&self, wire: &Coder, link: AnyLink) -> Result<FlowLink<Opaque>>;
    /// Items of `own` into bytes of `wire`.
    fn encoding(
        &self,
        own: &Coder,
        wire: &Coder,
        pages: &Arc<dyn Pages>,
        link: FlowLink<Opaque>,
    ) -> Result<AnyLink>;
    /// A link for pairs of this type that takes their keys apart, if `edge` wants that.
    fn split(&self, edge: Edge) -> std::result::Result<AnyLink, Edge>;
    /// A link for values under keys of `key` that puts pairs of this type together, if `from` is their flow.
    fn join(
        &self,
        from: TypeId,
        key: &Coder,
        link: AnyLink,
    ) -> std::result::Result<Result<AnyLink>, AnyLink>;
}

/// Makes links that end in one shared link.
pub(crate) trait SharedMaker: Send {
    fn link(&self) -> AnyLink;
}

struct OpsOf<F>(PhantomData<fn() -> F>);

/// The operations of a flow.
pub(crate) fn ops<F: Flow + Convert>() -> &'static dyn FlowOps {
    const { &OpsOf::<F>(PhantomData) }
}

/// The parts of [`FlowOps`] that differ between flows.
pub(crate) trait Convert: Flow + Sized {
    fn split(edge: Edge) -> std::result::Result<AnyLink, Edge> {
        Err(edge)
    }

    fn join(
        _from: TypeId,
        _key: &Coder,
        link: AnyLink,
    ) -> std::result::Result<Result<AnyLink>, AnyLink> {
        Err(link)
    }
}

impl Convert for Opaque {}
impl<V: Element> Convert for Keyed<V> {}

impl<T: Element> Convert for Typed<T> {
    fn split(edge: Edge) -> std::result::Result<AnyLink, Edge> {
        T::visit(Split(edge))
    }

    fn join(
        from: TypeId,
        key: &Coder,
        link: AnyLink,
    ) -> std::result::Result<Result<AnyLink>, AnyLink> {
        T::visit(Join { from, key, link })
    }
}

struct Split(Edge);

impl KvVisitor for Split {
    type Output = std::result::Result<AnyLink, Edge>;

    fn kv<K: Element, V: Element>(self) -> Self::Output {
        let Edge { form, link } = self.0;
        // The key's bytes must be what the edge expects; otherwise bytes are converted as a whole.
        if form.ops.id() != flow_id::<Keyed<V>>()
            || form.coder.components.first() != Some(&K::coder())
        {
            return Err(Edge { form, link });
        }
        match link.downcast::<FlowLink<Keyed<V>>>() {
            Ok(link) => {
                let link: FlowLink<Typed<Kv<K, V>>> = Box::new(KeySplit::<K, V>::new(*link));
                Ok(Box::new(link))
            }
            Err(link) => Err(Edge { form, link }),
        }
    }

    fn other(self) -> Self::Output {
        Err(self.0)
    }
}

struct Join<'a> {
    from: TypeId,
    key: &'a Coder,
    link: AnyLink,
}

impl KvVisitor for Join<'_> {
    type Output = std::result::Result<Result<AnyLink>, AnyLink>;

    fn kv<K: Element, V: Element>(self) -> Self::Output {
        if self.from != flow_id::<Keyed<V>>() {
            return Err(self.link);
        }
        Ok(unbox::<Typed<Kv<K, V>>>(self.link).and_then(|link| {
            let link: FlowLink<Keyed<V>> = Box::new(KeyJoin::<K, V>::new(self.key, link)?);
            Ok(Box::new(link) as AnyLink)
        }))
    }

    fn other(self) -> Self::Output {
        Err(self.link)
    }
}

impl<F: Flow + Convert> FlowOps for OpsOf<F> {
    fn id(&self) -> TypeId {
        flow_id::<F>()
    }

    fn name(&self) -> &'static str {
        type_name::<F>()
    }

    fn form(&self, wire: &Coder) -> Result<Form> {
        Ok(Form {
            ops: ops::<F>(),
            coder: F::coder(wire)?,
        })
    }

    fn source(&self, spec: SourceSpec, link: AnyLink) -> Result<Box<dyn Source>> {
        Ok(Box::new(SourceNode::<F>::new(spec, unbox::<F>(link)?)?))
    }

    fn sink(&self, own: &Coder, spec: SinkSpec) -> Result<AnyLink> {
        Ok(erase::<F>(Box::new(Sink::<F>::new(own, spec)?)))
    }

    fn discard(&self) -> AnyLink {
        erase::<F>(Box::new(Discard))
    }

    fn fanout(&self, links: Vec<AnyLink>) -> Result<AnyLink> {
        let links = links
            .into_iter()
            .map(unbox::<F>)
            .collect::<Result<Vec<_>>>()?;
        Ok(erase::<F>(Box::new(Fanout::<F>::new(links))))
    }

    fn taste(&self, own: &Coder, spec: TasteSpec<'_>, link: AnyLink) -> Result<AnyLink> {
        Ok(erase::<F>(spec.before::<F>(own, unbox::<F>(link)?)))
    }

    fn share(&self, link: AnyLink, meter: Meter) -> Result<Box<dyn SharedMaker>> {
        Ok(Box::new(MakerOf::<F>(Arc::new(Mutex::new(
            SharedCore::new(unbox::<F>(link)?, meter),
        )))))
    }

    fn assign(&self, window_fn: WindowFn, meter: Meter, link: AnyLink) -> Result<AnyLink> {
        Ok(erase::<F>(Box::new(Assign::<F>::new(
            window_fn,
            meter,
            unbox::<F>(link)?,
        ))))
    }

    fn decoding(&self, wire: &Coder, link: AnyLink) -> Result<FlowLink<Opaque>> {
        Ok(Box::new(Decode::<F>::new(wire, unbox::<F>(link)?)?))
    }

    fn encoding(
        &self,
        own: &Coder,
        wire: &Coder,
        pages: &Arc<dyn Pages>,
        link: FlowLink<Opaque>,
    ) -> Result<AnyLink> {
        let writer = F::writer(own, wire, pages)?;
        Ok(erase::<F>(Box::new(Encode::<F>::new(writer, link))))
    }

    fn split(&self, edge: Edge) -> std::result::Result<AnyLink, Edge> {
        F::split(edge)
    }

    fn join(
        &self,
        from: TypeId,
        key: &Coder,
        link: AnyLink,
    ) -> std::result::Result<Result<AnyLink>, AnyLink> {
        F::join(from, key, link)
    }
}

struct MakerOf<F: Flow>(Arc<Mutex<SharedCore<F>>>);

impl<F: Flow> SharedMaker for MakerOf<F> {
    fn link(&self) -> AnyLink {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add_parent();
        erase::<F>(Box::new(Shared::<F>::new(self.0.clone())))
    }
}

/// Hides the flow of a link.
pub(crate) fn erase<F: Flow>(link: FlowLink<F>) -> AnyLink {
    Box::new(link)
}

/// Finds the flow of a link again.
///
/// # Errors
/// Another flow: a mistake in linking, which must not take the worker down.
pub(crate) fn unbox<F: Flow>(link: AnyLink) -> Result<FlowLink<F>> {
    link.downcast::<FlowLink<F>>()
        .map(|link| *link)
        .map_err(|_| Error::descriptor(format!("an edge does not carry {}", type_name::<F>())))
}

/// A link that takes items of `from` and puts them into `edge`, through their bytes where types differ. Tails of
/// opaque iterables come from `pages`.
///
/// # Errors
/// Coders that are not of one type.
pub(crate) fn adapt(from: &Form, edge: Edge, pages: &Arc<dyn Pages>) -> Result<AnyLink> {
    if from.ops.id() == edge.form.ops.id() && from.coder == edge.form.coder {
        return Ok(edge.link);
    }
    let edge = match from.ops.split(edge) {
        Ok(link) => return Ok(link),
        Err(edge) => edge,
    };
    let Edge { form, link } = edge;
    let mut link = link;
    if from.coder.is(urn::KV) {
        match form.ops.join(from.ops.id(), from.coder.component(0)?, link) {
            Ok(joined) => return joined,
            Err(given_back) => link = given_back,
        }
    }
    let wrong = |error: Error| {
        error
            .at("emitted", from.ops.name())
            .at("taken", form.ops.name())
    };
    if form.ops.id() == flow_id::<Opaque>() {
        let link = unbox::<Opaque>(link)?;
        let encoding = from.ops.encoding(&from.coder, &form.coder, pages, link);
        return encoding.map_err(wrong);
    }
    let opaque = form.ops.decoding(&from.coder, link).map_err(wrong)?;
    from.ops.encoding(&from.coder, &from.coder, pages, opaque)
}
