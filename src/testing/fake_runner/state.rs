//! The runner's state: pages of bytes by key.

use std::collections::{BTreeMap, HashMap};

use beam_proto::fnexec::state_key::{
    BagUserState, IterableSideInput, MultimapKeysSideInput, MultimapKeysUserState,
    MultimapKeysValuesSideInput, MultimapSideInput, MultimapUserState, OrderedListUserState,
    Runner, Type,
};
use beam_proto::fnexec::{
    StateAppendResponse, StateClearResponse, StateGetRequest, StateGetResponse, StateRequest,
    StateResponse, state_request, state_response,
};
use bytes::Bytes;

use super::ledger::Ledger;
use super::{FakeRunner, Random};
use crate::element::Input;

/// What the runner keeps, by key, and how it hands it out.
pub(super) struct StateStore {
    values: HashMap<Type, Bytes>,
    /// Ordered lists by their keys without ranges: records in the order of their sort keys, then of their coming.
    lists: HashMap<Type, BTreeMap<i64, Vec<u8>>>,
    errors: HashMap<Type, String>,
    /// Errors of writes that are not gets, appends or clears alike.
    write_errors: HashMap<(Type, Write), String>,
    /// How many pages of each key were asked for.
    gets: HashMap<Type, usize>,
    /// What was asked to be done to each key, in order.
    writes: HashMap<Type, Vec<(Write, Bytes)>>,
    /// The most bytes of one page.
    page: usize,
    /// Whether pages have sizes of chance, and some have a token but no bytes.
    is_uneven: bool,
    random: Random,
}

impl StateStore {
    pub(super) fn new(seed: u64) -> Self {
        StateStore {
            values: HashMap::new(),
            lists: HashMap::new(),
            errors: HashMap::new(),
            write_errors: HashMap::new(),
            gets: HashMap::new(),
            writes: HashMap::new(),
            page: usize::MAX,
            is_uneven: false,
            random: Random::new(seed),
        }
    }

    pub(super) fn set(&mut self, key: Type, value: Bytes) {
        self.values.insert(key, value);
    }

    pub(super) fn refuse(&mut self, key: Type, error: &str) {
        self.errors.insert(key, error.to_owned());
    }

    pub(super) fn refuse_write(&mut self, key: Type, write: Write, error: &str) {
        self.write_errors.insert((key, write), error.to_owned());
    }

    /// How many pages of a key were asked for.
    pub(super) fn gets(&self, key: &Type) -> usize {
        self.gets.get(key).copied().unwrap_or(0)
    }

    /// What was asked to be done to a key, in order.
    pub(super) fn writes(&self, key: &Type) -> Vec<(Write, Bytes)> {
        self.writes.get(key).cloned().unwrap_or_default()
    }

    /// What is kept under a key.
    pub(super) fn kept(&self, key: &Type) -> Bytes {
        match key {
            Type::OrderedListUserState(list) => {
                let range = list.range.unwrap_or_default();
                let Some(records) = self.lists.get(&without_range(key)) else {
                    return Bytes::new();
                };
                let within = records
                    .iter()
                    .filter(|(at, _)| range.start <= **at && **at < range.end);
                within.flat_map(|(_, records)| records).copied().collect()
            }
            Type::MultimapKeysUserState(map) => {
                let mut keys: Vec<&Bytes> = self
                    .values
                    .iter()
                    .filter(|(_, values)| !values.is_empty())
                    .filter_map(|(key, _)| key_within(key, map))
                    .collect();
                keys.sort();
                keys.into_iter().flatten().copied().collect()
            }
            key => self.values.get(key).cloned().unwrap_or_default(),
        }
    }

