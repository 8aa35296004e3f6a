//! The protos that a hand-built descriptor is put together from.

use std::collections::BTreeMap;

use beam_proto::pipeline::{
    self as proto, FunctionSpec, ParDoPayload, SideInput, WindowingStrategy,
};

use super::{Collection, Windowing};
use crate::dofn::{
    Describe, FUNCTION_URN, FunctionPayload, SideAccess, StateKind, TimeDomain, View,
};
use crate::element::coder::urn;
use crate::element::{Coder, Element};
use crate::model::descriptor::OutputTime;
use crate::model::{coders, windowing};
use crate::pipeline::{Keeping, state_spec};
use crate::window::Window;

pub(super) fn spec(urn: &str, payload: Vec<u8>) -> FunctionSpec {
    FunctionSpec {
        urn: urn.into(),
        payload: payload.into(),
    }
}

pub(super) fn function_spec(payload: &FunctionPayload) -> FunctionSpec {
    spec(FUNCTION_URN, payload.to_bytes())
}

pub(super) fn side_input(access: SideAccess, windowing: &Windowing) -> SideInput {
    let pattern = match access {
        SideAccess::Iterable => "beam:side_input:iterable:v1",
        SideAccess::Multimap => "beam:side_input:multimap:v1",
    };
    SideInput {
        access_pattern: Some(spec(pattern, Vec::new())),
        view_fn: Some(spec("test:view_fn", Vec::new())),
        window_mapping_fn: Some(windowing::to_proto(&windowing.window_fn)),
    }
}

pub(super) fn windowing_strategy(
    windowing: &Windowing,
    coders: &mut CoderIds,
) -> WindowingStrategy {
    let output_time = match windowing.output_time {
        OutputTime::EndOfWindow => proto::output_time::Enum::EndOfWindow,
        OutputTime::Latest => proto::output_time::Enum::LatestInPane,
        OutputTime::Earliest => proto::output_time::Enum::EarliestInPane,
    };
    WindowingStrategy {
        window_fn: Some(windowing::to_proto(&windowing.window_fn)),
        window_coder_id: coders.id(&windowing.window_fn.coder()),
        output_time: output_time.into(),
        allowed_lateness: i64::try_from(windowing.allowed_lateness.as_millis()).unwrap_or(i64::MAX),
        ..WindowingStrategy::default()
    }
}

/// A family of timers as descriptors say it.
#[derive(Debug, Clone)]
pub(super) struct TimerFamily {
    pub(super) family: String,
    pub(super) domain: TimeDomain,
    pub(super) coder: Coder,
}

impl TimerFamily {
    /// A family of timers of a function that reads `input`.
    pub(super) fn of(family: &str, domain: TimeDomain, input: &Collection) -> Self {
        // A function that is given what has no keys is for the worker to refuse.
        let key = input.coder.components.first().unwrap_or(&input.coder);
        let window = input.windowing.window_fn.coder();
        TimerFamily {
            family: family.into(),
            domain,
            coder: Coder::standard(urn::TIMER, [key.clone(), window]),
        }
    }

    pub(super) fn spec(&self, coders: &mut CoderIds) -> proto::TimerFamilySpec {
        let domain = match self.domain {
            TimeDomain::EventTime => proto::time_domain::Enum::EventTime,
            TimeDomain::ProcessingTime => proto::time_domain::Enum::ProcessingTime,
        };
        proto::TimerFamilySpec {
            time_domain: domain.into(),
            timer_family_coder_id: coders.id(&self.coder),
        }
    }
}

/// State of a function as descriptors say it.
#[derive(Debug, Clone)]
pub(super) struct StateCell {
    pub(super) tag: String,
    pub(super) kind: StateKind,
    pub(super) keeping: Keeping,
}

impl StateCell {
    pub(super) fn spec(&self, coders: &mut CoderIds) -> proto::StateSpec {
        state_spec(&self.kind, self.keeping, |coder| coders.id(coder))
    }
}

/// Gives each coder an id.
#[derive(Default)]
pub(super) struct CoderIds {
    known: Vec<(Coder, String)>,
    pub(super) protos: BTreeMap<String, proto::Coder>,
}

impl CoderIds {
    pub(super) fn id(&mut self, coder: &Coder) -> String {
        if let Some((_, id)) = self.known.iter().find(|(known, _)| known == coder) {
            return id.clone();
        }
        let components = coder.components.iter().map(|c| self.id(c)).collect();
        let id = format!("coder {}", self.known.len());
        self.protos
            .insert(id.clone(), coders::to_proto(coder, components));
        self.known.push((coder.clone(), id.clone()));
        id
    }
}

/// Collects the ports of a function.
#[derive(Default)]
pub(super) struct PortList {
    pub(super) outputs: Vec<(String, Coder)>,
    pub(super) sides: BTreeMap<&'static str, SideAccess>,
    pub(super) states: Vec<(&'static str, StateKind)>,
    pub(super) timers: Vec<(&'static str, TimeDomain)>,
    pub(super) finalizes: bool,
    pub(super) expiration: Option<&'static str>,
}

impl PortList {
    /// A function with these ports, but for its state and timers.
    ///
    /// # Panics
    /// A side input that the function does not have.
    pub(super) fn par_do(
        &self,
        payload: &FunctionPayload,
        sides: &[(&str, &Collection)],
    ) -> ParDoPayload {
        let side_inputs = sides.iter().map(|(tag, collection)| {
            let side = side_input(self.sides[*tag], &collection.windowing);
            ((*tag).to_owned(), side)
        });
        ParDoPayload {
            do_fn: Some(function_spec(payload)),
            side_inputs: side_inputs.collect(),
            requests_finalization: self.finalizes,
            ..ParDoPayload::default()
        }
    }
}

impl Describe for PortList {
    fn output<T: Element>(&mut self, tag: &'static str) {
        self.outputs.push((tag.into(), T::coder()));
    }

    fn side<V: View>(&mut self, tag: &'static str) {
        self.sides.insert(tag, V::ACCESS);
    }

    fn window<W: Window>(&mut self) {}

    fn state(&mut self, tag: &'static str, kind: StateKind) {
        self.states.push((tag, kind));
    }

    fn timer(&mut self, tag: &'static str, domain: TimeDomain) {
        self.timers.push((tag, domain));
    }

    fn after_commit(&mut self) {
        self.finalizes = true;
    }

    fn window_expiration(&mut self, tag: &'static str) {
        self.expiration = Some(tag);
        self.timer(tag, TimeDomain::EventTime);
    }
}
