//! State as the functions of one plan see it: the runner's, behind what this bundle and earlier ones have seen of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use beam_proto::fnexec::process_bundle_request::cache_token;
use bytes::Bytes;

use super::ahead::Ahead;
use super::cache::StateCache;
use super::outbox::BundleTerms;
use super::wire::state::{Pending, StateClient};
use super::written::{Known, Written};
use crate::dofn::{StateKey, StatePort};
use crate::element::Page;
use crate::error::{Error, ErrorKind, Result};

/// How many writes may be on their way at once.
const MAX_WRITES: usize = 1000;

/// The bytes of pages that a bundle remembers until it ends, if the cache is not larger than usual.
const MOST_BYTES: usize = 16 << 20;

/// What a page that is remembered costs besides its bytes.
const PAGE_BYTES: usize = 200;

/// The state of the bundle in hand.
///
/// The runner promises that what it keeps stays the same while it presents the same token, but for what bundles write.
/// Nothing that a bundle has seen or made of user state outlives it if it fails. Side inputs are what they are, whatever
/// becomes of those who read them.
pub(crate) struct BundleState {
    client: Option<Arc<StateClient>>,
    cache: Arc<StateCache>,
    has_whole_multimaps: bool,
    bundle: Mutex<Bundle>,
}

#[derive(Default)]
struct Bundle {
    instruction: Arc<str>,
    terms: BundleTerms,
    /// What may be kept of user state, if anything.
    user_token: Option<Bytes>,
    read: HashMap<StateKey, Pages>,
    /// The bytes of all pages that were read and are remembered.
    bytes: usize,
    written: Written,
    ahead: Ahead<Pending>,
    /// Writes that the runner has not answered yet, in order.
    writes: VecDeque<Pending>,
}

/// Pages of a key that the bundle has read.
#[derive(Default)]
struct Pages {
    first: Option<Page>,
    /// The others, by the continuation that names them.
    more: HashMap<Bytes, Page>,
    /// The bytes of all pages that were read since the first one was, also of those that are not here.
    bytes: usize,
}

impl Pages {
    fn get(&self, continuation: &Bytes) -> Option<&Page> {
        match continuation.is_empty() {
            true => self.first.as_ref(),
            false => self.more.get(continuation),
        }
    }
}

fn whole(data: Bytes) -> Page {
    Page {
        data,
        continuation: Bytes::new(),
    }
}

impl Bundle {
    /// The token under which pages of a key may outlive the bundle.
    fn token(&self, key: &StateKey) -> Option<&Bytes> {
        if key.cell().is_some() {
            return self.user_token.as_ref();
        }
        let side = key.side()?;
        let mut tokens = self.terms.cache_tokens.iter();
        let token = tokens.find(|token| match &token.r#type {
            Some(cache_token::Type::SideInput(of)) => {
                of.transform_id == *side.transform && of.side_input_id == *side.side
            }
            _ => false,
        });
        token.map(|token| &token.token)
    }

    /// Whether the runner has promised that a key, which this bundle has not written, holds nothing.
    fn is_promised_empty(&self, key: &StateKey) -> bool {
        self.terms.has_no_state && key.cell().is_some() && !self.written.has_gaps()
    }

    /// Whether what a key holds for this bundle is what it holds for all.
    fn is_alone(&self) -> bool {
        self.terms.has_no_state && self.terms.only_bundle_for_keys
    }

    /// Counts a page that was read, where there is room for that. Yields the bytes of its key up to its end.
    fn count(
        &mut self,
        key: &StateKey,
        continuation: &Bytes,
        page: &Page,
        most: usize,
    ) -> Option<usize> {
        if !self.read.contains_key(key) {
            if self.bytes + PAGE_BYTES > most {
                return None;
            }
            self.bytes += PAGE_BYTES;
            self.read.insert(key.clone(), Pages::default());
        }
        let pages = self.read.get_mut(key)?;
        if continuation.is_empty() {
            pages.bytes = 0;
        }
        pages.bytes = pages.bytes.saturating_add(page.data.len());
        Some(pages.bytes)
    }

    /// Remembers a page for the rest of the bundle. At most `most` bytes are remembered, and half of that of one key: a
    /// huge value must not keep others out.
    fn remember(&mut self, key: &StateKey, continuation: &Bytes, page: &Page, most: usize) {
        // The rest of an iterable is most often read once.
        let is_tail = matches!(key, StateKey::Runner(_));
        let cost = PAGE_BYTES + page.data.len();
        if is_tail
            || self.bytes + cost > most
            || self.written.about(key) != Known::Untouched
            || self
                .count(key, continuation, page, most)
                .is_none_or(|of_key| of_key > most / 2)
        {
            return;
        }
        let Some(pages) = self.read.get_mut(key) else {
            return;
        };
        self.bytes += cost;
        match continuation.is_empty() {
            true => pages.first = Some(page.clone()),
            false => drop(pages.more.insert(continuation.clone(), page.clone())),
        }
    }

    /// Forgets what was read of a key that is written.
    fn forget(&mut self, key: &StateKey) {
        self.read.remove(key);
        if let StateKey::MultimapUser(cell, _) = key {
            self.read.remove(&StateKey::MultimapKeysUser(cell.clone()));
        }
    }
}

