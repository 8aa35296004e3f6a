//! The runner's state: bags of bytes in memory, and pages that the scenario brings.

use std::collections::HashMap;
use std::sync::Mutex;

use beam_proto::fnexec::state_request::Request;
use beam_proto::fnexec::state_response::Response;
use beam_proto::fnexec::{
    StateAppendResponse, StateClearResponse, StateGetResponse, StateKey, StateRequest,
    StateResponse, state_key,
};
use bytes::{Bytes, BytesMut};
use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::lock;

/// Pages by the key of `StateKey.Runner`.
pub(crate) type RunnerPages = HashMap<Bytes, Vec<Bytes>>;

/// Requests for state, and what went to the worker (out) and came from it (in).
#[derive(Clone, Copy, Default, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StateCounts {
    pub(crate) gets: u64,
    pub(crate) appends: u64,
    pub(crate) clears: u64,
    pub(crate) bytes_out: u64,
    pub(crate) bytes_in: u64,
}

impl StateCounts {
    /// What was counted since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        StateCounts {
            gets: self.gets - earlier.gets,
            appends: self.appends - earlier.appends,
            clears: self.clears - earlier.clears,
            bytes_out: self.bytes_out - earlier.bytes_out,
            bytes_in: self.bytes_in - earlier.bytes_in,
        }
    }
}

/// The state of one worker.
pub(crate) struct StateStore {
    pages: RunnerPages,
    page_bytes: usize,
    cells: Mutex<Cells>,
}

#[derive(Default)]
struct Cells {
    /// What was appended, by the encoding of the key.
    bags: HashMap<Vec<u8>, Vec<Bytes>>,
    counts: StateCounts,
}

impl StateStore {
    /// A store with `pages`, which cuts everything else into pages of `page_bytes`.
    pub(crate) fn new(pages: RunnerPages, page_bytes: usize) -> Self {
        StateStore {
            pages,
            page_bytes,
            cells: Mutex::default(),
        }
    }

    pub(crate) fn counts(&self) -> StateCounts {
        lock(&self.cells).counts
    }

    /// Answers a request.
    pub(crate) fn answer(&self, request: StateRequest) -> StateResponse {
        let key = request.state_key.unwrap_or_default();
        let mut cells = lock(&self.cells);
        let outcome = match request.request {
            Some(Request::Get(get)) => {
                cells.counts.gets += 1;
                self.page(&mut cells, &key, &get.continuation_token)
            }
            Some(Request::Append(append)) => {
                cells.counts.appends += 1;
                cells.counts.bytes_in += append.data.len() as u64;
                // Copied: it is a slice of a large receive buffer, which must not be kept.
                let data = Bytes::copy_from_slice(&append.data);
                cells
                    .bags
                    .entry(key.encode_to_vec())
                    .or_default()
                    .push(data);
                Ok(Response::Append(StateAppendResponse::default()))
            }
            Some(Request::Clear(_)) => {
                cells.counts.clears += 1;
                cells.bags.remove(&key.encode_to_vec());
                Ok(Response::Clear(StateClearResponse::default()))
            }
            None => Err("a state request asks for nothing".to_owned()),
        };
        let (response, error) = match outcome {
            Ok(response) => (Some(response), String::new()),
            Err(error) => (None, error),
        };
        StateResponse {
            id: request.id,
            error,
            response,
        }
    }

