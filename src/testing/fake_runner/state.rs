//! The runner's state: pages of bytes by key.

use std::collections::HashMap;

use beam_proto::fnexec::state_key::{
    IterableSideInput, MultimapKeysSideInput, MultimapSideInput, Runner, Type,
};
use beam_proto::fnexec::{
    StateGetResponse, StateRequest, StateResponse, state_request, state_response,
};
use bytes::Bytes;

use super::Random;

/// What the runner keeps, by key, and how it hands it out.
pub(super) struct StateStore {
    values: HashMap<Type, Bytes>,
    errors: HashMap<Type, String>,
    /// The most bytes of one page.
    page: usize,
    /// Whether some pages have a token but no bytes.
    empty_pages: bool,
    random: Random,
}

impl StateStore {
    pub(super) fn new(seed: u64) -> Self {
        StateStore {
            values: HashMap::new(),
            errors: HashMap::new(),
            page: usize::MAX,
            empty_pages: false,
            random: Random::new(seed),
        }
    }

    pub(super) fn set(&mut self, key: Type, value: Bytes) {
        self.values.insert(key, value);
    }

    pub(super) fn refuse(&mut self, key: Type, error: &str) {
        self.errors.insert(key, error.to_owned());
    }

    /// Cuts values into pages of at most so many bytes, anywhere, with pages of none between them.
    pub(super) fn cut(&mut self, page: usize) {
        (self.page, self.empty_pages) = (page.max(1), true);
    }

    /// The answer to a request.
    pub(super) fn answer(&mut self, request: &StateRequest) -> StateResponse {
        let outcome = self.page(request);
        let (error, response) = match outcome {
            Ok(page) => (String::new(), Some(state_response::Response::Get(page))),
            Err(error) => (error, None),
        };
        StateResponse {
            id: request.id.clone(),
            error,
            response,
        }
    }

    fn page(&mut self, request: &StateRequest) -> Result<StateGetResponse, String> {
        let key = request
            .state_key
            .as_ref()
            .and_then(|key| key.r#type.as_ref());
        let key = key.ok_or("the request has no state key")?;
        if let Some(error) = self.errors.get(key) {
            return Err(error.clone());
        }
        let Some(state_request::Request::Get(get)) = &request.request else {
            return Err("this runner only answers Get".into());
        };
        let value = self.values.get(key).cloned().unwrap_or_default();
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
        if self.empty_pages && !had_empty && self.random.percent(30) {
            return Ok(StateGetResponse {
                continuation_token: format!("{at}/empty").into(),
                data: Bytes::new(),
            });
        }
        let length = if self.page == usize::MAX {
            value.len()
        } else {
            1 + self.random.below(self.page)
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

#[cfg(test)]
mod tests {
    use super::*;
    use beam_proto::fnexec::{StateGetRequest, StateKey};

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
