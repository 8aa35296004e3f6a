//! State as the functions of one plan see it: the runner's, behind what this bundle and earlier ones have seen of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use beam_proto::fnexec::process_bundle_request::cache_token;
use bytes::Bytes;

use super::cache::{PageKey, StateCache};
use super::outbox::BundleTerms;
use super::wire::state::{Pending, StateClient};
use crate::dofn::{StateKey, StatePort};
use crate::element::Page;
use crate::error::{Error, ErrorKind, Result};

/// How many writes may be on their way at once.
const MAX_WRITES: usize = 1000;

/// The state of the bundle in hand.
///
/// The runner promises that what it keeps stays the same while it presents the same token, but for what bundles write.
/// Nothing of a bundle that fails is kept.
pub(crate) struct BundleState {
    client: Option<Arc<StateClient>>,
    cache: Arc<StateCache>,
    bundle: Mutex<Bundle>,
}

#[derive(Default)]
struct Bundle {
    instruction: Arc<str>,
    terms: BundleTerms,
    /// What may be kept of user state, if anything.
    user_token: Option<Bytes>,
    /// What this bundle has read, by key and continuation.
    read: HashMap<(StateKey, Bytes), Page>,
    /// By key: how many bytes of it this bundle keeps.
    kept: HashMap<StateKey, usize>,
    /// Cells that this bundle has written, with all that is in them where it knows that.
    written: HashMap<StateKey, Option<Bytes>>,
    /// Writes that the runner has not answered yet, in order.
    writes: VecDeque<Pending>,
}

impl Bundle {
    /// The token under which pages of a key may outlive the bundle.
    fn token(&self, key: &StateKey) -> Option<&Bytes> {
        match key {
            StateKey::BagUser(_) => self.user_token.as_ref(),
            StateKey::IterableSide(side)
            | StateKey::MultimapSide(side, _)
            | StateKey::MultimapKeysSide(side) => {
                let tokens = self.terms.cache_tokens.iter();
                let mut tokens = tokens.filter(|token| match &token.r#type {
                    Some(cache_token::Type::SideInput(of)) => {
                        of.transform_id == *side.transform && of.side_input_id == *side.side
                    }
                    _ => false,
                });
                tokens.next().map(|token| &token.token)
            }
            // Their pages depend on each other, or on a token that is good for one bundle.
            StateKey::MultimapUser(..)
            | StateKey::MultimapKeysUser(_)
            | StateKey::OrderedListUser(..)
            | StateKey::Runner(_) => None,
        }
    }

    /// Whether what was read of a key may be read again within the bundle.
    fn remembers(key: &StateKey) -> bool {
        matches!(
            key,
            StateKey::BagUser(_)
                | StateKey::IterableSide(_)
                | StateKey::MultimapSide(..)
                | StateKey::MultimapKeysSide(_)
        )
    }

    /// All that a key holds, if this bundle or an earlier one has seen it in one page.
    fn whole(&self, key: &StateKey, cache: &StateCache) -> Option<Bytes> {
        if let Some(written) = self.written.get(key) {
            return written.clone();
        }
        let page = match self.read.get(&(key.clone(), Bytes::new())) {
            Some(page) => page.clone(),
            None => cache.get(&page_key(self.token(key)?, key, &Bytes::new()))?,
        };
        page.continuation.is_empty().then_some(page.data)
    }
}

fn page_key(token: &Bytes, key: &StateKey, continuation: &Bytes) -> PageKey {
    PageKey {
        token: token.clone(),
        key: key.clone(),
        continuation: continuation.clone(),
    }
}

/// Whether a key is one of user state.
fn is_user(key: &StateKey) -> bool {
    matches!(
        key,
        StateKey::BagUser(_)
            | StateKey::MultimapUser(..)
            | StateKey::MultimapKeysUser(_)
            | StateKey::OrderedListUser(..)
    )
}

impl BundleState {
    pub(crate) fn new(client: Option<Arc<StateClient>>, cache: Arc<StateCache>) -> Self {
        BundleState {
            client,
            cache,
            bundle: Mutex::default(),
        }
    }