    fn write(&mut self, key: &Type, write: Write, data: &Bytes) -> Result<(), String> {
        let writes = self.writes.entry(key.clone()).or_default();
        writes.push((write, data.clone()));
        if let Some(error) = self.write_errors.get(&(key.clone(), write)) {
            return Err(error.clone());
        }
        match (key, write) {
            (Type::OrderedListUserState(_), Write::Append) => {
                let records = records(data).map_err(|e| e.to_string())?;
                let list = self.lists.entry(without_range(key)).or_default();
                for (at, record) in records {
                    list.entry(at).or_default().extend_from_slice(record);
                }
            }
            (Type::OrderedListUserState(list), Write::Clear) => {
                let range = list
                    .range
                    .ok_or("an ordered list is cleared without a range")?;
                if let Some(records) = self.lists.get_mut(&without_range(key)) {
                    records.retain(|at, _| *at < range.start || range.end <= *at);
                }
            }
            (Type::MultimapKeysUserState(map), Write::Clear) => {
                self.values.retain(|key, _| key_within(key, map).is_none());
            }
            (Type::BagUserState(_) | Type::MultimapUserState(_), Write::Append) => {
                let kept = self.values.remove(key).unwrap_or_default();
                self.values
                    .insert(key.clone(), [&kept[..], data].concat().into());
            }
            (Type::BagUserState(_) | Type::MultimapUserState(_), Write::Clear) => {
                self.values.remove(key);
            }
            _ => return Err("state of this kind cannot be written".into()),
        }
        Ok(())
    }

    /// Cuts values into pages of at most so many bytes, anywhere, with pages of none between them.
    pub(super) fn cut(&mut self, page: usize) {
        (self.page, self.is_uneven) = (page.max(1), true);
    }

    /// Cuts values into pages of exactly so many bytes, but for the last.
    pub(super) fn cut_evenly(&mut self, page: usize) {
        (self.page, self.is_uneven) = (page.max(1), false);
    }

    /// The answer to a request.
    pub(super) fn answer(&mut self, request: &StateRequest) -> StateResponse {
        let (error, response) = match self.respond(request) {
            Ok(response) => (String::new(), Some(response)),
            Err(error) => (error, None),
        };
        StateResponse {
            id: request.id.clone(),
            error,
            response,
        }
    }

    fn respond(&mut self, request: &StateRequest) -> Result<state_response::Response, String> {
        let key = request
            .state_key
            .as_ref()
            .and_then(|key| key.r#type.as_ref());
        let key = key.ok_or("the request has no state key")?;
        if let Some(error) = self.errors.get(key) {
            return Err(error.clone());
        }
        match &request.request {
            Some(state_request::Request::Get(get)) => {
                *self.gets.entry(key.clone()).or_default() += 1;
                self.page(key, get).map(state_response::Response::Get)
            }
            Some(state_request::Request::Append(append)) => {
                self.write(key, Write::Append, &append.data)?;
                Ok(state_response::Response::Append(StateAppendResponse {}))
            }
            Some(state_request::Request::Clear(_)) => {
                self.write(key, Write::Clear, &Bytes::new())?;
                Ok(state_response::Response::Clear(StateClearResponse {}))
            }
            None => Err("the request asks for nothing".into()),
        }
    }

    fn page(&mut self, key: &Type, get: &StateGetRequest) -> Result<StateGetResponse, String> {
        let value = self.kept(key);
        // A token says where the page begins, and whether there was an empty one before it.
        let token = std::str::from_utf8(&get.continuation_token).ok();
        let (at, had_empty) = match token {
            Some("") => (0, false),
            Some(token) => token
                .split_once('/')
                .and_then(|(at, had)| Some((at.parse().ok()?, had == "empty")))
                .filter(|(at, _)| *at <= value.len())
                .ok_or("the continuation token is none of this runner's")?,
            None => return Err("the continuation token is none of this runner's".into()),
        };
        if self.is_uneven && !had_empty && self.random.percent(30) {
            return Ok(StateGetResponse {
                continuation_token: format!("{at}/empty").into(),
                data: Bytes::new(),
            });
        }
        let length = if self.is_uneven {
            1 + self.random.below(self.page)
        } else {
            self.page
        };
        let end = at.saturating_add(length).min(value.len());
        let continuation_token = if end < value.len() {
            format!("{end}/").into()
        } else {
            Bytes::new()
        };
        Ok(StateGetResponse {
            continuation_token,
            data: value.slice(at..end),
        })
    }
}

impl FakeRunner {
    /// Keeps state for the worker to read.
    pub fn set_state(&self, key: Type, value: impl Into<Bytes>) {
        self.hub.with(|ledger| ledger.state.set(key, value.into()));
    }

