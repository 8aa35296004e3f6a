//! Closures, fused at compile time into one function with one name.

use std::marker::PhantomData;

use super::{Cx, DoFn, Out};
use crate::element::Element;
use crate::error::Result;

/// A step from values of `T` to any number of values.
pub trait Step<T>: Send + 'static {
    /// What comes out.
    type Out;

    /// Takes one value and hands each result to `next`.
    ///
    /// # Errors
    /// Fails the bundle.
    fn step(
        &mut self,
        cx: &mut Cx<'_>,
        value: T,
        next: &mut impl FnMut(&mut Cx<'_>, Self::Out),
    ) -> Result<()>;
}

/// No step at all: where a chain begins.
pub struct Start;

impl<T> Step<T> for Start {
    type Out = T;

    #[inline]
    fn step(
        &mut self,
        cx: &mut Cx<'_>,
        value: T,
        next: &mut impl FnMut(&mut Cx<'_>, T),
    ) -> Result<()> {
        next(cx, value);
        Ok(())
    }
}

/// One value from one value.
pub struct Map<G>(G);

impl<T, U, G: FnMut(T) -> U + Send + 'static> Step<T> for Map<G> {
    type Out = U;

    #[inline]
    fn step(
        &mut self,
        cx: &mut Cx<'_>,
        value: T,
        next: &mut impl FnMut(&mut Cx<'_>, U),
    ) -> Result<()> {
        next(cx, (self.0)(value));
        Ok(())
    }
}

/// One value from one value, or an error that fails the bundle.
pub struct TryMap<G>(G);

impl<T, U, G: FnMut(T) -> Result<U> + Send + 'static> Step<T> for TryMap<G> {
    type Out = U;

    #[inline]
    fn step(
        &mut self,
        cx: &mut Cx<'_>,
        value: T,
        next: &mut impl FnMut(&mut Cx<'_>, U),
    ) -> Result<()> {
        next(cx, (self.0)(value)?);
        Ok(())
    }
}

/// Some of the values.
pub struct Filter<G>(G);

impl<T, G: FnMut(&T) -> bool + Send + 'static> Step<T> for Filter<G> {
    type Out = T;

    #[inline]
    fn step(
        &mut self,
        cx: &mut Cx<'_>,
        value: T,
        next: &mut impl FnMut(&mut Cx<'_>, T),
    ) -> Result<()> {
        if (self.0)(&value) {
            next(cx, value);
        }
        Ok(())
    }
}

/// Any number of values from one value.
pub struct FlatMap<G>(G);

impl<T, I: IntoIterator, G: FnMut(T) -> I + Send + 'static> Step<T> for FlatMap<G> {
    type Out = I::Item;

    #[inline]
    fn step(
        &mut self,
        cx: &mut Cx<'_>,
        value: T,
        next: &mut impl FnMut(&mut Cx<'_>, I::Item),
    ) -> Result<()> {
        for out in (self.0)(value) {
            next(cx, out);
        }
        Ok(())
    }
}

/// One step and then another.
pub struct Then<A, B>(A, B);

impl<T, A: Step<T>, B: Step<A::Out>> Step<T> for Then<A, B> {
    type Out = B::Out;

    #[inline]
    fn step(
        &mut self,
        cx: &mut Cx<'_>,
        value: T,
        next: &mut impl FnMut(&mut Cx<'_>, B::Out),
    ) -> Result<()> {
        let (first, second) = (&mut self.0, &mut self.1);
        let mut outcome = Ok(());
        first.step(cx, value, &mut |cx, between| {
            if outcome.is_ok() {
                outcome = second.step(cx, between, next);
            }
        })?;
        outcome
    }
}

/// A chain of closures from `T`, under one name: a single [`DoFn`], without a virtual call between its parts.
///
/// A chain has no configuration: its closures capture nothing that matters, or they could not be found again in the
/// worker. Write it as a function that both the pipeline and the registry call:
///
/// ```
/// use ferrobeam::prelude::*;
///
/// fn words() -> Steps<String, impl Step<String, Out = String>> {
///     steps("text.words/v1")
///         .flat_map(|line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
///         .filter(|word| !word.is_empty())
/// }
/// ```
pub struct Steps<T, S> {
    name: &'static str,
    step: S,
    takes: PhantomData<fn(T)>,
}

/// Begins a chain of closures that travels under `name`.
pub fn steps<T: Element>(name: &'static str) -> Steps<T, Start> {
    Steps {
        name,
        step: Start,
        takes: PhantomData,
    }
}

impl<T: Element, S: Step<T>> Steps<T, S> {
    /// The name that the chain travels under.
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn then<B>(self, next: B) -> Steps<T, Then<S, B>> {
        Steps {
            name: self.name,
            step: Then(self.step, next),
            takes: PhantomData,
        }
    }

    /// Goes on with one value for each value.
    pub fn map<U, G: FnMut(S::Out) -> U + Send + 'static>(self, f: G) -> Steps<T, Then<S, Map<G>>> {
        self.then(Map(f))
    }

    /// Goes on with one value for each value; an error fails the bundle.
    pub fn try_map<U, G>(self, f: G) -> Steps<T, Then<S, TryMap<G>>>
    where
        G: FnMut(S::Out) -> Result<U> + Send + 'static,
    {
        self.then(TryMap(f))
    }

    /// Goes on with the values that `keep` holds for.
    pub fn filter<G: FnMut(&S::Out) -> bool + Send + 'static>(
        self,
        keep: G,
    ) -> Steps<T, Then<S, Filter<G>>> {
        self.then(Filter(keep))
    }

    /// Goes on with any number of values for each value.
    pub fn flat_map<I, G>(self, f: G) -> Steps<T, Then<S, FlatMap<G>>>
    where
        I: IntoIterator,
        G: FnMut(S::Out) -> I + Send + 'static,
    {
        self.then(FlatMap(f))
    }
}

impl<T: Element, S: Step<T>> DoFn for Steps<T, S>
where
    S::Out: Element,
{
    type In = T;
    type Io = Out<S::Out>;

    #[inline]
    fn process(&mut self, value: T, cx: &mut Cx<'_>, out: &mut Out<S::Out>) -> Result<()> {
        self.step
            .step(cx, value, &mut |cx, value| out.emit(cx, value))
    }
}