    fn bundle(&self) -> MutexGuard<'_, Bundle> {
        self.bundle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the stream is gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.is_lost())
    }

    /// Begins a bundle.
    pub(crate) fn begin(&self, instruction: &Arc<str>, terms: BundleTerms) {
        let mut user = terms.cache_tokens.iter();
        let user = user.find(|t| matches!(t.r#type, Some(cache_token::Type::UserState(_))));
        let user_token = user.map(|token| token.token.clone());
        *self.bundle() = Bundle {
            instruction: instruction.clone(),
            terms,
            user_token,
            ..Bundle::default()
        };
    }

    /// Waits for the runner's answers to all writes.
    ///
    /// # Errors
    /// The runner refused one, or the stream broke.
    pub(crate) fn settle(&self) -> Result<()> {
        let mut writes = std::mem::take(&mut self.bundle().writes);
        writes
            .drain(..)
            .try_for_each(|write| write.wait().map(drop))
    }

    /// Keeps what the bundle has read and written for later ones: it has succeeded.
    pub(crate) fn commit(&self) {
        let bundle = std::mem::take(&mut *self.bundle());
        for ((key, continuation), page) in &bundle.read {
            if let Some(token) = bundle.token(key)
                && !bundle.written.contains_key(key)
            {
                self.cache
                    .put(page_key(token, key, continuation), page.clone());
            }
        }
        let Some(token) = &bundle.user_token else {
            return;
        };
        for (key, whole) in &bundle.written {
            self.cache.forget(token, key);
            if let Some(data) = whole
                && data.len() <= self.cache.share()
                && bundle.token(key).is_some()
            {
                let page = Page {
                    data: data.clone(),
                    continuation: Bytes::new(),
                };
                self.cache.put(page_key(token, key, &Bytes::new()), page);
            }
        }
    }

    fn client(&self) -> Result<&StateClient> {
        self.client.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::State,
                "the bundle uses state, but the runner serves none to it",
            )
        })
    }

    /// Sends a write. The answers are awaited at the end of the bundle, or when there are many.
    fn write(
        &self,
        key: &StateKey,
        whole: impl FnOnce(Option<Bytes>) -> Option<Bytes>,
        send: impl FnOnce(&StateClient, &str) -> Result<Pending>,
    ) -> Result<()> {
        let instruction = self.bundle().instruction.clone();
        let pending = send(self.client()?, &instruction)?;
        let oldest = {
            let mut bundle = self.bundle();
            let before = bundle.whole(key, &self.cache);
            let share = self.cache.share();
            let after = whole(before).filter(|data| data.len() <= share);
            bundle.written.insert(key.clone(), after);
            bundle.writes.push_back(pending);
            let is_full = bundle.writes.len() > MAX_WRITES;
            is_full.then(|| bundle.writes.pop_front()).flatten()
        };
        oldest.map_or(Ok(()), |oldest| oldest.wait().map(drop))
    }
}

impl StatePort for BundleState {
    fn get(&self, key: &StateKey, continuation: &Bytes) -> Result<Page> {
        let whole = |data| Page {
            data,
            continuation: Bytes::new(),
        };
        let instruction = {
            let bundle = self.bundle();
            if let Some(written) = bundle.written.get(key) {
                if let Some(data) = written
                    && continuation.is_empty()
                {
                    return Ok(whole(data.clone()));
                }
            } else {
                if let Some(page) = bundle.read.get(&(key.clone(), continuation.clone())) {
                    return Ok(page.clone());
                }
                if let Some(token) = bundle.token(key)
                    && let Some(page) = self.cache.get(&page_key(token, key, continuation))
                {
                    return Ok(page);
                }
                let is_untouched = matches!(key, StateKey::BagUser(_)) || bundle.written.is_empty();
                if bundle.terms.has_no_state && is_user(key) && is_untouched {
                    return Ok(whole(Bytes::new()));
                }
            }
            bundle.instruction.clone()
        };
        let page = self.client()?.get(&instruction, key, continuation)?;
        if Bundle::remembers(key) {
            let mut bundle = self.bundle();
            let kept = bundle.kept.entry(key.clone()).or_default();
            *kept = kept.saturating_add(page.data.len());
            if *kept <= self.cache.share() && !bundle.written.contains_key(key) {
                let at = (key.clone(), continuation.clone());
                bundle.read.insert(at, page.clone());
            }
        }
        Ok(page)
    }

    fn append(&self, key: &StateKey, data: Bytes) -> Result<()> {
        let added = data.clone();
        let whole = |before: Option<Bytes>| {
            before.map(|before| match before.is_empty() {
                true => added,
                false => [&before[..], &added].concat().into(),
            })
        };
        self.write(key, whole, |state, instruction| {
            state.append(instruction, key, data)
        })
    }

    fn clear(&self, key: &StateKey) -> Result<()> {
        self.write(
            key,
            |_| Some(Bytes::new()),
            |state, instruction| state.clear(instruction, key),
        )
    }
}