impl BundleState {
    /// State that `client` serves, if anyone does. `has_whole_multimaps` says whether it can serve whole multimaps.
    pub(crate) fn new(
        client: Option<Arc<StateClient>>,
        cache: Arc<StateCache>,
        has_whole_multimaps: bool,
    ) -> Self {
        BundleState {
            client,
            cache,
            has_whole_multimaps,
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

    /// Waits for the runner's answers to all requests: once the bundle has ended, the runner does not know it any more.
    ///
    /// # Errors
    /// The runner refused a write, or the stream broke.
    pub(crate) fn settle(&self) -> Result<()> {
        let (writes, ahead) = {
            let mut bundle = self.bundle();
            let ahead = bundle.ahead.take_all();
            (std::mem::take(&mut bundle.writes), ahead)
        };
        for unread in ahead {
            // Nobody wanted it after all.
            let _ = unread.wait();
        }
        let outcomes = writes.into_iter().map(Pending::wait);
        outcomes.fold(Ok(()), Result::and)
    }

    /// Keeps what the bundle has read and written for later ones: it has succeeded.
    pub(crate) fn commit(&self) {
        let bundle = std::mem::take(&mut *self.bundle());
        let Some(token) = &bundle.user_token else {
            return;
        };
        bundle.written.commit(&self.cache, token);
        for (key, pages) in &bundle.read {
            let is_over = pages.bytes > self.cache.share();
            if is_over || key.cell().is_none() || bundle.written.about(key) != Known::Untouched {
                continue;
            }
            if let Some(first) = &pages.first {
                self.cache.put(token, key, &Bytes::new(), first);
            }
            for (continuation, page) in &pages.more {
                self.cache.put(token, key, continuation, page);
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

    /// A page that needs no request.
    fn known(&self, key: &StateKey, continuation: &Bytes) -> Option<Page> {
        let bundle = self.bundle();
        match bundle.written.about(key) {
            Known::Holds(data) => return continuation.is_empty().then(|| whole(data)),
            Known::Changed => return None,
            Known::Untouched => {}
        }
        if bundle.is_promised_empty(key) {
            return Some(whole(Bytes::new()));
        }
        let read = bundle.read.get(key);
        if let Some(page) = read.and_then(|pages| pages.get(continuation)) {
            return Some(page.clone());
        }
        let token = bundle.token(key)?;
        self.cache.get(token, key, continuation)
    }

    /// A page from the runner.
    fn fetch(&self, key: &StateKey, continuation: &Bytes) -> Result<Page> {
        let (ahead, instruction) = {
            let mut bundle = self.bundle();
            let ahead = bundle.ahead.take(key, continuation);
            (ahead, bundle.instruction.clone())
        };
        match ahead {
            Some(pending) => pending.page(),
            None => {
                let client = self.client()?;
                client.get(&instruction, key, continuation)?.page()
            }
        }
    }

    /// A page of a side input, for this bundle and for all to which the runner presents the same token.
    fn fetch_side(&self, token: &Bytes, key: &StateKey, continuation: &Bytes) -> Result<Page> {
        let (share, most) = (self.cache.share(), self.most());
        if continuation.is_empty() {
            let fetch = || self.fetch(key, continuation);
            let page = self.cache.first_page(token, key, fetch)?;
            let mut bundle = self.bundle();
            if page.data.len() > share {
                bundle.remember(key, continuation, &page, most);
            } else if !page.continuation.is_empty() {
                bundle.count(key, continuation, &page, most);
            }
            return Ok(page);
        }
        let page = self.fetch(key, continuation)?;
        let of_key = self.bundle().count(key, continuation, &page, most);
        if of_key.is_some_and(|of_key| of_key <= share) {
            self.cache.put(token, key, continuation, &page);
        }
        Ok(page)
    }

    /// The bytes of pages that the bundle may remember.
    fn most(&self) -> usize {
        MOST_BYTES.max(self.cache.share().saturating_mul(2))
    }

    /// Sends a write. `contents` is all that is behind the key afterwards, where that is known. The answers are awaited at
    /// the end of the bundle, or when there are many.
    fn write(
        &self,
        key: &StateKey,
        contents: Option<Bytes>,
        send: impl FnOnce(&StateClient, &str) -> Result<Pending>,
    ) -> Result<()> {
        let contents = contents.filter(|data| data.len() <= self.cache.share());
        let (instruction, stale) = {
            let mut bundle = self.bundle();
            (bundle.instruction.clone(), bundle.ahead.take_stale(key))
        };
        for unread in stale {
            // Its reader is gone, or there would be no write.
            let _ = unread.wait();
        }
        let pending = send(self.client()?, &instruction)?;
        let oldest = {
            let mut bundle = self.bundle();
            bundle.forget(key);
            if !bundle.written.note(key, contents) {
                self.forget_now(&mut bundle, key);
            }
            bundle.writes.push_back(pending);
            let is_full = bundle.writes.len() > MAX_WRITES;
            is_full.then(|| bundle.writes.pop_front()).flatten()
        };
        oldest.map_or(Ok(()), Pending::wait)
    }

    /// Forgets a key that was written and has no record: at the end of the bundle nobody will know of it.
    #[cold]
    fn forget_now(&self, bundle: &mut Bundle, key: &StateKey) {
        let is_map_or_list = !matches!(key, StateKey::BagUser(_));
        if is_map_or_list {
            bundle.read.retain(|of, _| of.cell() != key.cell());
        }
        let Some(token) = &bundle.user_token else {
            return;
        };
        match key.cell().filter(|_| is_map_or_list) {
            Some(cell) => self.cache.forget_cell(token, cell),
            None => self.cache.forget(token, key),
        }
    }
}

impl StatePort for BundleState {
    fn get(&self, key: &StateKey, continuation: &Bytes) -> Result<Page> {
        if let Some(page) = self.known(key, continuation) {
            let is_whole = continuation.is_empty() && page.continuation.is_empty();
            if key.side().is_some() && !is_whole {
                let most = self.most();
                self.bundle().count(key, continuation, &page, most);
            }
            return Ok(page);
        }
        let side_token = match key.side() {
            Some(_) => self.bundle().token(key).cloned(),
            None => None,
        };
        if let Some(token) = side_token {
            return self.fetch_side(&token, key, continuation);
        }
        let page = self.fetch(key, continuation)?;
        let most = self.most();
        self.bundle().remember(key, continuation, &page, most);
        Ok(page)
    }

    fn prefetch(&self, key: &StateKey, continuation: &Bytes) {
        let Some(client) = &self.client else {
            return;
        };
        if self.known(key, continuation).is_some() {
            return;
        }
        let (instruction, oldest) = {
            let mut bundle = self.bundle();
            if bundle.ahead.has(key, continuation) {
                return;
            }
            (bundle.instruction.clone(), bundle.ahead.make_room())
        };
        if let Some(unread) = oldest {
            // Asked for long ago, so the answer is most likely there.
            let _ = unread.wait();
        }
        // A stream that is gone shows when the page is wanted.
        if let Ok(pending) = client.get(&instruction, key, continuation) {
            self.bundle().ahead.push(key, continuation, pending);
        }
    }

    fn has_whole_multimaps(&self) -> bool {
        self.has_whole_multimaps
    }

    fn append(&self, key: &StateKey, data: Bytes) -> Result<()> {
        let before = match key {
            StateKey::BagUser(_) | StateKey::MultimapUser(..) => self.known(key, &Bytes::new()),
            _ => None,
        };
        let before = before.filter(|page| page.continuation.is_empty());
        let share = self.cache.share();
        let contents = before
            .filter(|before| before.data.len() + data.len() <= share)
            .map(|before| match before.data.is_empty() {
                true => data.clone(),
                false => [&before.data[..], &data].concat().into(),
            });
        self.write(key, contents, |state, instruction| {
            state.append(instruction, key, data)
        })
    }

    fn clear(&self, key: &StateKey) -> Result<()> {
        let is_alone = self.bundle().is_alone();
        let known = if is_alone {
            self.known(key, &Bytes::new())
        } else {
            None
        };
        if known.is_some_and(|page| page.data.is_empty() && page.continuation.is_empty()) {
            return Ok(());
        }
        self.write(key, Some(Bytes::new()), |state, instruction| {
            state.clear(instruction, key)
        })
    }
}