    /// Refuses to serve a state key.
    pub fn refuse_state(&self, key: Type, error: &str) {
        self.hub.with(|ledger| ledger.state.refuse(key, error));
    }

    /// Refuses one way of writing a state key.
    pub fn refuse_state_write(&self, key: Type, write: Write, error: &str) {
        self.hub
            .with(|ledger| ledger.state.refuse_write(key, write, error));
    }

    /// What is kept under a state key.
    pub fn state(&self, key: &Type) -> Bytes {
        self.hub.with(|ledger| ledger.state.kept(key))
    }

    /// Cuts state into pages of at most so many bytes, anywhere, with pages of none between them.
    pub fn cut_state(&self, page: usize) {
        self.hub.with(|ledger| ledger.state.cut(page));
    }

    /// Cuts state into pages of exactly so many bytes, but for the last.
    pub fn cut_state_evenly(&self, page: usize) {
        self.hub.with(|ledger| ledger.state.cut_evenly(page));
    }

    /// Holds back the answers to state requests.
    pub fn hold_state(&self) {
        self.hub.with(Ledger::hold_state);
        self.hub.holding_state.send_replace(true);
    }

    /// Waits until so many state requests are held back.
    ///
    /// # Panics
    /// They do not come in time.
    #[track_caller]
    pub fn expect_held_state(&self, count: usize) {
        let what = format!("{count} state requests");
        self.hub
            .wait(&what, |ledger| (ledger.held() >= count).then_some(()));
    }

    /// Answers all state requests that were held back, the last first, and no longer holds any back.
    ///
    /// # Panics
    /// The worker does not take the answers.
    #[track_caller]
    pub fn release_state(&self) {
        let answers = self.hub.with(Ledger::release_state);
        self.answer_state(answers);
        self.hub.holding_state.send_replace(false);
    }

    /// Answers all state requests that were held back, the last first, and holds back those that come now.
    ///
    /// # Panics
    /// The worker does not take the answers.
    #[track_caller]
    pub fn answer_held_state(&self) {
        let answers = self.hub.with(|ledger| {
            let answers = ledger.release_state();
            ledger.hold_state();
            answers
        });
        self.answer_state(answers);
    }

    #[track_caller]
    fn answer_state(&self, answers: Vec<StateResponse>) {
        if let Some(sender) = self.hub.state.sender() {
            for answer in answers {
                self.push("state", &sender, answer);
            }
        }
    }

    /// How many pages of a state key the worker has asked for.
    pub fn pages_read(&self, key: &Type) -> usize {
        self.hub.with(|ledger| ledger.state.gets(key))
    }

    /// What the worker has done to a state key, in order: appends with their bytes, and clears.
    pub fn writes(&self, key: &Type) -> Vec<(Write, Bytes)> {
        self.hub.with(|ledger| ledger.state.writes(key))
    }
}

/// A way to write state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Write {
    /// Adds values.
    Append,
    /// Forgets all values.
    Clear,
}

/// An ordered list's key, whatever the range.
fn without_range(key: &Type) -> Type {
    match key {
        Type::OrderedListUserState(list) => Type::OrderedListUserState(OrderedListUserState {
            range: None,
            ..list.clone()
        }),
        other => other.clone(),
    }
}

/// The map key of `key`, if it is one of `map`.
fn key_within<'a>(key: &'a Type, map: &MultimapKeysUserState) -> Option<&'a Bytes> {
    match key {
        Type::MultimapUserState(entry)
            if entry.transform_id == map.transform_id
                && entry.user_state_id == map.user_state_id
                && entry.window == map.window
                && entry.key == map.key =>
        {
            Some(&entry.map_key)
        }
        _ => None,
    }
}

/// The records of an ordered list: a sort key as a varint, and a value behind its length.
fn records(data: &[u8]) -> crate::Result<Vec<(i64, &[u8])>> {
    let mut input = Input::new(data);
    let mut records = Vec::new();
    while !input.is_empty() {
        let before = input.rest();
        let at = input.varint()? as i64;
        let length = input.length()?;
        input.take(length)?;
        records.push((at, &before[..before.len() - input.remaining()]));
    }
    Ok(records)
}

