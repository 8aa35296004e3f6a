//! A splittable function that a worker knows.

use std::any::type_name;
use std::sync::Arc;

use super::before::{BeforePlace, pair, split, truncate};
use super::hand::InHand;
use super::process::{Process, ProcessPlace};
use super::{Paired, Parts};
use crate::dofn::{
    Consumer, FunctionPayload, Link, Named, Splittable, Wiring, refuse_keyed_splittable,
};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::exec::edge::{AnyLink, Form, erase, unbox};
use crate::exec::flow::Typed;
use crate::exec::registry::Described;
use crate::exec::side::SideForm;
use crate::model::descriptor::SplittableStage;

type MakeBefore = fn(&FunctionPayload, SplittableStage, BeforePlace, AnyLink) -> Result<AnyLink>;

type MakeProcess =
    fn(&FunctionPayload, &mut Wiring<'_>, ProcessPlace) -> Result<(AnyLink, Arc<dyn InHand>)>;

/// A registered splittable function.
pub(crate) struct SplittableMaker {
    pub(crate) type_name: &'static str,
    pub(crate) outputs: Vec<(&'static str, Form)>,
    pub(in crate::exec) sides: Vec<SideForm>,
    forms: fn(SplittableStage) -> (Form, Form),
    /// A stage before processing, in front of a link.
    pub(crate) before: MakeBefore,
    /// Processing, in front of the links that the wiring holds.
    pub(crate) process: MakeProcess,
}

impl SplittableMaker {
    /// The maker of a function.
    pub(crate) fn of<F: Splittable + Named>() -> Self {
        const { refuse_keyed_splittable::<F>() }
        let ports = Described::of::<F, F::Io>();
        SplittableMaker {
            type_name: type_name::<F>(),
            outputs: ports.outputs,
            sides: ports.sides,
            forms: forms::<F>,
            before: make_before::<F>,
            process: |payload, wiring, place| {
                let (function, sizer) = (payload.function::<F>()?, payload.function::<F>()?);
                let node = Process::new(function, sizer, wiring, place)?;
                let hand = node.hand();
                Ok((edge(node), hand))
            },
        }
    }

    /// The form of what a stage takes.
    pub(crate) fn takes(&self, stage: SplittableStage) -> Form {
        (self.forms)(stage).0
    }

    /// The form of what a stage before processing gives.
    pub(crate) fn gives(&self, stage: SplittableStage) -> Form {
        (self.forms)(stage).1
    }
}

fn make_before<F: Splittable + Named>(
    payload: &FunctionPayload,
    stage: SplittableStage,
    place: BeforePlace,
    link: AnyLink,
) -> Result<AnyLink> {
    let function = payload.function::<F>()?;
    Ok(match stage {
        SplittableStage::PairWithRestriction => edge(pair(function, place, typed(link)?)),
        SplittableStage::SplitAndSize => edge(split(function, place, typed(link)?)),
        SplittableStage::Truncate => edge(truncate(function, place, typed(link)?)),
        SplittableStage::Process => {
            return Err(Error::descriptor("processing has outputs of its own"));
        }
    })
}

fn edge<T: Element>(node: impl Consumer<T> + 'static) -> AnyLink {
    erase::<Typed<T>>(Box::new(node))
}

fn typed<T: Element>(link: AnyLink) -> Result<Link<T>> {
    unbox::<Typed<T>>(link)
}

fn forms<F: Splittable>(stage: SplittableStage) -> (Form, Form) {
    let parts = Form::typed::<Parts<F>>();
    match stage {
        SplittableStage::PairWithRestriction => {
            (Form::typed::<F::In>(), Form::typed::<Paired<F>>())
        }
        SplittableStage::SplitAndSize => (Form::typed::<Paired<F>>(), parts),
        SplittableStage::Truncate | SplittableStage::Process => (parts.clone(), parts),
    }
}