    /// A page. A continuation token is the index of the first piece that has not been sent.
    fn page(
        &self,
        cells: &mut Cells,
        key: &StateKey,
        continuation: &[u8],
    ) -> Result<Response, String> {
        let first = match continuation {
            [] => 0,
            token => std::str::from_utf8(token)
                .ok()
                .and_then(|token| token.parse().ok())
                .ok_or("a continuation token is not one of the driver's")?,
        };
        let (data, next) = if let Some(state_key::Type::Runner(runner)) = &key.r#type {
            let pages = self.pages.get(&runner.key);
            let pages = pages.ok_or_else(|| format!("nothing is kept under {:?}", runner.key))?;
            let page = pages.get(first).cloned().unwrap_or_default();
            (page, (first + 1 < pages.len()).then_some(first + 1))
        } else {
            let pieces = cells.bags.get(&key.encode_to_vec());
            let pieces = pieces.and_then(|pieces| pieces.get(first..));
            let (page, taken) = self.join(pieces.unwrap_or_default());
            let left = pieces.map_or(0, <[Bytes]>::len) > taken;
            (page, left.then_some(first + taken))
        };
        cells.counts.bytes_out += data.len() as u64;
        Ok(Response::Get(StateGetResponse {
            data,
            continuation_token: next.map(|next| next.to_string().into()).unwrap_or_default(),
        }))
    }

    /// Pieces up to the size of a page, and how many.
    fn join(&self, pieces: &[Bytes]) -> (Bytes, usize) {
        if let [only] = pieces {
            return (only.clone(), 1);
        }
        let mut page = BytesMut::new();
        let mut taken = 0;
        for piece in pieces {
            page.extend_from_slice(piece);
            taken += 1;
            if page.len() >= self.page_bytes {
                break;
            }
        }
        (page.freeze(), taken)
    }
}

#[cfg(test)]
mod tests {
    use beam_proto::fnexec::{StateAppendRequest, StateClearRequest, StateGetRequest};

    use super::*;

    fn store() -> StateStore {
        let pages = vec![Bytes::from("one"), Bytes::from("two")];
        StateStore::new([(Bytes::from("tail"), pages)].into(), 4)
    }

    fn ask(store: &StateStore, key: state_key::Type, request: Request) -> Result<Response, String> {
        let answer = store.answer(StateRequest {
            id: "7".into(),
            state_key: Some(StateKey { r#type: Some(key) }),
            request: Some(request),
            ..StateRequest::default()
        });
        assert_eq!(answer.id, "7");
        answer.response.ok_or(answer.error)
    }

    fn get(
        store: &StateStore,
        key: state_key::Type,
        token: &str,
    ) -> Result<(Bytes, Bytes), String> {
        let request = StateGetRequest {
            continuation_token: token.to_owned().into(),
        };
        match ask(store, key, Request::Get(request))? {
            Response::Get(get) => Ok((get.data, get.continuation_token)),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn pages_of_the_runner_come_one_by_one() {
        let key = |key: &str| {
            state_key::Type::Runner(state_key::Runner {
                key: key.to_owned().into(),
            })
        };
        let store = store();
        assert_eq!(get(&store, key("tail"), ""), Ok(("one".into(), "1".into())));
        assert_eq!(get(&store, key("tail"), "1"), Ok(("two".into(), "".into())));
        assert!(get(&store, key("other"), "").is_err());
        assert!(get(&store, key("tail"), "x").is_err());
        assert_eq!(store.counts().bytes_out, 6);
    }

    #[test]
    fn bags_keep_what_is_appended() {
        let key = || {
            state_key::Type::BagUserState(state_key::BagUserState {
                key: "k".into(),
                ..Default::default()
            })
        };
        let store = store();
        for data in ["abc", "de", "f"] {
            let request = StateAppendRequest { data: data.into() };
            assert!(ask(&store, key(), Request::Append(request)).is_ok());
        }
        assert_eq!(get(&store, key(), ""), Ok(("abcde".into(), "2".into())));
        assert_eq!(get(&store, key(), "2"), Ok(("f".into(), "".into())));
        assert!(ask(&store, key(), Request::Clear(StateClearRequest {})).is_ok());
        assert_eq!(get(&store, key(), ""), Ok(("".into(), "".into())));
        let counts = StateCounts {
            gets: 3,
            appends: 3,
            clears: 1,
            bytes_out: 6,
            bytes_in: 6,
        };
        assert_eq!(store.counts(), counts);
    }
}