/// The key of a bag, and of all state that is kept as one, for an encoded key in a window.
pub fn bag_key(
    transform: &str,
    state: &str,
    window: impl Into<Bytes>,
    key: impl Into<Bytes>,
) -> Type {
    Type::BagUserState(BagUserState {
        transform_id: transform.into(),
        user_state_id: state.into(),
        window: window.into(),
        key: key.into(),
    })
}

/// The key of the values of one encoded map key of a map, for an encoded key in a window.
pub fn map_key(
    transform: &str,
    state: &str,
    window: impl Into<Bytes>,
    key: impl Into<Bytes>,
    map_key: impl Into<Bytes>,
) -> Type {
    Type::MultimapUserState(MultimapUserState {
        transform_id: transform.into(),
        user_state_id: state.into(),
        window: window.into(),
        key: key.into(),
        map_key: map_key.into(),
    })
}

/// The key of the distinct map keys of a map, for an encoded key in a window.
pub fn map_keys_key(
    transform: &str,
    state: &str,
    window: impl Into<Bytes>,
    key: impl Into<Bytes>,
) -> Type {
    Type::MultimapKeysUserState(MultimapKeysUserState {
        transform_id: transform.into(),
        user_state_id: state.into(),
        window: window.into(),
        key: key.into(),
    })
}

/// The key of the rest of a state-backed iterable.
pub fn tail_key(token: impl Into<Bytes>) -> Type {
    Type::Runner(Runner { key: token.into() })
}

/// The key of an iterable side input in a window.
pub fn iterable_key(transform: &str, side: &str, window: impl Into<Bytes>) -> Type {
    Type::IterableSideInput(IterableSideInput {
        transform_id: transform.into(),
        side_input_id: side.into(),
        window: window.into(),
    })
}

/// The key of the values of one encoded key of a multimap side input in a window.
pub fn multimap_key(
    transform: &str,
    side: &str,
    window: impl Into<Bytes>,
    key: impl Into<Bytes>,
) -> Type {
    Type::MultimapSideInput(MultimapSideInput {
        transform_id: transform.into(),
        side_input_id: side.into(),
        window: window.into(),
        key: key.into(),
    })
}

/// The key of the distinct keys of a multimap side input in a window.
pub fn multimap_keys_key(transform: &str, side: &str, window: impl Into<Bytes>) -> Type {
    Type::MultimapKeysSideInput(MultimapKeysSideInput {
        transform_id: transform.into(),
        side_input_id: side.into(),
        window: window.into(),
    })
}

/// The key of a whole multimap side input in a window: its keys, each with an iterable of its values.
pub fn whole_multimap_key(transform: &str, side: &str, window: impl Into<Bytes>) -> Type {
    Type::MultimapKeysValuesSideInput(MultimapKeysValuesSideInput {
        transform_id: transform.into(),
        side_input_id: side.into(),
        window: window.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use beam_proto::fnexec::StateKey;

    #[test]
    fn pages_add_up() {
        let mut store = StateStore::new(7);
        let value: Bytes = (0..=255).collect::<Vec<u8>>().into();
        store.set(tail_key("t"), value.clone());
        store.cut(9);
        let (mut seen, mut token, mut empty) = (Vec::new(), Bytes::new(), 0);
        loop {
            let get = StateGetRequest {
                continuation_token: token,
            };
            let answer = store.answer(&StateRequest {
                id: "1".into(),
                instruction_id: "b".into(),
                state_key: Some(StateKey {
                    r#type: Some(tail_key("t")),
                }),
                request: Some(state_request::Request::Get(get)),
            });
            let Some(state_response::Response::Get(page)) = answer.response else {
                panic!("not a page: {answer:?}")
            };
            empty += usize::from(page.data.is_empty());
            seen.extend_from_slice(&page.data);
            token = page.continuation_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, value);
        assert!(empty > 0);
    }
}
