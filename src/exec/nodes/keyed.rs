//! Runs a function that has state or timers.
//!
//! Keys reach it encoded, and so they go into state keys and timers: bytes that another SDK wrote need not be those
//! that ours would write for the same key.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pardo::ParDo;
use crate::dofn::{Consumer, DoFn, Fired, Scope};
use crate::element::{Coder, Element, Header, Input, Kv, KvVisitor, Timestamp};
use crate::error::{Error, Result};
use crate::exec::edge::{AnyLink, Form, erase};
use crate::exec::flow::Keyed;
use crate::exec::framing::Framing;
use crate::exec::timers::Fire;

/// A keyed function, reached through its input's edge, and by its timers.
pub(crate) struct LinkedKeyed {
    pub(crate) link: AnyLink,
    pub(crate) timers: Box<dyn Fire>,
}

/// The form of the input of a keyed function, for keys of a coder; `None` for an input that has no keys.
pub(crate) fn keyed_form<T: Element>(key: Coder) -> Option<Form> {
    T::visit(FormOf(key))
}

struct FormOf(Coder);

impl KvVisitor for FormOf {
    type Output = Option<Form>;

    fn kv<K: Element, V: Element>(self) -> Option<Form> {
        Some(Form::keyed::<V>(self.0))
    }

    fn other(self) -> Option<Form> {
        None
    }
}

/// Puts a function behind an edge of values under encoded keys of the coder `key`.
pub(crate) fn link_keyed<F: DoFn>(function: ParDo<F>, key: &Coder) -> Result<LinkedKeyed> {
    F::In::visit(LinkOf { function, key })
}

struct LinkOf<'a, F: DoFn> {
    function: ParDo<F>,
    key: &'a Coder,
}

impl<F: DoFn> KvVisitor for LinkOf<'_, F> {
    type Output = Result<LinkedKeyed>;

    fn kv<K: Element, V: Element>(self) -> Result<LinkedKeyed> {
        let shared = Arc::new(Mutex::new(self.function));
        let way_in = || -> Result<KeyedParDo<F, K>> {
            Ok(KeyedParDo {
                function: shared.clone(),
                keys: Framing::between(self.key, &K::coder())?,
                key_type: std::marker::PhantomData,
            })
        };
        Ok(LinkedKeyed {
            link: erase::<Keyed<V>>(Box::new(way_in()?)),
            timers: Box::new(way_in()?),
        })
    }

    fn other(self) -> Result<LinkedKeyed> {
        Err(Error::descriptor(
            "state and timers need a keyed input, but the function's input has no keys",
        ))
    }
}

/// A way into a function whose keys come encoded: its input's, or its timers'. They share it: only one bundle thread ever runs, so that nobody waits
/// for the lock.
struct KeyedParDo<F: DoFn, K> {
    function: Arc<Mutex<ParDo<F>>>,
    keys: Framing,
    key_type: std::marker::PhantomData<fn() -> K>,
}

impl<F: DoFn, K> KeyedParDo<F, K> {
    fn function(&self) -> MutexGuard<'_, ParDo<F>> {
        self.function.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: DoFn, K: Element, V: Element> Consumer<Kv<&[u8], V>> for KeyedParDo<F, K> {
    fn start(&mut self) -> Result<()> {
        self.function().start()
    }

    fn consume(&mut self, header: &Header, Kv(key, value): Kv<&[u8], V>) -> Result<()> {
        let decoded: K = self.keys.read(&mut Input::new(key))?;
        let element = same::<Kv<K, V>, F::In>(Kv(decoded, value))?;
        let mut function = self.function();
        function.set_key(key);
        function.consume(header, element)
    }

    fn finish(&mut self) -> Result<()> {
        self.function().finish()
    }
}

impl<F: DoFn, K: Element> Fire for KeyedParDo<F, K> {
    fn fire(
        &mut self,
        scope: &Scope<'_>,
        family: usize,
        fired: Fired<'_>,
        header: &Header,
        moment: Option<Timestamp>,
    ) -> Result<()> {
        let key: K = self.keys.read(&mut Input::new(scope.key))?;
        let mut function = self.function();
        function.fire(scope, &key, family, fired, header, moment)
    }
}

/// Turns a value into one of the same type under another name.
#[inline]
fn same<A: 'static, B: 'static>(value: A) -> Result<B> {
    let mut slot = Some(value);
    let any: &mut dyn Any = &mut slot;
    any.downcast_mut::<Option<B>>()
        .and_then(Option::take)
        .ok_or_else(|| Error::descriptor("an input's type is not the pair that it says it is"))
}
