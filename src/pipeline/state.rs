//! State, timers and callbacks of functions, as pipelines say them.

use std::collections::BTreeMap;

use beam_proto::pipeline::{self as proto, FunctionSpec, state_spec};
use beam_proto::urns::user_states;

use super::components::ComponentsBuilder;
use super::par_do::function_spec;
use crate::dofn::{Describe, StateKind, StateProtocol, TimeDomain, View};
use crate::element::coder::urn;
use crate::element::{Coder, Element};
use crate::window::Window;

/// Collects what the runner does for a function besides calling it.
#[derive(Default)]
pub(super) struct KeyedPorts {
    states: Vec<(&'static str, StateKind)>,
    timers: Vec<(&'static str, TimeDomain)>,
    pub(super) finalizes: bool,
    /// The family of timers that fire when windows expire.
    expiration: Option<&'static str>,
}

/// What a `ParDoPayload` says about them.
#[derive(Default)]
pub(super) struct KeyedSpecs {
    pub(super) states: BTreeMap<String, proto::StateSpec>,
    pub(super) timers: BTreeMap<String, proto::TimerFamilySpec>,
    /// A family; empty where there is none.
    pub(super) expiration: String,
}

impl KeyedPorts {
    /// Whether there is neither state nor a timer.
    pub(super) fn is_empty(&self) -> bool {
        self.states.is_empty() && self.timers.is_empty()
    }

    /// The specs, for keys and windows whose coders have these ids.
    pub(super) fn specs(
        &self,
        components: &mut ComponentsBuilder,
        key: &str,
        window: &str,
        keeping: Keeping,
    ) -> KeyedSpecs {
        let mut specs = KeyedSpecs {
            expiration: self.expiration.unwrap_or_default().into(),
            ..KeyedSpecs::default()
        };
        for (tag, kind) in &self.states {
            specs.states.insert(
                (*tag).into(),
                state_spec(kind, keeping, |coder| components.coder(coder)),
            );
        }
        for (tag, domain) in &self.timers {
            let spec = proto::TimerFamilySpec {
                time_domain: match domain {
                    TimeDomain::EventTime => proto::time_domain::Enum::EventTime,
                    TimeDomain::ProcessingTime => proto::time_domain::Enum::ProcessingTime,
                }
                .into(),
                timer_family_coder_id: components.coder_of(
                    &Coder::standard(urn::TIMER, []),
                    vec![key.into(), window.into()],
                ),
            };
            specs.timers.insert((*tag).into(), spec);
        }
        specs
    }
}

/// How runners are asked to keep sets, maps and multimaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Keeping {
    /// As lists of values by map key.
    #[default]
    Natively,
    /// As lists of values, which every runner knows.
    MapsInBags,
}

/// How the runner is asked to keep a kind of cell.
pub(crate) fn protocol(kind: &StateKind, keeping: Keeping) -> StateProtocol {
    match kind {
        StateKind::Value(_) | StateKind::Bag(_) | StateKind::Combining(..) => StateProtocol::Bag,
        StateKind::Set(_) | StateKind::Map(..) | StateKind::Multimap(..)
            if keeping == Keeping::MapsInBags =>
        {
            StateProtocol::Bag
        }
        StateKind::Set(_) | StateKind::Map(..) | StateKind::Multimap(..) => StateProtocol::Multimap,
        StateKind::OrderedList(_) => StateProtocol::OrderedList,
    }
}

/// What the pipeline says of a kind of cell; `id` gives coders their ids.
pub(crate) fn state_spec(
    kind: &StateKind,
    keeping: Keeping,
    mut id: impl FnMut(&Coder) -> String,
) -> proto::StateSpec {
    let spec = match kind {
        StateKind::Value(value) => {
            state_spec::Spec::ReadModifyWriteSpec(proto::ReadModifyWriteStateSpec {
                coder_id: id(value),
            })
        }
        StateKind::Bag(value) => state_spec::Spec::BagSpec(proto::BagStateSpec {
            element_coder_id: id(value),
        }),
        StateKind::Set(value) => state_spec::Spec::SetSpec(proto::SetStateSpec {
            element_coder_id: id(value),
        }),
        StateKind::Map(key, value) => state_spec::Spec::MapSpec(proto::MapStateSpec {
            key_coder_id: id(key),
            value_coder_id: id(value),
        }),
        StateKind::Multimap(key, value) => {
            state_spec::Spec::MultimapSpec(proto::MultimapStateSpec {
                key_coder_id: id(key),
                value_coder_id: id(value),
            })
        }
        StateKind::OrderedList(value) => {
            state_spec::Spec::OrderedListSpec(proto::OrderedListStateSpec {
                element_coder_id: id(value),
            })
        }
        StateKind::Combining(accumulator, combiner) => {
            state_spec::Spec::CombiningSpec(proto::CombiningStateSpec {
                accumulator_coder_id: id(accumulator),
                combine_fn: Some(function_spec(combiner)),
            })
        }
    };
    let urn = match protocol(kind, keeping) {
        StateProtocol::Bag => user_states::BAG,
        StateProtocol::Multimap => user_states::MULTIMAP,
        StateProtocol::OrderedList => user_states::ORDERED_LIST,
    };
    proto::StateSpec {
        spec: Some(spec),
        protocol: Some(FunctionSpec {
            urn: urn.into(),
            ..FunctionSpec::default()
        }),
    }
}

impl Describe for KeyedPorts {
    fn output<T: Element>(&mut self, _tag: &'static str) {}

    fn side<V: View>(&mut self, _tag: &'static str) {}

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
