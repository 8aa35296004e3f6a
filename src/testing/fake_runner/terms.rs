//! What the runner promises about its state.

use std::sync::{MutexGuard, PoisonError};

use beam_proto::fnexec::process_bundle_request::CacheToken;
use beam_proto::fnexec::process_bundle_request::cache_token::{SideInput, Type, UserState};

use super::FakeRunner;

/// What bundles are told of state.
#[derive(Debug, Clone, Default)]
pub struct StateTerms {
    pub(super) tokens: Vec<CacheToken>,
    pub(super) has_no_state: bool,
    pub(super) only_bundle_for_keys: bool,
}

impl StateTerms {
    /// User state is what it was when this token came last, but for what bundles have written.
    #[must_use]
    pub fn user_state(mut self, token: &str) -> Self {
        self.tokens.push(CacheToken {
            token: token.to_owned().into(),
            r#type: Some(Type::UserState(UserState {})),
        });
        self
    }

    /// A side input is what it was when this token came last.
    #[must_use]
    pub fn side_input(mut self, transform: &str, side: &str, token: &str) -> Self {
        self.tokens.push(CacheToken {
            token: token.to_owned().into(),
            r#type: Some(Type::SideInput(SideInput {
                transform_id: transform.into(),
                side_input_id: side.into(),
            })),
        });
        self
    }

    /// No key of the bundles has user state.
    #[must_use]
    pub fn no_state(mut self) -> Self {
        self.has_no_state = true;
        self
    }

    /// No other bundle has one of the keys of a bundle.
    #[must_use]
    pub fn only_bundle(mut self) -> Self {
        self.only_bundle_for_keys = true;
        self
    }
}

impl FakeRunner {
    pub(super) fn terms(&self) -> MutexGuard<'_, StateTerms> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what bundles that are announced from now on are told of state.
    pub fn promise(&self, terms: StateTerms) {
        *self.terms() = terms;
    }
}
